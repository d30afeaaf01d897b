"""Cutting a command at each of its changes, with a fresh copy of what it works on each time."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

from blake3 import blake3

from tests.doubles.frozen_disks import whole_disk
from tests.doubles.power import Acknowledge, Ending, Outcome, Trouble, every_cut
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL

PACK_BYTES = 150 << 10
_PROJECTIONS = ("index.sqlite", "catalog.sqlite", "chunk-index.sqlite")

Check = Callable[[Path, Outcome, str], None]


def noise(seed: int, size: int = SMALL.segment_bytes + 512) -> bytes:
    """A disk without repetitions."""
    return blake3(bytes([seed])).digest(length=size)


def source_of(*seeds: int) -> ScriptedSource:
    """A machine with a disk of each seed."""
    return ScriptedSource([whole_disk(noise(seed), disk_id=f"d{seed}") for seed in seeds])


def backed_up(repository: OpenRepository, *seeds: int) -> str:
    """Back such a machine up; returns the point's id."""
    source = source_of(*seeds)
    return repository.workflow().back_up(source, source.machine).point_id.hex


def contents(repository: OpenRepository) -> dict[str, list[bytes]]:
    """The disks of each point, read back."""
    return {point.point_id.hex: repository.restored(point) for point in repository.points()}


def sweep(pristine: Path, trouble: Trouble, action: Callable[[Path, Acknowledge], None], check: Check) -> int:
    """Cut ``action`` on a copy of ``pristine`` at each of its changes, and check each; returns how many were cut.

    ``check`` gets the copy as the cut left it, what came of it, and words for that. It runs for the uncut one as well.
    """
    used = pristine.with_name("used")
    shutil.copytree(pristine, used)
    cuts = 0
    for position, outcome in every_cut(used, lambda acknowledge: action(used, acknowledge), trouble):
        where = f"{trouble} at change {position}"
        if trouble is Trouble.POWER_CUT:
            _lose_unsynced_projections(used)
        if outcome.ending is not Ending.DONE:
            cuts += 1
            assert trouble is not Trouble.DISK_FULL or outcome.said, where
        check(used, outcome, where)
        shutil.rmtree(used)
        shutil.rmtree(used.with_name("used.graveyard"), ignore_errors=True)
        shutil.copytree(pristine, used)
    shutil.rmtree(used)
    return cuts


def swept(
    place: Path,
    trouble: Trouble,
    prepare: Callable[[OpenRepository], None],
    action: Callable[[OpenRepository, Acknowledge], None],
    again: Callable[[OpenRepository], None],
) -> int:
    """Cut a command on a repository: every point from before and every one that was acknowledged restores after each.

    ``again`` runs the command once more and looks at what came of it. Returns how many changes were cut.
    """
    pristine = place / "pristine"
    with opened(pristine) as repository:
        prepare(repository)
        before = contents(repository)

    def run(folder: Path, acknowledge: Acknowledge) -> None:
        with opened(folder) as repository:
            action(repository, acknowledge)

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        with opened(folder) as repository:
            left = contents(repository)
            assert before.items() <= left.items(), where
            assert set(outcome.acknowledged) <= left.keys(), where
            if outcome.ending is not Ending.DONE:
                again(repository)
                assert before.items() <= contents(repository).items(), where

    return sweep(pristine, trouble, run, check)


def _lose_unsynced_projections(folder: Path) -> None:
    """Projections are synced at checkpoints only: what stands in their logs alone is lost with the power."""
    for name in _PROJECTIONS:
        for suffix in ("-wal", "-shm"):
            for log in folder.rglob(f"{name}{suffix}"):
                log.unlink()
