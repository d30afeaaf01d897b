from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
from blake3 import blake3

from adapters.stores.memory import MemoryPackStore
from domain.content.packs import HEADER_BYTES, PackKind
from domain.errors import DamagedDataError
from domain.events.restore_point import StoredDisk, StoredFile
from domain.ports.chunk_index import ChunkPlace
from domain.ports.progress import Silent
from domain.workflows import chunk_reading
from domain.workflows.chunk_reading import ChunkReader, load_layout
from domain.workflows.ingest import Ingest
from domain.workflows.restore import read_stored_file, restore_disk
from tests.doubles.collecting_writer import CollectingWriter
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.vaults import SMALL, small_vault

SEGMENT = SMALL.segment_bytes
SIZE = 4 * SEGMENT


@dataclass
class World:
    """Two disks that share nothing, each in packs of its own."""

    store: MemoryPackStore
    index: MemoryChunkIndex
    disks: list[StoredDisk]
    contents: list[bytes]

    def reader(self) -> ChunkReader:
        return ChunkReader(small_vault(self.store), self.index)

    def restored(self, number: int) -> bytes:
        writer = CollectingWriter(SIZE)
        restore_disk(self.reader(), self.disks[number], writer, Silent())
        return bytes(writer.content)

    def pack_of(self, kind: PackKind) -> bytes:
        """The first disk's pack of a kind."""
        vault = small_vault(self.store)
        return next(pack for pack in self.index.packs_by_id if load_layout(vault, pack).header.kind is kind)

    def damage(self, pack_id: bytes, offset: int) -> None:
        content = bytearray(self.store.read_pack(pack_id, 0, self.store.pack_bytes(pack_id)))
        content[offset] ^= 1
        self.store.delete_pack(pack_id)
        self.store.add(pack_id, bytes(content))


@pytest.fixture
def world() -> World:
    store, index = MemoryPackStore(), MemoryChunkIndex()
    contents = [blake3(bytes([number])).digest(length=SIZE) for number in range(2)]
    disks = []
    for number, content in enumerate(contents):
        with Ingest(small_vault(store), index, index.record, Silent(), 1) as ingest:
            root = ingest.take_disk(whole_disk(content)).root
            ingest.finish()
        disks.append(
            StoredDisk(number=number, disk_id="d", name="d", size_bytes=SIZE, sector_size_bytes=512, root=root)
        )
    return World(store, index, disks, contents)


def test_a_damaged_frame_is_named_with_its_pack_and_the_bytes_of_the_disk(world: World) -> None:
    pack = world.pack_of(PackKind.DATA)
    layout = load_layout(small_vault(world.store), pack)
    world.damage(pack, layout.frame_place(layout.table.frame_count - 1)[0] + 7)

    with pytest.raises(DamagedDataError) as caught:
        world.restored(0)

    assert f"pack {pack.hex()}" in caught.value.where
    assert f"disk bytes {3 * SEGMENT} to {4 * SEGMENT}" in caught.value.where
    assert caught.value.next_step
    assert world.restored(1) == world.contents[1]


@pytest.mark.parametrize("kind", list(PackKind))
@pytest.mark.parametrize("offset", [0, 8, 10, 13, 40, -1, -9, -17])
def test_damage_of_header_footer_or_trailer_costs_nothing_when_an_event_has_the_table(
    world: World, kind: PackKind, offset: int
) -> None:
    pack = world.pack_of(kind)
    world.damage(pack, offset)

    assert world.restored(0) == world.contents[0]
    world.index.facts.clear()
    with pytest.raises(DamagedDataError) as caught:
        world.restored(0)
    assert pack.hex() in caught.value.where


@pytest.mark.parametrize("kind", list(PackKind))
@pytest.mark.parametrize("offset", [16, 31, HEADER_BYTES, HEADER_BYTES + 1])
def test_damage_anywhere_else_in_a_pack_is_told_and_the_other_disk_is_untouched(
    world: World, kind: PackKind, offset: int
) -> None:
    pack = world.pack_of(kind)
    world.damage(pack, offset)

    with pytest.raises(DamagedDataError) as caught:
        world.restored(0)

    assert pack.hex() in caught.value.where
    assert world.restored(1) == world.contents[1]


@pytest.mark.parametrize("kind", list(PackKind))
def test_a_missing_pack_is_told(world: World, kind: PackKind) -> None:
    pack = world.pack_of(kind)
    world.store.delete_pack(pack)

    with pytest.raises(DamagedDataError) as caught:
        world.restored(0)

    assert pack.hex() in caught.value.where
    assert world.restored(1) == world.contents[1]


def test_a_pack_that_was_replaced_by_another_one_is_told(world: World) -> None:
    first, _, second = list(world.index.packs_by_id)[:3]
    other = world.store.read_pack(second, 0, world.store.pack_bytes(second))
    world.store.delete_pack(first)
    world.store.add(first, other)

    with pytest.raises(DamagedDataError):
        world.restored(0)


def test_an_index_that_points_at_another_chunk_cannot_deceive(world: World) -> None:
    class Lying(MemoryChunkIndex):
        def locate(self, chunk_ids: object) -> dict[bytes, ChunkPlace]:
            found = world.index.locate(chunk_ids)  # type: ignore[arg-type]
            return {one: replace(place, ordinal=max(0, place.ordinal - 1)) for one, place in found.items()}

    with pytest.raises(DamagedDataError, match="not what was written"):
        restore_disk(ChunkReader(small_vault(world.store), Lying()), world.disks[0], None, Silent())


def test_a_chunk_that_the_index_does_not_know_leads_to_a_rebuild(world: World) -> None:
    with pytest.raises(DamagedDataError, match="not in the index") as caught:
        restore_disk(ChunkReader(small_vault(world.store), MemoryChunkIndex()), world.disks[0], None, Silent())

    assert "atesta rebuild" in caught.value.next_step


def test_the_packs_of_another_key_do_not_open(world: World) -> None:
    with pytest.raises(DamagedDataError):
        restore_disk(ChunkReader(small_vault(world.store, seed=2), world.index), world.disks[0], None, Silent())


def test_a_point_whose_size_is_not_that_of_its_map_is_damage(world: World) -> None:
    with pytest.raises(DamagedDataError, match="size"):
        restore_disk(world.reader(), replace(world.disks[0], size_bytes=SIZE + 512), None, Silent())


def test_the_tables_that_a_reader_keeps_are_bounded_by_their_chunks(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chunk_reading, "_LAYOUT_CHUNKS_MAX", 1)
    reader = world.reader()

    for disk in world.disks:
        restore_disk(reader, disk, None, Silent())

    assert len(reader._layouts) == 1


def test_a_leaf_is_not_taken_for_a_root(world: World) -> None:
    reader = world.reader()
    leaf = next(reader.leaf_ids(reader.read_root(world.disks[0].root)))

    with pytest.raises(DamagedDataError):
        reader.read_root(leaf)


def test_a_file_of_another_size_is_damage(world: World) -> None:
    with pytest.raises(DamagedDataError, match="size"):
        read_stored_file(world.reader(), StoredFile(name="f", size_bytes=5, chunk_ids=(world.disks[0].root,)))
