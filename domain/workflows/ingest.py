"""Taking in disks: a segment a worker, several workers at once, until everything is durable.

Memory is bounded by one window of a segment and one frame a worker, whatever the size of the disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from itertools import tee
from typing import Self, TypeVar

from domain.content.disk_map import ZERO_ID, MapRoot, build_map, segment_count
from domain.content.map_merge import leaf_ids_at, merge_map
from domain.model.extents import Extent
from domain.model.stages import Stage
from domain.ports.chunk_index import ChunkIndex
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.point_manifest import PointManifest, encode_manifest
from domain.workflows.segment_tasks import SegmentTask, segment_tasks
from domain.workflows.segment_update import SegmentUpdate, SegmentUpdater, segment_updates
from domain.workflows.segment_worker import IngestFigures, SegmentWorker, SharedRun
from domain.workflows.vault import Vault

_FILE_CHUNK_BYTES = 1 << 20
WorkT = TypeVar("WorkT")
ResultT = TypeVar("ResultT")


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
        self._updaters: dict[int, SegmentUpdater] = {}
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

        def take(worker: SegmentWorker, task: SegmentTask) -> tuple[int, bytes]:
            return task.number, worker.take_segment(disk, task)

        for number, leaf_id in self._worked(take, segment_tasks(disk, excluded, segment_bytes)):
            leaf_ids[number] = leaf_id
            with_data += 1
        with self._run.stages.stage(Stage.MAPS):
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

    def take_changes(
        self,
        disk: FrozenDisk,
        parent: MapRoot,
        touched: Sequence[Extent],
        excluded: Iterable[Extent],
        reader: ChunkReader,
    ) -> IngestedDisk:
        """Store what changed of a disk since ``parent`` and merge its map; durable only after ``finish``.

        ``touched`` (ascending, merged, on the grid) has everything that may differ; the disk has the parent's size.
        Raises as ``take_disk``, and DamagedDataError when the parent's map cannot be read.
        """
        segment_bytes = self._run.vault.chunking.segment_bytes
        before = (self.figures.chunks_new, self.figures.chunks_duplicate)
        updates = segment_updates(disk, excluded, touched, segment_bytes)

        def take(worker: SegmentWorker, work: tuple[SegmentUpdate, bytes]) -> tuple[int, bytes]:
            update, leaf_id = work
            with self._run.stages.stage(Stage.MAPS):
                old = reader.read_leaf_columns(leaf_id, update.task.place.length)
            return update.task.number, self._updater(worker).update_segment(disk, update, old)

        leaves = dict(self._worked(take, _with_leaves(updates, parent, reader)))
        with self._run.stages.stage(Stage.MAPS):
            root = merge_map(
                parent, leaves, disk_bytes=disk.size_bytes, load_node=reader.read_node, store_node=self._run.store_node
            )
        return IngestedDisk(
            root=root,
            segments_total=segment_count(disk.size_bytes, segment_bytes),
            segments_with_data=len(leaves),
            chunks_new=self.figures.chunks_new - before[0],
            chunks_duplicate=self.figures.chunks_duplicate - before[1],
        )

    def _updater(self, worker: SegmentWorker) -> SegmentUpdater:
        updater = self._updaters.get(id(worker))
        if updater is None:
            updater = self._updaters[id(worker)] = SegmentUpdater(self._run, worker.writer)
        return updater

    def take_file(self, content: bytes) -> tuple[bytes, ...]:
        """Store a small file beside the maps and return the ids of its parts."""
        parts = [content[i : i + _FILE_CHUNK_BYTES] for i in range(0, len(content), _FILE_CHUNK_BYTES)]
        return tuple(self._run.store_node(part) for part in parts)

    def finish(self) -> None:
        """Make data packs durable, then map packs: the order that a crash may cut anywhere."""
        self._finish_data()
        self._run.maps.finish()

    def finish_with(self, manifest: PointManifest) -> bytes:
        """Do what ``finish`` does, with the point's manifest as the last chunk of all, and return its id.

        A manifest in a durable pack says that all that its point needs is durable.
        """
        self._finish_data()
        manifest_id = self._run.store_node(encode_manifest(self._run.vault.keys, manifest, self._run.store_node))
        self._run.maps.finish()
        return manifest_id

    def _finish_data(self) -> None:
        finishing = [self._pool.submit(self._finish_pack, worker) for worker in self._workers]
        with self._run.stages.stage(Stage.WAITING):
            for done in finishing:
                done.result()

    def _finish_pack(self, worker: SegmentWorker) -> None:
        with self._run.stages.at_work():
            worker.writer.finish()

    def _worked(self, work: Callable[[SegmentWorker, WorkT], ResultT], tasks: Iterator[WorkT]) -> Iterator[ResultT]:
        """Run the tasks on the workers, never more than one for each, in no order."""
        running: set[Future[ResultT]] = set()
        more = True
        while more or running:
            while more and len(running) < len(self._workers):
                task = next(tasks, None)
                if task is None:
                    more = False
                else:
                    running.add(self._pool.submit(self._on_a_worker, work, task))
            with self._run.stages.stage(Stage.WAITING):
                done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()

    def _on_a_worker(self, work: Callable[[SegmentWorker, WorkT], ResultT], task: WorkT) -> ResultT:
        worker = self._idle.pop()
        try:
            with self._run.stages.at_work():
                return work(worker, task)
        finally:
            self._idle.append(worker)


def _with_leaves(
    updates: Iterable[SegmentUpdate], parent: MapRoot, reader: ChunkReader
) -> Iterator[tuple[SegmentUpdate, bytes]]:
    """Each update with the id of the leaf that its segment has in the parent."""
    ours, theirs = tee(updates)
    numbers = (update.task.number for update in theirs)
    for update, (_, leaf_id) in zip(ours, leaf_ids_at(parent, numbers, reader.read_node), strict=True):
        yield update, leaf_id
