"""Every change that a command makes to the repository is cut once: by a kill, by a power cut, by a full disk.

After each cut everything that was acknowledged restores bit for bit, and the same command, run again, succeeds.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from blake3 import blake3

from adapters.stores import folder
from domain.errors import DamagedDataError
from domain.workflows import pack_writing
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.power import Acknowledge, Ending, Trouble, every_cut
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 150 << 10)


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SMALL.segment_bytes + 512)


def source_of(*seeds: int) -> ScriptedSource:
    return ScriptedSource([whole_disk(noise(seed), disk_id=f"d{seed}") for seed in seeds])


def backed_up(repository: OpenRepository, *seeds: int) -> str:
    source = source_of(*seeds)
    return repository.workflow().back_up(source, source.machine).point_id.hex


def contents(repository: OpenRepository) -> dict[str, list[bytes]]:
    return {point.point_id.hex: repository.restored(point) for point in repository.points()}


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_backup(tmp_path: Path, trouble: Trouble) -> None:
    def prepare(repository: OpenRepository) -> None:
        backed_up(repository, 0)

    def action(repository: OpenRepository, acknowledge: Acknowledge) -> None:
        acknowledge(backed_up(repository, 1, 2))

    def again(repository: OpenRepository) -> None:
        made = backed_up(repository, 1, 2)
        assert contents(repository)[made] == [noise(1), noise(2)]
        assert not repository.catalog.runs(state="running")

    assert _swept(tmp_path, trouble, prepare, action, again) > 25


def test_a_store_that_syncs_too_late_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a pack that gets its name before its bytes are durable."""

    def action(repository: OpenRepository, acknowledge: Acknowledge) -> None:
        careless = SimpleNamespace(**{**vars(os), "fsync": lambda descriptor: None})
        monkeypatch.setattr(folder, "os", careless)
        acknowledge(backed_up(repository, 1))
        (tmp_path / "used" / "one-more-change").mkdir()

    with pytest.raises(DamagedDataError):
        _swept(tmp_path, Trouble.POWER_CUT, lambda repository: None, action, lambda repository: None)


def _swept(
    place: Path,
    trouble: Trouble,
    prepare: Callable[[OpenRepository], None],
    action: Callable[[OpenRepository, Acknowledge], None],
    again: Callable[[OpenRepository], None],
) -> int:
    """Cut ``action`` at each of its changes and check what is left; returns how many there were."""
    pristine, used = place / "pristine", place / "used"
    with opened(pristine) as repository:
        prepare(repository)
        before = contents(repository)

    def run(acknowledge: Acknowledge) -> None:
        with opened(used) as repository:
            action(repository, acknowledge)

    shutil.copytree(pristine, used)
    cuts = 0
    for position, outcome in every_cut(used, run, trouble):
        where = f"{trouble} at change {position}"
        if trouble is Trouble.POWER_CUT:
            _lose_unsynced_projections(used)
        with opened(used) as repository:
            left = contents(repository)
            assert before.items() <= left.items(), where
            assert set(outcome.acknowledged) <= left.keys(), where
            if outcome.ending is not Ending.DONE:
                cuts += 1
                assert trouble is not Trouble.DISK_FULL or outcome.said, where
                again(repository)
                assert before.items() <= contents(repository).items(), where
        shutil.rmtree(used)
        shutil.rmtree(place / "used.graveyard", ignore_errors=True)
        shutil.copytree(pristine, used)
    return cuts


def _lose_unsynced_projections(folder: Path) -> None:
    """Projections are synced at checkpoints only: what stands in their logs alone is lost with the power."""
    for name in ("index.sqlite", "catalog.sqlite"):
        for suffix in ("-wal", "-shm"):
            (folder / f"{name}{suffix}").unlink(missing_ok=True)
