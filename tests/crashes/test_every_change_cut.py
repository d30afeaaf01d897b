"""Every change that a command makes to the repository is cut once: by a kill, by a power cut, by a full disk.

After each cut everything that was acknowledged restores bit for bit, and the same command, run again, succeeds.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from adapters.stores import folder
from domain.errors import DamagedDataError
from domain.workflows import pack_writing
from tests.doubles.power import Acknowledge, Trouble
from tests.doubles.repository import OpenRepository
from tests.doubles.sweeps import PACK_BYTES, backed_up, contents, noise, swept
from tests.doubles.tracked_disk import TrackedDisk
from tests.doubles.tracked_disk import source_of as tracked_source

pytestmark = pytest.mark.process


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", PACK_BYTES)


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

    assert swept(tmp_path, trouble, prepare, action, again) > 25


def changed_disk() -> TrackedDisk:
    """A disk that was backed up once, and was written to since."""
    disk = TrackedDisk(noise(0), disk_id="d0")
    disk.frozen()
    disk.write(5000, noise(1)[:20_000])
    return disk


@pytest.mark.parametrize("trouble", list(Trouble))
def test_an_incremental(tmp_path: Path, trouble: Trouble) -> None:
    def prepare(repository: OpenRepository) -> None:
        source = tracked_source(TrackedDisk(noise(0), disk_id="d0"))
        repository.workflow().back_up(source, source.machine)

    def backed_up_again(repository: OpenRepository) -> str:
        source = tracked_source(changed_disk())
        return repository.workflow().back_up(source, source.machine).point_id.hex

    def again(repository: OpenRepository) -> None:
        made = backed_up_again(repository)
        assert contents(repository)[made] == [bytes(changed_disk().content)]

    cuts = swept(
        tmp_path, trouble, prepare, lambda repository, acknowledge: acknowledge(backed_up_again(repository)), again
    )
    assert cuts > 20


@pytest.mark.parametrize("trouble", list(Trouble))
def test_a_prune(tmp_path: Path, trouble: Trouble) -> None:
    def prepare(repository: OpenRepository) -> None:
        backed_up(repository, 0, 1)
        backed_up(repository, 1, 2)
        backed_up(repository, 3)
        for point in repository.points()[:2]:
            repository.expire(point)

    def again(repository: OpenRepository) -> None:
        repository.pruner().prune()
        assert [pack for pack in repository.index.packs() if pack.retired_at] == []
        assert {pack.pack_id for pack in repository.index.packs()} == set(repository.vault.store.pack_ids())

    def action(repository: OpenRepository, acknowledge: Acknowledge) -> None:
        repository.pruner().prune()

    assert swept(tmp_path, trouble, prepare, action, again) > 20


def test_a_store_that_syncs_too_late_is_found_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: a pack that gets its name before its bytes are durable."""

    def action(repository: OpenRepository, acknowledge: Acknowledge) -> None:
        careless = SimpleNamespace(**{**vars(os), "fsync": lambda descriptor: None})
        monkeypatch.setattr(folder, "os", careless)
        acknowledge(backed_up(repository, 1))

    with pytest.raises(DamagedDataError):
        swept(tmp_path, Trouble.POWER_CUT, lambda repository: None, action, lambda repository: None)
