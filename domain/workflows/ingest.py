"""Taking in disks: a segment a worker, several workers at once, until everything is durable.

Memory is bounded by one segment buffer and one frame a worker, whatever the size of the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Self, TypeVar

from domain.content.disk_map import ZERO_ID, MapRoot, build_map, segment_count
from domain.content.map_merge import merge_map
from domain.model.extents import Extent
from domain.ports.chunk_index import ChunkIndex
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Progress
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.parent_reading import ParentReader
from domain.workflows.segment_tasks import SegmentTask, segment_tasks
from domain.workflows.segment_update import DiskUpdate, UpdateTask, update_segment, update_tasks
from domain.workflows.segment_worker import IngestFigures, SegmentWorker, SharedRun
from domain.workflows.vault import Vault

_FILE_CHUNK_BYTES = 1 << 20
TaskT = TypeVar("TaskT", SegmentTask, UpdateTask)


@dataclass(frozen=True, slots=True, kw_only=True)
class IngestedDisk:
    """A disk whose map is written: its root, and this disk's share of the figures."""

    root: bytes
    segments_total: int
    segments_with_data: int
    chunks_new: int
    chunks_duplicate: int


class Ingest:
    """One run's way into the store. Use as a context: what is not durable when it ends is dropped.

    ``on_pack`` is called by worker threads, one at a time, for each durable pack and must record its event.
    """

    def __init__(
        self, vault: Vault, index: ChunkIndex, on_pack: Callable[[WrittenPack], None], progress: Progress, workers: int
    ) -> None:
        self._run = SharedRun(vault, index, on_pack, progress)
        self._workers = [SegmentWorker(self._run) for _ in range(workers)]
        self._idle = list(self._workers)
        self._pool = ThreadPoolExecutor(workers, thread_name_prefix="ingest")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self._run.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        for worker in self._workers:
            worker.writer.discard()
        self._run.maps.discard()

    @property
    def figures(self) -> IngestFigures:
        """What the run did so far."""
        return self._run.figures

    def take_disk(self, disk: FrozenDisk, excluded: Iterable[Extent] = ()) -> IngestedDisk:
        """Store the allocated, not excluded content of a disk and its map; durable only after ``finish``.

        Raises what the disk's port raises, EnvironmentTroubleError when the store is full.
        """
        segment_bytes = self._run.vault.chunking.segment_bytes
        leaf_ids = [ZERO_ID] * segment_count(disk.size_bytes, segment_bytes)
        before = (self.figures.chunks_new, self.figures.chunks_duplicate)
        with_data = 0
        tasks = segment_tasks(disk, excluded, segment_bytes)
        for number, leaf_id in self._leaves(tasks, lambda worker, task: worker.take_segment(disk, task)):
            leaf_ids[number] = leaf_id
            with_data += 1
        root = build_map(
            leaf_ids, disk_bytes=disk.size_bytes, segment_bytes=segment_bytes, store_node=self._run.store_node
        )
        return IngestedDisk(
            root=root,
            segments_total=len(leaf_ids),
            segments_with_data=with_data,
            chunks_new=self.figures.chunks_new - before[0],
            chunks_duplicate=self.figures.chunks_duplicate - before[1],
        )

    def update_disk(self, update: DiskUpdate, parent: MapRoot, reader: ParentReader) -> IngestedDisk:
        """Store the changed content of a disk and merge it into the parent's map; durable only after ``finish``.

        Equal to ``take_disk`` of the same content, if nothing changed outside of ``update.changes``. Raises as it,
        and ChangesUnknownError when the parent's map cannot be read.
        """
        before = (self.figures.chunks_new, self.figures.chunks_duplicate)
        tasks = update_tasks(update, parent, reader)
        changed = dict(self._leaves(tasks, lambda worker, task: update_segment(self._run, worker, update, task)))
        root = merge_map(
            parent,
            changed,
            disk_bytes=update.disk.size_bytes,
            load_node=reader.read_node,
            store_node=self._run.store_node,
        )
        return IngestedDisk(
            root=root,
            segments_total=segment_count(update.disk.size_bytes, parent.segment_bytes),
            segments_with_data=len(changed),
            chunks_new=self.figures.chunks_new - before[0],
            chunks_duplicate=self.figures.chunks_duplicate - before[1],
        )

    def take_file(self, content: bytes) -> tuple[bytes, ...]:
        """Store a small file beside the maps and return the ids of its parts."""
        parts = [content[i : i + _FILE_CHUNK_BYTES] for i in range(0, len(content), _FILE_CHUNK_BYTES)]
        return tuple(self._run.store_node(part) for part in parts)

    def finish(self) -> None:
        """Make data packs durable, then map packs: the order that a crash may cut anywhere."""
        for done in [self._pool.submit(worker.writer.finish) for worker in self._workers]:
            done.result()
        self._run.maps.finish()

    def _leaves(
        self, tasks: Iterator[TaskT], take: Callable[[SegmentWorker, TaskT], bytes]
    ) -> Iterator[tuple[int, bytes]]:
        """Run the tasks on the workers, never more than one for each, in no order."""
        running: set[Future[tuple[int, bytes]]] = set()
        more = True
        while more or running:
            while more and len(running) < len(self._workers):
                task = next(tasks, None)
                if task is None:
                    more = False
                else:
                    running.add(self._pool.submit(self._taken, task, take))
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def _taken(self, task: TaskT, take: Callable[[SegmentWorker, TaskT], bytes]) -> tuple[int, bytes]:
        worker = self._idle.pop()
        try:
            return task.number, take(worker, task)
        finally:
            self._idle.append(worker)
