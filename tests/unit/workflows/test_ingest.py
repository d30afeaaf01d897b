from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from blake3 import blake3

from adapters.stores.folder import FolderPackStore
from domain.content.packs import PACK_CHUNKS_TARGET, PackKind, PackTable
from domain.errors import EnvironmentTroubleError
from domain.events.restore_point import StoredDisk
from domain.model.extents import Extent
from domain.ports.progress import Silent
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from domain.workflows.pack_writing import NewChunk, PackWriter, WrittenPack
from domain.workflows.restore import restore_disk
from domain.workflows.segment_worker import SharedRun
from tests.doubles.collecting_writer import CollectingWriter
from tests.doubles.frozen_disks import SparseDisk, whole_disk
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.vaults import SMALL, small_vault

ROOT = Path(__file__).parents[3]
SEGMENT = SMALL.segment_bytes


def noise(length: int, seed: int = 1) -> bytes:
    return blake3(seed.to_bytes(4, "big")).digest(length=length)


def read_back(store: FolderPackStore, index: MemoryChunkIndex, root: bytes, size: int) -> bytes:
    writer = CollectingWriter(size)
    disk = StoredDisk(number=0, disk_id="d", name="d", size_bytes=size, sector_size_bytes=512, root=root)
    restore_disk(ChunkReader(small_vault(store), index), disk, writer, Silent())
    return bytes(writer.content)


class World:
    """A folder store with one disk in it that was stored before."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.store = FolderPackStore(folder)
        self.index = MemoryChunkIndex()
        self.earlier = noise(3 * SEGMENT)
        self.earlier_root = self.take(whole_disk(self.earlier))

    def take(self, disk: SparseDisk, excluded: tuple[Extent, ...] = ()) -> bytes:
        with Ingest(small_vault(self.store), self.index, self.index.record, Silent(), 2) as ingest:
            root = ingest.take_disk(disk, excluded).root
            ingest.finish()
        return root

    def is_unharmed(self) -> bool:
        drafts = list((self.folder / "drafts").iterdir())
        back = read_back(self.store, self.index, self.earlier_root, len(self.earlier))
        return not drafts and back == self.earlier and set(self.store.pack_ids()) == set(self.index.packs_by_id)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class GoneError(BaseException):
    pass


@pytest.mark.parametrize("failure", [EnvironmentTroubleError("The share is gone."), KeyboardInterrupt(), GoneError()])
def test_a_disk_that_fails_in_the_middle_leaves_nothing_behind(world: World, failure: BaseException) -> None:
    def fail(offset: int, length: int) -> None:
        if offset >= 2 * SEGMENT:
            raise failure

    with pytest.raises(type(failure)):
        world.take(whole_disk(noise(4 * SEGMENT, 2), before_read=fail))

    assert world.is_unharmed()


def test_an_interrupt_between_two_segments_leaves_nothing_behind(world: World) -> None:
    class Interrupted(SparseDisk):
        def allocated_extents(self) -> Iterator[Extent]:
            yield Extent(0, 2 * SEGMENT)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        world.take(Interrupted(4 * SEGMENT, {0: noise(4 * SEGMENT, 2)}))

    assert world.is_unharmed()


def test_a_callback_that_fails_ends_the_run(world: World) -> None:
    def fail(pack: WrittenPack) -> None:
        raise EnvironmentTroubleError("The event store is full.")

    with Ingest(small_vault(world.store), world.index, fail, Silent(), 2) as ingest:
        ingest.take_disk(whole_disk(noise(SEGMENT, 2)))
        with pytest.raises(EnvironmentTroubleError, match="event store"):
            ingest.finish()

    assert list((world.folder / "drafts").iterdir()) == []
    assert len(set(world.store.pack_ids()) - set(world.index.packs_by_id)) == 1, "an orphan, for the next run to adopt"


def test_what_is_excluded_or_not_allocated_is_not_read(world: World) -> None:
    read: list[Extent] = []
    disk = SparseDisk(
        4 * SEGMENT,
        {0: noise(65_536, 3), SEGMENT: noise(131_072, 4)},
        before_read=lambda offset, length: read.append(Extent(offset, length)),
    )

    root = world.take(disk, (Extent(SEGMENT + 65_536, 65_536),))

    assert sorted(read) == [Extent(0, 65_536), Extent(SEGMENT, 65_536)]
    back = read_back(world.store, world.index, root, 4 * SEGMENT)
    assert back[SEGMENT : SEGMENT + 65_536] == noise(131_072, 4)[:65_536]
    assert not any(back[SEGMENT + 65_536 :])


def test_duplicates_inside_of_a_disk_are_stored_once(world: World) -> None:
    with Ingest(small_vault(world.store), world.index, world.index.record, Silent(), 2) as ingest:
        ingest.take_disk(whole_disk(noise(SEGMENT, 5) * 6))
        ingest.finish()
        figures = ingest.figures

    assert figures.new_bytes == SEGMENT
    assert figures.duplicate_bytes == 5 * SEGMENT
    assert figures.read_bytes == figures.new_bytes + figures.duplicate_bytes + figures.zero_bytes


def test_what_is_not_stored_any_more_is_written_from_where_it_was_read(world: World) -> None:
    """The same chunk stands in the segment twice, and only the second place is read."""
    data, second = noise(SMALL.chunk_bytes_min, 7), SEGMENT // 2
    disk = SparseDisk(SEGMENT, {0: data, second: data})
    old = world.take(disk)
    forgetful = MemoryChunkIndex()
    for pack_id, table in world.index.packs_by_id.items():
        if world.index.facts[pack_id][0] == PackKind.MAP:
            forgetful.add(pack_id, table)
    reader = ChunkReader(small_vault(world.store), forgetful)

    with Ingest(small_vault(world.store), forgetful, forgetful.record, Silent(), 1) as ingest:
        parent = reader.read_root(old)
        taken = ingest.take_changes(disk, parent, [Extent(second, len(data))], (), reader)
        ingest.finish()

    assert (taken.root, taken.chunks_new) == (old, 1)
    assert read_back(world.store, forgetful, old, SEGMENT)[second : second + len(data)] == data


def test_a_file_comes_back_from_its_parts(world: World) -> None:
    content = noise((2 << 20) + 5, 6)
    with Ingest(small_vault(world.store), world.index, world.index.record, Silent(), 1) as ingest:
        parts, none = ingest.take_file(content), ingest.take_file(b"")
        ingest.finish()

    reader = ChunkReader(small_vault(world.store), world.index)
    assert (b"".join(reader.read_node(part) for part in parts), len(parts), none) == (content, 3, ())


def test_a_pack_of_very_many_small_chunks_ends_before_its_table_is_too_large(tmp_path: Path) -> None:
    """Sparse, well compressed disks gave packs of more chunks than a table may hold: no index could take them in."""
    packs: list[WrittenPack] = []
    writer = PackWriter(small_vault(FolderPackStore(tmp_path)), PackKind.DATA, packs.append)
    for start in range(0, 3 * PACK_CHUNKS_TARGET, 4096):
        writer.write([NewChunk(n.to_bytes(32, "big"), n.to_bytes(4, "big")) for n in range(start, start + 4096)])
    writer.finish()

    assert [pack.table.chunk_count for pack in packs] == [PACK_CHUNKS_TARGET] * 3
    assert all(PackTable.decoded(pack.table.encoded()).chunk_count for pack in packs)


def test_a_chunk_that_another_worker_makes_durable_at_this_moment_is_not_stored_twice(tmp_path: Path) -> None:
    """The other one gives up its claim between the two looks of this one: at the index and at the claims."""
    vault = small_vault(FolderPackStore(tmp_path))
    chunk_id = b"x" * 32

    class Overtaken(MemoryChunkIndex):
        def known(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
            before = super().known(chunk_ids)
            other.write([NewChunk(chunk_id, b"content")])
            other.finish()
            return before

    index = Overtaken()
    run = SharedRun(vault, index, index.record, Silent())
    other = PackWriter(vault, PackKind.DATA, run.pack_is_durable)
    run.claims.taken([chunk_id])

    assert run.unstored([chunk_id]) == set()
    assert index.locate([chunk_id])
    assert run.unstored([chunk_id]) == set()


def test_a_claim_on_a_stored_chunk_is_not_kept(tmp_path: Path) -> None:
    vault, index = small_vault(FolderPackStore(tmp_path)), MemoryChunkIndex()
    run = SharedRun(vault, index, index.record, Silent())
    writer = PackWriter(vault, PackKind.DATA, run.pack_is_durable)
    assert run.unstored([b"x" * 32, b"y" * 32]) == {b"x" * 32, b"y" * 32}
    writer.write([NewChunk(b"x" * 32, b"content")])
    writer.finish()

    assert run.unstored([b"x" * 32, b"y" * 32, b"z" * 32]) == {b"z" * 32}
    assert run.claims.ids == {b"y" * 32, b"z" * 32}


_ONE_TEBIBYTE = """
import resource
from blake3 import blake3
from domain.content.chunking import ChunkingParameters
from domain.events.restore_point import StoredDisk
from domain.ports.progress import Silent
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from domain.workflows.restore import restore_disk
from domain.workflows.segment_worker import SharedRun
from tests.doubles.frozen_disks import SparseDisk
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.vaults import small_vault

size = 1 << 40
parts = {n * (51 << 30): blake3(bytes([n])).digest(length=300_000) for n in range(20)}
vault, index = small_vault(chunking=ChunkingParameters()), MemoryChunkIndex()
with Ingest(vault, index, index.record, Silent(), 2) as ingest:
    taken = ingest.take_disk(SparseDisk(size, parts))
    ingest.finish()
disk = StoredDisk(number=0, disk_id="d", name="d", size_bytes=size, sector_size_bytes=512, root=taken.root)

class Checking:
    any_order = False

    seen = 0
    def write(self, offset, data):
        start = max(at for at in parts if at <= offset)
        held = parts[start][offset - start : offset - start + len(data)]
        assert bytes(data) == held.ljust(len(data), bytes(1))
        self.seen += len(held)

writer = Checking()
restore_disk(ChunkReader(vault, index), disk, writer, Silent())
assert writer.seen == sum(map(len, parts.values())), writer.seen
print(taken.segments_total, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.process
def test_a_sparse_disk_of_a_tebibyte_goes_through_in_bounded_memory() -> None:
    done = subprocess.run([sys.executable, "-c", _ONE_TEBIBYTE], cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    segments, peak_kib = map(int, done.stdout.split())
    assert segments == 16_384
    assert peak_kib < 600 << 10
