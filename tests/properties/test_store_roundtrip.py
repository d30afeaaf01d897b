"""Disks go in and come back, whatever they hold, against a plain model of their bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.chunking import GRID_BYTES
from domain.events.restore_point import StoredDisk
from domain.model.extents import Extent, merged
from domain.ports.progress import Silent
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from domain.workflows.restore import restore_disk
from domain.workflows.vault import Vault
from tests.doubles.collecting_writer import CollectingWriter
from tests.doubles.frozen_disks import SparseDisk
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.vaults import small_vault

BLOCKS = 200  # three segments and a bit


@dataclass(frozen=True)
class Model:
    """A disk, what is left out of it, and what must come back."""

    content: bytes
    allocated: tuple[Extent, ...]
    excluded: tuple[Extent, ...]

    @property
    def expected(self) -> bytes:
        expected = bytearray(self.content)
        for hole in self.excluded:
            expected[hole.offset : hole.end] = bytes(hole.length)
        return bytes(expected)

    def disk(self) -> SparseDisk:
        return SparseDisk(len(self.content), {0: self.content}, allocated=self.allocated)


@st.composite
def models(draw: st.DrawFn) -> Model:
    blocks = draw(st.integers(1, BLOCKS))
    size = blocks * GRID_BYTES - draw(st.sampled_from([0, 0, 512, 4095]))
    content = bytearray(size)
    allocated = []
    for _ in range(draw(st.integers(0, 6))):
        first, count = draw(st.integers(0, blocks - 1)), draw(st.sampled_from([1, 2, 5, 40, 90]))
        kind = draw(st.integers(0, 4))
        start, end = first * GRID_BYTES, min((first + count) * GRID_BYTES, size)
        filling = b"" if kind == 0 else blake3(bytes([kind])).digest(length=end - start)
        content[start:end] = filling.ljust(end - start, b"\0")
        # What a source reports need not be on the grid, and may be more than what is in use.
        allocated.append(Extent(start, end - start))
    holes = []
    for _ in range(draw(st.integers(0, 3))):
        first, count = draw(st.integers(0, blocks - 1)), draw(st.integers(1, 20))
        last = min(first + count, size // GRID_BYTES)
        if first < last:
            holes.append(Extent(first * GRID_BYTES, (last - first) * GRID_BYTES))
    return Model(bytes(content), tuple(merged(sorted(allocated))), tuple(merged(sorted(holes))))


def stored(vault: Vault, index: MemoryChunkIndex, models: Sequence[Model], workers: int) -> tuple[list[bytes], int]:
    """The roots of the disks, and how many bytes were stored for them."""
    with Ingest(vault, index, index.record, Silent(), workers) as ingest:
        roots = [ingest.take_disk(model.disk(), model.excluded).root for model in models]
        ingest.finish()
        return roots, ingest.figures.stored_bytes


def restored(vault: Vault, index: MemoryChunkIndex, root: bytes, size_bytes: int) -> bytes:
    disk = StoredDisk(number=0, disk_id="d", name="d", size_bytes=size_bytes, sector_size_bytes=512, root=root)
    writer = CollectingWriter(size_bytes)
    figures = restore_disk(ChunkReader(vault, index), disk, writer, Silent())
    assert figures.data_bytes == sum(length for _, length in writer.written)
    assert restore_disk(ChunkReader(vault, index), disk, None, Silent()) == figures
    return bytes(writer.content)


@given(st.lists(models(), min_size=1, max_size=3), st.sampled_from([1, 2]))
@settings(max_examples=60, deadline=None)
def test_disks_come_back_with_zeros_where_they_were_left_out(disks: list[Model], workers: int) -> None:
    vault, index = small_vault(), MemoryChunkIndex()

    roots, _ = stored(vault, index, disks, workers)

    for root, model in zip(roots, disks, strict=True):
        assert restored(vault, index, root, len(model.content)) == model.expected
    assert stored(vault, index, disks, workers) == (roots, 0), "the second time there is nothing new"


@given(st.lists(models(), min_size=2, max_size=2), st.booleans())
@settings(max_examples=40, deadline=None)
def test_a_disk_has_one_root_whatever_was_stored_before_it(disks: list[Model], together: bool) -> None:
    first, second = disks
    alone, _ = stored(small_vault(), MemoryChunkIndex(), [second], 1)
    vault, index = small_vault(), MemoryChunkIndex()

    if together:
        roots, _ = stored(vault, index, [first, second], 2)
    else:
        stored(vault, index, [first], 1)
        roots, _ = stored(vault, index, [second], 2)

    assert roots[-1:] == alone


@given(models())
@settings(max_examples=40, deadline=None)
def test_a_disk_has_one_root_whether_its_zeros_are_allocated_or_not(model: Model) -> None:
    whole = Model(model.content, (Extent(0, len(model.content)),), ())
    sparse = Model(model.content, model.allocated, ())

    assert (
        stored(small_vault(), MemoryChunkIndex(), [whole], 1)[0]
        == stored(small_vault(), MemoryChunkIndex(), [sparse], 1)[0]
    )
