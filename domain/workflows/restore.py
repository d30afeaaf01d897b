"""Writing a restore point's disks out again, every chunk verified on the way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from domain.content.aligned_buffer import aligned_buffer
from domain.content.disk_map import ZERO_ID, MappedPiece, MapRoot
from domain.errors import DamagedDataError
from domain.events.restore_point import StoredDisk, StoredFile
from domain.ports.disks import DiskImageWriter
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader

_PART_BYTES = 16 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredDisk:
    """What was written: all of it read back from the store, opened, rehashed and found equal to its ids."""

    data_bytes: int
    chunks: int


@dataclass(frozen=True, slots=True)
class _Segment:
    """A segment that was read: how much is in it, and what is still to be written."""

    length: int
    data_bytes: int
    chunks: int
    unwritten: Sequence[tuple[int, memoryview]]


@dataclass(frozen=True, slots=True)
class _Source:
    """What the workers read from; they write through ``direct`` themselves where the image takes any order."""

    reader: ChunkReader
    root: MapRoot
    direct: DiskImageWriter | None

    def segment(self, leaf_id: bytes, offset: int, length: int, buffer: memoryview) -> _Segment:
        """Read a segment, in parts where it is longer than ``buffer``, which only a direct writer allows."""
        try:
            pieces = self.reader.read_leaf(leaf_id, length)
            data_bytes = chunks = 0
            runs: list[tuple[int, memoryview]] = []
            for start, part, part_bytes in _parts(pieces, len(buffer)):
                data = buffer[:part_bytes]
                chunks += self.reader.read_segment(part, data)
                runs = list(_data_runs(part, offset + start, data))
                data_bytes += sum(len(run) for _, run in runs)
                if self.direct is not None:
                    for run_offset, run in runs:
                        self.direct.write(run_offset, run)
        except DamagedDataError as error:
            where = f"{error.where}, disk bytes {offset} to {offset + length}"
            raise DamagedDataError(error.what, where=where, next_step=error.next_step) from error
        return _Segment(length, data_bytes, chunks, runs if self.direct is None else ())


def restore_disk(
    reader: ChunkReader, disk: StoredDisk, writer: DiskImageWriter | None, progress: Progress, workers: int = 2
) -> RestoredDisk:
    """Write a disk through ``writer``, or only verify it when ``writer`` is None.

    Zero ranges are not written. The caller finishes or aborts the writer. Memory: one segment a worker and one more;
    two more, but of 16 MiB only, where the writer takes any order.
    Raises DamagedDataError naming the pack and the byte range of the disk, EnvironmentTroubleError for a full target.
    """
    root = reader.read_root(disk.root)
    if root.disk_bytes != disk.size_bytes:
        raise DamagedDataError("The disk's map has another size than its restore point says.", where=disk.name)
    progress.begin(f"disk {disk.number}", disk.size_bytes)
    data_bytes = chunks = 0
    direct = writer if writer is not None and writer.any_order else None
    for segment in _segments(_Source(reader, root, direct), workers, progress):
        if writer is not None:
            for offset, data in segment.unwritten:
                writer.write(offset, data)
        data_bytes += segment.data_bytes
        chunks += segment.chunks
    progress.end()
    return RestoredDisk(data_bytes=data_bytes, chunks=chunks)


def read_stored_file(reader: ChunkReader, file: StoredFile) -> bytes:
    """The verified content of a configuration file. Raises DamagedDataError."""
    content = b"".join(reader.read_node(part) for part in file.chunk_ids)
    if len(content) != file.size_bytes:
        raise DamagedDataError("A configuration file has another size than its restore point says.", where=file.name)
    return content


def _segments(source: _Source, workers: int, progress: Progress) -> Iterator[_Segment]:
    """Read segments on the workers and yield them in order; their buffers are used again afterwards."""
    root = source.root
    # One more thread than processors where threads wait for the disk that they write to.
    threads = workers if source.direct is None else workers + 1
    buffer_bytes = root.segment_bytes if source.direct is None else min(_PART_BYTES, root.segment_bytes)
    buffers = [aligned_buffer(buffer_bytes) for _ in range(min(threads + 1, _segments_of(root)))]
    with ThreadPoolExecutor(threads, thread_name_prefix="restore") as pool:
        waiting: deque[tuple[Future[_Segment], memoryview]] = deque()
        try:
            for offset, leaf_id in zip(_offsets(root), source.reader.leaf_ids(root), strict=True):
                length = min(root.segment_bytes, root.disk_bytes - offset)
                if leaf_id == ZERO_ID:
                    progress.advance(length)
                    continue
                if not buffers:
                    yield from _next(waiting, buffers, progress)
                buffer = buffers.pop()
                waiting.append((pool.submit(source.segment, leaf_id, offset, length, buffer), buffer))
            while waiting:
                yield from _next(waiting, buffers, progress)
        finally:
            pool.shutdown(cancel_futures=True)


def _next(
    waiting: deque[tuple[Future[_Segment], memoryview]], buffers: list[memoryview], progress: Progress
) -> Iterator[_Segment]:
    future, buffer = waiting.popleft()
    segment = future.result()
    yield segment
    progress.advance(segment.length)
    buffers.append(buffer)


def _parts(pieces: Sequence[MappedPiece], part_bytes: int) -> Iterator[tuple[int, list[MappedPiece], int]]:
    """Neighbouring pieces that fit into ``part_bytes`` together: where they start, they, their bytes.

    Zero pieces that do not fit are left out. No chunk is longer than a part.
    """
    part: list[MappedPiece] = []
    start = position = 0
    for piece in pieces:
        if position + piece.length - start > part_bytes:
            if part:
                yield start, part, position - start
            part, start = [], position
        position += piece.length
        if piece.length > part_bytes:
            start = position
        else:
            part.append(piece)
    if part:
        yield start, part, position - start


def _data_runs(pieces: Sequence[MappedPiece], offset: int, data: memoryview) -> Iterator[tuple[int, memoryview]]:
    """The stretches of ``data`` that are not zero, as long as possible: where on the disk, bytes."""
    start = position = 0
    for piece in pieces:
        if piece.chunk_id == ZERO_ID:
            if start < position:
                yield offset + start, data[start:position]
            start = position + piece.length
        position += piece.length
    if start < position:
        yield offset + start, data[start:position]


def _offsets(root: MapRoot) -> range:
    return range(0, root.disk_bytes, root.segment_bytes)


def _segments_of(root: MapRoot) -> int:
    return len(_offsets(root))
