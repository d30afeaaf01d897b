"""Reading chunks and map nodes back: look up, read whole frames in large pieces, open, verify against their ids."""

from __future__ import annotations

import threading
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from domain.content.disk_map import ZERO_ID, MappedPiece, MapRoot, decode_leaf, decode_root, walk_leaves
from domain.content.leaf import Leaf
from domain.content.packs import (
    HEADER_BYTES,
    TRAILER_BYTES,
    PackLayout,
    decode_header,
    footer_bytes,
    header_as_written,
    open_footer,
)
from domain.errors import DamagedDataError
from domain.ports.chunk_index import ChunkIndex, ChunkPlace, RecordedPack
from domain.ports.store import PackStore
from domain.workflows.vault import Vault

_READ_BYTES_MAX = 1 << 20
_GAP_BYTES_MAX = 64 << 10
_LAYOUTS_MAX = 512
_LAYOUT_CHUNKS_MAX = 1 << 20
_NODE_FRAMES_MAX = 8
_MOVES_MAX = 4
ResultT = TypeVar("ResultT")


def load_layout(vault: Vault, pack_id: bytes) -> PackLayout:
    """Read a pack's header and footer. Raises DamagedDataError naming the pack."""
    store = vault.store
    try:
        size = store.pack_bytes(pack_id)
        if size < HEADER_BYTES + TRAILER_BYTES:
            raise DamagedDataError("A pack is damaged: it is too short.")
        header = decode_header(store.read_pack(pack_id, 0, HEADER_BYTES), vault.repository_id)
        length = footer_bytes(store.read_pack(pack_id, size - TRAILER_BYTES, TRAILER_BYTES), size)
        footer = store.read_pack(pack_id, size - TRAILER_BYTES - length, length)
        return PackLayout(vault.keys, header, open_footer(vault.keys, header, footer, size))
    except DamagedDataError as error:
        raise DamagedDataError(error.what, where=f"pack {pack_id.hex()}", next_step=error.next_step) from error


def recorded_layout(vault: Vault, pack_id: bytes, recorded: RecordedPack) -> PackLayout:
    """A pack's layout by its event, for one whose own header, footer or trailer is damaged: only its salt is needed.

    Raises DamagedDataError when the pack is missing or has lost its header.
    """
    header = vault.store.read_pack(pack_id, 0, HEADER_BYTES)
    return PackLayout(vault.keys, header_as_written(header, recorded.kind, vault.repository_id), recorded.table)


def readable_layout(vault: Vault, index: ChunkIndex, pack_id: bytes) -> PackLayout:
    """A pack's layout, from its own footer or else from the event that named it. Raises DamagedDataError."""
    try:
        return load_layout(vault, pack_id)
    except DamagedDataError:
        recorded = index.recorded(pack_id)
        if recorded is None:
            raise
        try:
            return recorded_layout(vault, pack_id, recorded)
        except DamagedDataError as error:
            raise DamagedDataError(error.what, where=f"pack {pack_id.hex()}", next_step=error.next_step) from error


def sealed_frames(
    store: PackStore, pack_id: bytes, layout: PackLayout, frames: Sequence[int]
) -> Iterator[tuple[int, memoryview]]:
    """Read ascending frames of one pack, neighbouring ones in one piece of at most 4 MiB."""
    for group in _neighbours(layout, frames):
        start = layout.frame_place(group[0])[0]
        last, length = layout.frame_place(group[-1])
        data = memoryview(store.read_pack(pack_id, start, last + length - start))
        for frame in group:
            offset, sealed_bytes = layout.frame_place(frame)
            yield frame, data[offset - start : offset - start + sealed_bytes]


class ChunkReader:
    """Reads verified plain bytes; safe from several threads.

    A pack may go away under a reader, because its chunks were moved to another one: then they are looked up again.
    """

    def __init__(self, vault: Vault, index: ChunkIndex) -> None:
        self._vault = vault
        self._index = index
        self._layouts: OrderedDict[bytes, PackLayout] = OrderedDict()
        self._node_frames: OrderedDict[tuple[bytes, int], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def read_root(self, root_id: bytes) -> MapRoot:
        """The root node ``root_id``. Raises DamagedDataError."""
        return decode_root(self.read_node(root_id))

    def leaf_ids(self, root: MapRoot) -> Iterator[bytes]:
        """The leaves of a disk in order. Raises DamagedDataError."""
        return walk_leaves(root, self.read_node)

    def read_leaf(self, leaf_id: bytes, segment_bytes: int) -> list[MappedPiece]:
        """The pieces of a leaf. Raises DamagedDataError."""
        return decode_leaf(self.read_node(leaf_id), segment_bytes)

    def read_leaf_columns(self, leaf_id: bytes, segment_bytes: int) -> Leaf:
        """A leaf, of which few pieces are wanted; ``ZERO_ID`` is a segment without data. Raises DamagedDataError."""
        return Leaf.zero(segment_bytes) if leaf_id == ZERO_ID else Leaf.decoded(self.read_node(leaf_id), segment_bytes)

    def read_node(self, node_id: bytes) -> bytes:
        """A map node's or configuration file part's verified bytes. Raises DamagedDataError."""
        return self._following([node_id], lambda places: self._read_node_at(node_id, places[node_id]))

    def _read_node_at(self, node_id: bytes, place: ChunkPlace) -> bytes:
        layout = self._layout(place.pack_id)
        frame = layout.frame_of(place.ordinal)
        key = (place.pack_id, frame)
        with self._lock:
            plain = self._node_frames.get(key)
        if plain is None:
            plain = self._open(
                place.pack_id, layout, frame, self._vault.store.read_pack(place.pack_id, *layout.frame_place(frame))
            )
            with self._lock:
                self._node_frames[key] = plain
                while len(self._node_frames) > _NODE_FRAMES_MAX:
                    self._node_frames.popitem(last=False)
        start, end = layout.chunk_span(place.ordinal)
        node = plain[start:end]
        if self._vault.keys.map_id(node) != node_id:
            raise _not_what_was_written(place.pack_id)
        return node

    def read_segment(self, pieces: Sequence[MappedPiece], segment: memoryview) -> int:
        """Fill ``segment`` with the chunks of ``pieces``; zero pieces are left as they are. Returns the chunk count.

        Every chunk is verified against its id. Raises DamagedDataError naming the pack.
        """
        wanted: dict[bytes, list[int]] = defaultdict(list)
        offset = 0
        for piece in pieces:
            if piece.chunk_id != ZERO_ID:
                wanted[piece.chunk_id].append(offset)
            offset += piece.length
        lengths = {piece.chunk_id: piece.length for piece in pieces}
        self._following(list(wanted), lambda places: self._read_chunks_at(places, wanted, lengths, segment))
        return sum(len(offsets) for offsets in wanted.values())

    def _read_chunks_at(
        self,
        places: Mapping[bytes, ChunkPlace],
        wanted: Mapping[bytes, Sequence[int]],
        lengths: Mapping[bytes, int],
        segment: memoryview,
    ) -> None:
        frames: dict[bytes, dict[int, list[tuple[int, bytes]]]] = defaultdict(lambda: defaultdict(list))
        for chunk_id, place in places.items():
            layout = self._layout(place.pack_id)
            frames[place.pack_id][layout.frame_of(place.ordinal)].append((place.ordinal, chunk_id))
        for pack_id, in_pack in frames.items():
            layout = self._layout(pack_id)
            for frame, sealed in sealed_frames(self._vault.store, pack_id, layout, sorted(in_pack)):
                plain = memoryview(self._open(pack_id, layout, frame, sealed))
                for ordinal, chunk_id in in_pack[frame]:
                    start, end = layout.chunk_span(ordinal)
                    data = plain[start:end]
                    if end - start != lengths[chunk_id] or self._vault.keys.chunk_id(data) != chunk_id:
                        raise _not_what_was_written(pack_id)
                    for target in wanted[chunk_id]:
                        segment[target : target + len(data)] = data

    def _following(self, chunk_ids: Sequence[bytes], read: Callable[[dict[bytes, ChunkPlace]], ResultT]) -> ResultT:
        """Read chunks where they are, and again where they are now when that fails and they have moved meanwhile."""
        places = self._places(chunk_ids)
        for _move in range(_MOVES_MAX):
            try:
                return read(places)
            except DamagedDataError:
                self._index.catch_up()
                now = self._places(chunk_ids)
                if now == places:
                    raise
                self._forget({place.pack_id for place in places.values()})
                places = now
        return read(places)

    def _forget(self, pack_ids: set[bytes]) -> None:
        with self._lock:
            for pack_id in pack_ids:
                self._layouts.pop(pack_id, None)
            for key in [key for key in self._node_frames if key[0] in pack_ids]:
                del self._node_frames[key]

    def _places(self, chunk_ids: Sequence[bytes]) -> dict[bytes, ChunkPlace]:
        places = self._index.locate(chunk_ids)
        if len(places) < len(chunk_ids):
            missing = next(chunk_id for chunk_id in chunk_ids if chunk_id not in places)
            raise DamagedDataError(
                "A chunk is not in the index.",
                where=f"chunk {missing.hex()[:16]}",
                next_step="Run `atesta rebuild` to make the index again from the events.",
            )
        return places

    def _layout(self, pack_id: bytes) -> PackLayout:
        with self._lock:
            layout = self._layouts.get(pack_id)
            if layout is not None:
                self._layouts.move_to_end(pack_id)
                return layout
        layout = readable_layout(self._vault, self._index, pack_id)
        with self._lock:
            self._layouts[pack_id] = layout
            chunks = sum(one.table.chunk_count for one in self._layouts.values())
            while len(self._layouts) > 1 and (len(self._layouts) > _LAYOUTS_MAX or chunks > _LAYOUT_CHUNKS_MAX):
                chunks -= self._layouts.popitem(last=False)[1].table.chunk_count
        return layout

    def _open(self, pack_id: bytes, layout: PackLayout, frame: int, sealed: memoryview | bytes) -> bytes:
        try:
            return layout.open_frame(frame, sealed)
        except DamagedDataError as error:
            raise DamagedDataError(error.what, where=f"pack {pack_id.hex()}", next_step=error.next_step) from error


def _neighbours(layout: PackLayout, frames: Sequence[int]) -> Iterator[list[int]]:
    """Group ascending frames so that each group is one read of at most 4 MiB with small gaps."""
    group: list[int] = []
    start = end = 0
    for frame in frames:
        offset, length = layout.frame_place(frame)
        if group and (offset - end > _GAP_BYTES_MAX or offset + length - start > _READ_BYTES_MAX):
            yield group
            group = []
        if not group:
            start = offset
        group.append(frame)
        end = offset + length
    if group:
        yield group


def _not_what_was_written(pack_id: bytes) -> DamagedDataError:
    return DamagedDataError(
        "A chunk is not what was written.",
        where=f"pack {pack_id.hex()}",
        next_step="Run `atesta rebuild`; if it stays, restore another point of this machine.",
    )
