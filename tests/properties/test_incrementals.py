"""Any sequence of writes, incrementals, fulls and lost baselines restores as the bytes were, at each point."""

from __future__ import annotations

import tempfile
from pathlib import Path

from blake3 import blake3
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.model.extents import Extent
from tests.doubles.repository import opened
from tests.doubles.scripted_source import ScriptedGuests, ScriptedSource
from tests.doubles.tracked_disk import TrackedDisk, source_of
from tests.doubles.vaults import SMALL

SEGMENT = SMALL.segment_bytes
GRID = 4096

sizes = st.integers(1, 3 * SEGMENT)
offsets = st.integers(0, 3 * SEGMENT)
writes = st.tuples(st.just("write"), offsets, st.integers(1, 3 * GRID), st.integers(0, 3))
zeros = st.tuples(st.just("zero"), offsets, st.integers(1, 20 * GRID), st.just(0))
others = st.tuples(st.sampled_from(["forget", "resize", "swap"]), offsets, st.integers(1, 9), st.just(0))
backups = st.tuples(
    st.sampled_from(["backup", "backup", "backup", "full", "untracked"]), st.just(0), st.just(0), st.just(0)
)
steps = st.lists(writes | zeros | others | backups, min_size=1, max_size=14)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(size=sizes, history=steps)
def test_each_point_restores_what_its_disk_was(size: int, history: list[tuple[str, int, int, int]]) -> None:
    disk = TrackedDisk(blake3(b"start").digest(length=size))
    swap: tuple[Extent, ...] = ()
    expected: list[bytes] = []
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "r") as repository:
        for step, offset, amount, seed in [("backup", 0, 0, 0), *history, ("backup", 0, 0, 0), ("full", 0, 0, 0)]:
            at = offset % len(disk.content)
            if step == "write":
                # Few different contents, so that a write may change nothing or bring something old back.
                data = blake3(bytes([seed])).digest(length=amount)
                disk.write(at, data[: len(disk.content) - at])
            elif step == "zero":
                disk.write(at, bytes(min(amount, len(disk.content) - at)))
            elif step == "forget":
                disk.forget()
            elif step == "resize":
                disk.resize(offset + 1)
            elif step == "swap":
                limit = len(disk.content) // GRID
                swap = (Extent(at // GRID * GRID, GRID),) if at // GRID < limit else ()
            else:
                swap = tuple(extent for extent in swap if extent.end <= len(disk.content))
                source = source_of(disk)
                if step == "untracked":
                    source = ScriptedSource(source.disks)
                repository.workflow(ScriptedGuests(*swap), full=step == "full").back_up(source, source.machine)
                seen = bytearray(disk.content)
                for extent in swap:
                    seen[extent.offset : extent.end] = bytes(extent.length)
                expected.append(bytes(seen))
        points = repository.points()
        assert [repository.restored(point) for point in points] == [[content] for content in expected]
        # The last two are an incremental and a full of the same bytes.
        assert points[-1].kind == "full"
        assert points[-2].disks[0].root == points[-1].disks[0].root
