"""A real repository in a folder (packs, SQLite events, projections), opened as often as a test likes."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.locks import FileMachineLocks
from adapters.stores.folder import FolderPackStore
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointExpired
from domain.model.prune_plan import PrunePolicy
from domain.ports.catalog import RestorePoint
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.guests import GuestFileSystems
from domain.ports.progress import Silent
from domain.ports.store import PackStore
from domain.workflows.backup import BackupWorkflow
from domain.workflows.backup_terms import BackupSettings
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.prune import PruneWorkflow
from domain.workflows.restore import restore_disk
from domain.workflows.scrub import ScrubWorkflow
from domain.workflows.touched import TouchedPoint, touched_points
from domain.workflows.vault import Vault
from tests.doubles.collecting_writer import CollectingWriter
from tests.doubles.faults import Cut, CutLog, CutStore
from tests.doubles.scripted_source import HandClock, ScriptedGuests
from tests.doubles.vaults import small_vault


@dataclass(frozen=True, kw_only=True)
class OpenRepository:
    """Fresh objects over one folder, as a new process would have them."""

    folder: Path
    vault: Vault
    log: EventLog
    index: SQLiteChunkIndex
    catalog: SQLiteCatalog
    clock: HandClock

    def workflow(
        self,
        guests: GuestFileSystems | None = None,
        *,
        workers: int = 1,
        **settings: Any,
    ) -> BackupWorkflow:
        return BackupWorkflow(
            vault=self.vault,
            log=self.log,
            index=self.index,
            catalog=self.catalog,
            locks=FileMachineLocks(self.folder / "locks"),
            guests=guests or ScriptedGuests(),
            clock=self.clock,
            progress=Silent(),
            new_id=uuid4,
            settings=BackupSettings(workers=workers, **settings),
        )

    def pruner(self, policy: PrunePolicy | None = None, *, log: EventLog | None = None) -> PruneWorkflow:
        return PruneWorkflow(
            vault=self.vault,
            log=log or self.log,
            index=self.index,
            locks=FileMachineLocks(self.folder / "locks"),
            clock=self.clock,
            progress=Silent(),
            new_id=uuid4,
            policy=policy or PrunePolicy(),
        )

    def scrubber(self, *, with_key: bool = True, clock: Clock | None = None) -> ScrubWorkflow:
        return ScrubWorkflow(
            store=self.vault.store,
            vault=self.vault if with_key else None,
            log=self.log,
            index=self.index,
            locks=FileMachineLocks(self.folder / "locks"),
            clock=clock or self.clock,
            progress=Silent(),
            new_id=uuid4,
        )

    def touched(self) -> list[TouchedPoint]:
        """The points that damage touches."""
        self.index.catch_up()
        return list(touched_points(ChunkReader(self.vault, self.index), self.index, self.points()))

    def expire(self, point: RestorePoint) -> None:
        """What a retention run would record."""
        version = self.log.stream(point.point_id)[-1].originator_version
        self.log.append(
            [
                RestorePointExpired(
                    originator_id=point.point_id,
                    originator_version=version + 1,
                    at=self.clock.now(),
                    retention_id=uuid4(),
                    policy="none",
                    reason="a test says so",
                )
            ]
        )

    def events(self) -> list[RecordedEvent]:
        return [one.event for one in self.log.events_after(0)]

    def topics(self) -> list[str]:
        return [event.TOPIC.partition(":")[0] for event in self.events()]

    def points(self) -> list[RestorePoint]:
        self.catalog.catch_up()
        return list(self.catalog.points())

    def restored(self, point: RestorePoint) -> list[bytes]:
        """The disks of a point, read back."""
        self.index.catch_up()
        reader = ChunkReader(self.vault, self.index)
        contents = []
        for disk in point.disks:
            writer = CollectingWriter(disk.size_bytes)
            restore_disk(reader, disk, writer, Silent())
            contents.append(bytes(writer.content))
        return contents


@contextmanager
def opened(
    folder: Path,
    *,
    cut: Cut | None = None,
    clock: HandClock | None = None,
    store: Callable[[PackStore], PackStore] = lambda plain: plain,
) -> Iterator[OpenRepository]:
    """Open the repository in ``folder``; ``cut`` ends its durable steps, ``store`` may wrap its pack store."""
    folder.mkdir(exist_ok=True)
    plain = store(FolderPackStore(folder / "store"))
    packs: PackStore = CutStore(plain, cut) if cut else plain
    with SQLiteEventLog(folder / "events.sqlite") as file:
        log: EventLog = CutLog(file, cut) if cut else file
        with (
            SQLiteChunkIndex(folder / "index.sqlite", log) as index,
            SQLiteCatalog(folder / "catalog.sqlite", log) as catalog,
        ):
            yield OpenRepository(
                folder=folder,
                vault=small_vault(packs),
                log=log,
                index=index,
                catalog=catalog,
                clock=clock or HandClock(),
            )
