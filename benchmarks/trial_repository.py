"""A repository to measure with: the real folder store, event log and chunk index in one folder, without the CLI."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from adapters.clock import SystemClock
from adapters.disks.disk_files import open_disk
from adapters.disks.writing.raw_writer import RawWriter
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.locks import FileMachineLocks
from adapters.stage_clock import StageClock
from adapters.stores.folder import FolderPackStore
from domain.content.chunking import ChunkingParameters
from domain.events.backup import ChunksWritten
from domain.events.restore_point import StoredDisk
from domain.model.extents import Extent
from domain.model.prune_plan import PrunePolicy
from domain.model.stages import StageProfile
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Silent
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.prune import PruneWorkflow
from domain.workflows.prune_run import PruneSummary
from domain.workflows.prune_survey import Survey
from domain.workflows.restore import restore_disk
from domain.workflows.scrub import ScrubWorkflow
from domain.workflows.scrub_budget import ScrubLimits
from domain.workflows.scrub_run import ScrubSummary
from domain.workflows.segment_worker import IngestFigures
from domain.workflows.vault import Vault, create_vault, open_vault


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenImages:
    """What an ingest gave: the disks, in the order of the images, the run's figures, and where its time went."""

    disks: tuple[StoredDisk, ...]
    figures: IngestFigures
    profile: StageProfile


class TrialRepository:
    """A new repository below ``folder``, or the ``existing`` one. Use as a context; the caller removes the folder."""

    def __init__(self, folder: Path, chunking: ChunkingParameters | None = None, *, existing: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=existing)
        self._folder = folder
        store = FolderPackStore(folder / "store")
        if existing:
            self.vault = open_vault(store, "measured", os.urandom)
        else:
            self.vault, _recovery_key = create_vault(store, "measured", chunking or ChunkingParameters(), os.urandom)
        self.log = SQLiteEventLog(folder / "events.sqlite")
        self.index = SQLiteChunkIndex(folder / "chunk-index.sqlite", self.log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.index.close()
        self.log.close()

    def take(self, images: Sequence[Path], workers: int = 2) -> TakenImages:
        """Take images in, in order, durable when it returns; each pack is an event before it counts as known."""
        return self.take_disks([(partial(open_disk, path), path.name) for path in images], workers)

    def take_disks(self, opens: Sequence[tuple[Callable[[], FrozenDisk], str]], workers: int = 2) -> TakenImages:
        """Take disks in as ``take`` does; each is opened when its turn comes, and has a name."""
        clock = StageClock()
        with clock.run(workers):
            disks, figures = self._take(opens, workers, replace(self.vault, stages=clock))
        return TakenImages(disks=tuple(disks), figures=figures, profile=clock.profile())

    def _take(
        self, opens: Sequence[tuple[Callable[[], FrozenDisk], str]], workers: int, vault: Vault
    ) -> tuple[list[StoredDisk], IngestFigures]:
        stream, versions = uuid4(), count(1)
        disks = []
        with Ingest(
            vault, self.index, lambda pack: self._record(stream, next(versions), pack), Silent(), workers
        ) as ingest:
            for number, (opened, name) in enumerate(opens):
                disk = opened()
                try:
                    root = ingest.take_disk(disk).root
                    disks.append(
                        StoredDisk(
                            number=number,
                            disk_id=disk.disk_id,
                            name=name,
                            size_bytes=disk.size_bytes,
                            sector_size_bytes=disk.sector_size_bytes,
                            root=root,
                        )
                    )
                finally:
                    disk.close()
            ingest.finish()
            return disks, ingest.figures

    def take_changes(self, image: Path, parent: StoredDisk, touched: Sequence[Extent], workers: int = 2) -> TakenImages:
        """Take in what changed of an image since ``parent``, which change tracking says is in ``touched``."""
        clock = StageClock()
        with clock.run(workers):
            vault = replace(self.vault, stages=clock)
            stream, versions = uuid4(), count(1)
            reader = ChunkReader(vault, self.index)
            disk = open_disk(image)
            try:
                with Ingest(
                    vault, self.index, lambda pack: self._record(stream, next(versions), pack), Silent(), workers
                ) as ingest:
                    root = ingest.take_changes(disk, reader.read_root(parent.root), touched, (), reader).root
                    ingest.finish()
            finally:
                disk.close()
        stored = replace(parent, root=root)
        return TakenImages(disks=(stored,), figures=ingest.figures, profile=clock.profile())

    def prune(self) -> PruneSummary:
        """Reclaim what no point needs."""
        return self._pruning().prune()

    def forecast_prune(self) -> Survey:
        """Find what no point needs, and change nothing."""
        return self._pruning().forecast()

    def _pruning(self) -> PruneWorkflow:
        return PruneWorkflow(
            vault=self.vault,
            log=self.log,
            index=self.index,
            locks=FileMachineLocks(self._folder / "locks"),
            clock=SystemClock(),
            progress=Silent(),
            new_id=uuid4,
            policy=PrunePolicy(),
        )

    def scrub(self, *, keyed: bool) -> ScrubSummary:
        """Reread every pack; ``keyed`` opens every frame and rehashes every chunk."""
        return ScrubWorkflow(
            store=self.vault.store,
            vault=self.vault if keyed else None,
            log=self.log,
            index=self.index,
            locks=FileMachineLocks(self._folder / "locks"),
            clock=SystemClock(),
            progress=Silent(),
            new_id=uuid4,
        ).scrub(ScrubLimits(), keyed=keyed)

    def close(self) -> None:
        """Close the files."""
        self.__exit__(None, None, None)

    def give_back(self, disk: StoredDisk, target: Path, workers: int = 2) -> int:
        """Restore a disk to a raw image, durable when it returns; the bytes that it holds."""
        writer = RawWriter(target, disk.size_bytes)
        try:
            restored = restore_disk(ChunkReader(self.vault, self.index), disk, writer, Silent(), workers)
            writer.finish()
        except BaseException:
            writer.abort()
            raise
        return restored.data_bytes

    def stored_bytes(self) -> int:
        """The size of all files of the repository, events and index included."""
        return sum(path.stat().st_size for path in self._folder.rglob("*") if path.is_file())

    def pack_bytes(self) -> int:
        """The size of all packs."""
        return sum(map(self.vault.store.pack_bytes, self.vault.store.pack_ids()))

    def _record(self, stream: UUID, version: int, pack: WrittenPack) -> None:
        """Called for one pack at a time."""
        event = ChunksWritten(
            originator_id=stream,
            originator_version=version,
            at=datetime.now(UTC),
            pack_id=pack.pack_id,
            pack_bytes=pack.pack_bytes,
            pack_kind=pack.kind,
            chunk_count=pack.table.chunk_count,
            table=pack.table.encoded(),
        )
        self.log.append([event])
        self.index.catch_up()
