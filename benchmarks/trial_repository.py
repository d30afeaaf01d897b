"""A repository to measure with: the real folder store, event log and chunk index in one folder, without the CLI."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from adapters.disks.disk_files import open_disk
from adapters.disks.writing.raw_writer import RawWriter
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.stores.folder import FolderPackStore
from domain.content.chunking import ChunkingParameters
from domain.events.backup import ChunksWritten
from domain.events.restore_point import StoredDisk
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Silent
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.restore import restore_disk
from domain.workflows.segment_worker import IngestFigures
from domain.workflows.vault import create_vault, open_vault


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenImages:
    """What an ingest gave: the disks, in the order of the images, and the run's figures."""

    disks: tuple[StoredDisk, ...]
    figures: IngestFigures


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
        stream, versions = uuid4(), count(1)
        disks = []
        with Ingest(
            self.vault, self.index, lambda pack: self._record(stream, next(versions), pack), Silent(), workers
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
            return TakenImages(disks=tuple(disks), figures=ingest.figures)

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
