"""Machines whose disks are made of segments that a test names by number: equal numbers are equal content."""

from __future__ import annotations

from dataclasses import replace

from blake3 import blake3

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.model.machines import ConfigurationFile
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL

SETTINGS = ConfigurationFile(name="settings.xml", content=b"<settings/>" * 300)


def noise(*seeds: int) -> bytes:
    """A segment for each seed."""
    return b"".join(blake3(bytes([seed])).digest(length=SMALL.segment_bytes) for seed in seeds)


def source_of(*seeds: int, machine_id: str = "m-1") -> ScriptedSource:
    source = ScriptedSource([whole_disk(noise(*seeds), disk_id="d")], files=[SETTINGS])
    source.machine = replace(source.machine, machine_id=machine_id)
    return source


def back_up(repository: OpenRepository, *seeds: int, machine_id: str = "m-1") -> None:
    source = source_of(*seeds, machine_id=machine_id)
    repository.workflow().back_up(source, source.machine)


def check_repository(repository: OpenRepository, *expected: bytes) -> None:
    """The live points restore bit for bit, the index names the packs of the store, and a replay gives the same."""
    assert [repository.restored(point) for point in repository.points()] == [[one] for one in expected]
    recorded = {pack.pack_id for pack in repository.index.packs()}
    assert recorded == set(repository.vault.store.pack_ids())
    figures = repository.catalog.figures()
    assert figures.packs == len(recorded)
    assert figures.stored_bytes == sum(map(repository.vault.store.pack_bytes, recorded))
    assert equals_replay(ProjectionName.CATALOG, repository.folder / "catalog.sqlite", repository.log)
    assert equals_replay(ProjectionName.CHUNK_INDEX, repository.folder / "index.sqlite", repository.log)
