"""Any history of writes, incrementals and fulls restores to what the disk held, and an incremental is a full."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.chunking import GRID_BYTES
from domain.errors import DamagedDataError
from tests.doubles.repository import opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.tracked_disks import TrackedStorage

BLOCKS = 150
_WRITES = st.tuples(
    st.integers(0, BLOCKS * GRID_BYTES - 1),
    st.sampled_from([1, 512, 4096, 20_000, 70_000, 200_000]),
    st.sampled_from(["zero", "noise", "ones"]),
    st.sampled_from([False, False, False, True]),
)
_STEPS = st.one_of(
    st.tuples(st.just("write"), _WRITES),
    st.tuples(st.just("incremental"), st.booleans()),
    st.tuples(st.just("full"), st.just(None)),
    st.tuples(st.just("lose"), st.just(None)),
    st.tuples(st.just("resize"), st.integers(1, BLOCKS + 50)),
)


@given(st.lists(_STEPS, min_size=2, max_size=10), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_every_point_restores_to_the_disk_as_it_was(steps: list[tuple[str, object]], workers: int) -> None:
    storage = TrackedStorage(bytearray(random.Random(0).randbytes(BLOCKS * GRID_BYTES)))
    source = ScriptedSource([storage.frozen()])
    committed: list[bytes] = []
    lied = False
    with tempfile.TemporaryDirectory() as folder, opened(Path(folder) / "repository") as repository:
        for word, argument in [*steps, ("incremental", False)]:
            if word == "write" and isinstance(argument, tuple):
                offset, length, filling, hidden = argument
                offset %= len(storage.content)
                length = min(length, len(storage.content) - offset)
                before = bytes(storage.content)
                storage.write(offset, _filled(filling, length, offset), hidden=hidden)
                lied = lied or (hidden and before != bytes(storage.content))
            elif word == "lose":
                storage.lose_baseline()
            elif word == "resize" and isinstance(argument, int):
                storage.resize(argument * GRID_BYTES - (512 if argument % 3 == 0 else 0))
            elif word in ("incremental", "full"):
                # A tracker that lied may get past the samples; it never gets past the comparison.
                compare = lied or bool(argument)
                workflow = repository.workflow(workers=workers)
                frozen = ScriptedSource([storage.frozen()], machine=source.machine)
                try:
                    workflow.back_up(frozen, source.machine, full=word == "full", compare_source=compare)
                except DamagedDataError:
                    assert lied, "only a lie makes the stored disk differ"
                    workflow.back_up(frozen, source.machine, full=True, compare_source=True)
                lied = False
                committed.append(bytes(storage.content))
        points = repository.points()
        assert [repository.restored(point) for point in points] == [[content] for content in committed]

        last = ScriptedSource([storage.frozen()], machine=source.machine)
        repository.workflow().back_up(last, source.machine, full=True)
        assert repository.points()[-1].disks[0].root == points[-1].disks[0].root


def _filled(filling: str, length: int, seed: int) -> bytes:
    if filling == "noise":
        return random.Random(seed).randbytes(length)
    return (b"\0" if filling == "zero" else b"\1") * length
