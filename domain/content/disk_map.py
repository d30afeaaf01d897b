"""Disk maps: a disk's content as a Merkle tree of segments (docs/formats/disk-map.md).

A leaf lists a segment's pieces; inner nodes list up to 256 children; the root names the disk's size and the top node.
Equal content has equal roots, so "identical" is one comparison. An all-zero part has no node: its id is ``ZERO_ID``.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from domain.content.chunking import CHUNK_BYTES_LIMIT, SEGMENT_BYTES_LIMIT
from domain.content.packs import CHUNK_ID_BYTES
from domain.errors import DamagedDataError

ZERO_ID = bytes(CHUNK_ID_BYTES)
FAN_OUT = 256
DISK_BYTES_MAX = 64 << 40

_LEAF_TAG, _INNER_TAG, _ROOT_TAG = 0x4C, 0x49, 0x52
_LEAF_HEAD = struct.Struct("<BBHI")
_INNER_HEAD = struct.Struct("<BBBBI")
_ROOT = struct.Struct("<BBBBIQ32s")
ZERO_FLAG = 1 << 31
"""Marks the length of a zero piece in a leaf."""


@dataclass(frozen=True, slots=True)
class MappedPiece:
    """A part of a segment: ``length`` bytes that are the chunk ``chunk_id``, or zero for ``ZERO_ID``."""

    length: int
    chunk_id: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class MapRoot:
    """The top of a disk map."""

    disk_bytes: int
    segment_bytes: int
    height: int
    top_id: bytes


def encode_leaf(pieces: Sequence[MappedPiece]) -> bytes:
    """A segment's pieces as a leaf node."""
    lengths = np.array(
        [piece.length | (ZERO_FLAG if piece.chunk_id == ZERO_ID else 0) for piece in pieces], dtype="<u4"
    )
    ids = b"".join(piece.chunk_id for piece in pieces if piece.chunk_id != ZERO_ID)
    return encode_leaf_columns(lengths, ids)


def encode_leaf_columns(words: npt.NDArray[np.uint32], ids: bytes) -> bytes:
    """A leaf node of columns as ``leaf_columns`` gives them."""
    return _LEAF_HEAD.pack(_LEAF_TAG, 1, 0, len(words)) + words.tobytes() + ids


def decode_any_leaf(data: bytes) -> list[MappedPiece]:
    """The pieces of a leaf, whatever the length of its segment. Raises DamagedDataError."""
    if len(data) < _LEAF_HEAD.size:
        raise _damaged("a leaf is too short")
    count = _LEAF_HEAD.unpack_from(data)[3]
    if len(data) < _LEAF_HEAD.size + 4 * count:
        raise _damaged("a leaf is cut short")
    words = np.frombuffer(data, "<u4", count, _LEAF_HEAD.size)
    return decode_leaf(data, int((words & np.uint32(ZERO_FLAG - 1)).sum(dtype=np.int64)))


def decode_leaf(data: bytes, segment_bytes: int) -> list[MappedPiece]:
    """The pieces of a leaf that covers ``segment_bytes``. Raises DamagedDataError."""
    words, ids = leaf_columns(data, segment_bytes)
    pieces = []
    position = 0
    for word in words.tolist():
        if word >= ZERO_FLAG:
            pieces.append(MappedPiece(word - ZERO_FLAG, ZERO_ID))
            continue
        pieces.append(MappedPiece(word, ids[position : position + CHUNK_ID_BYTES]))
        position += CHUNK_ID_BYTES
    return pieces


def leaf_columns(data: bytes, segment_bytes: int) -> tuple[npt.NDArray[np.uint32], bytes]:
    """A leaf that covers ``segment_bytes``: the words of its pieces, and the ids of those that are chunks, end to end.

    A word is a piece's length, with ``ZERO_FLAG`` for a zero piece. Raises DamagedDataError.
    """
    if len(data) < _LEAF_HEAD.size:
        raise _damaged("a leaf is too short")
    tag, version, _reserved, count = _LEAF_HEAD.unpack_from(data)
    if tag != _LEAF_TAG or version != 1 or not 0 < count <= segment_bytes:
        raise _damaged("a node is no leaf")
    ids_at = _LEAF_HEAD.size + 4 * count
    if len(data) < ids_at:
        raise _damaged("a leaf is cut short")
    words = np.frombuffer(data, "<u4", count, _LEAF_HEAD.size)
    lengths = words & np.uint32(ZERO_FLAG - 1)
    of_chunks = lengths[words < np.uint32(ZERO_FLAG)]
    is_covered = int(lengths.sum(dtype=np.int64)) == segment_bytes and bool(lengths.all())
    if len(data) != ids_at + CHUNK_ID_BYTES * len(of_chunks) or not is_covered:
        raise _damaged("a leaf does not cover its segment")
    if len(of_chunks) and int(of_chunks.max()) > CHUNK_BYTES_LIMIT:
        raise _damaged("a leaf names an absurd chunk")
    return words, data[ids_at:]


def leaf_chunks(data: bytes, segment_bytes: int) -> tuple[bytes, npt.NDArray[np.int64]]:
    """The chunks of a leaf in bulk, zero pieces left out: ids end to end, and lengths. Raises DamagedDataError."""
    if len(data) < _LEAF_HEAD.size:
        raise _damaged("a leaf is too short")
    tag, version, _reserved, count = _LEAF_HEAD.unpack_from(data)
    ids_at = _LEAF_HEAD.size + 4 * count
    if tag != _LEAF_TAG or version != 1 or len(data) < ids_at:
        raise _damaged("a node is no leaf")
    words = np.frombuffer(data, "<u4", count, _LEAF_HEAD.size)
    lengths = (words & np.uint32(ZERO_FLAG - 1)).astype(np.int64)
    of_chunks = lengths[words < np.uint32(ZERO_FLAG)]
    if int(lengths.sum()) != segment_bytes or len(data) != ids_at + CHUNK_ID_BYTES * len(of_chunks):
        raise _damaged("a leaf does not cover its segment")
    return data[ids_at:], of_chunks


def encode_root(root: MapRoot) -> bytes:
    """The root node."""
    return _ROOT.pack(_ROOT_TAG, 1, root.height, 0, root.segment_bytes, root.disk_bytes, root.top_id)


def decode_root(data: bytes) -> MapRoot:
    """Read a root node. Raises DamagedDataError."""
    if len(data) != _ROOT.size:
        raise _damaged("a root has the wrong length")
    tag, version, height, _reserved, segment_bytes, disk_bytes, top_id = _ROOT.unpack(data)
    if tag != _ROOT_TAG or version != 1 or not 0 < disk_bytes <= DISK_BYTES_MAX:
        raise _damaged("a node is no root")
    if not 0 < segment_bytes <= SEGMENT_BYTES_LIMIT:
        raise _damaged("a root has absurd segments")
    root = MapRoot(disk_bytes=disk_bytes, segment_bytes=segment_bytes, height=height, top_id=top_id)
    if height != height_for(segment_count(disk_bytes, segment_bytes)):
        raise _damaged("a root has the wrong height")
    return root


def segment_count(disk_bytes: int, segment_bytes: int) -> int:
    """How many segments a disk has; the last one may be shorter."""
    return -(-disk_bytes // segment_bytes)


def height_for(leaf_count: int) -> int:
    """How many levels of inner nodes stand above ``leaf_count`` leaves."""
    height = 0
    while leaf_count > 1:
        leaf_count = -(-leaf_count // FAN_OUT)
        height += 1
    return height


def build_map(
    leaf_ids: Iterable[bytes], *, disk_bytes: int, segment_bytes: int, store_node: Callable[[bytes], bytes]
) -> bytes:
    """Build the tree over the leaves of a disk and return the root's id.

    ``store_node`` takes an encoded node and returns its id; it is called for each inner node and for the root.
    Memory: 32 bytes a segment.
    """
    level_ids = list(leaf_ids)
    assert len(level_ids) == segment_count(disk_bytes, segment_bytes)
    height = 0
    while len(level_ids) > 1:
        height += 1
        groups = (level_ids[i : i + FAN_OUT] for i in range(0, len(level_ids), FAN_OUT))
        level_ids = [store_inner(group, height, store_node) for group in groups]
    root = MapRoot(disk_bytes=disk_bytes, segment_bytes=segment_bytes, height=height, top_id=level_ids[0])
    return store_node(encode_root(root))


def walk_leaves(root: MapRoot, load_node: Callable[[bytes], bytes]) -> Iterator[bytes]:
    """The leaf ids of a disk in order, ``ZERO_ID`` for an all-zero segment. Raises DamagedDataError.

    ``load_node`` gives a node's verified bytes. Memory: one path of the tree.
    """
    yield from _walk(root.top_id, root.height, segment_count(root.disk_bytes, root.segment_bytes), load_node)


def walk_chosen_leaves(
    root: MapRoot, load_node: Callable[[bytes], bytes], choose: Callable[[Sequence[bytes]], Sequence[bool]]
) -> Iterator[tuple[bytes, int]]:
    """The leaves below chosen nodes, each with the length of its segment; parts that are zero are passed over.

    ``choose`` is asked about the children of a node, all at once, before they are loaded: whether to go on below each.
    Memory: one path of the tree.
    """
    leaves = segment_count(root.disk_bytes, root.segment_bytes)
    waiting = [(root.top_id, root.height, 0)] if root.top_id != ZERO_ID and choose([root.top_id])[0] else []
    while waiting:
        node_id, level, first = waiting.pop()
        if level == 0:
            yield node_id, min(root.segment_bytes, root.disk_bytes - first * root.segment_bytes)
            continue
        below = FAN_OUT ** (level - 1)
        children = decode_inner(load_node(node_id), level)
        if len(children) != len(range(first, min(leaves, first + FAN_OUT * below), below)):
            raise _damaged("an inner node has the wrong number of children")
        used = [(child, first + number * below) for number, child in enumerate(children) if child != ZERO_ID]
        chosen = choose([child for child, _ in used])
        waiting += [(child, level - 1, start) for (child, start), yes in zip(used, chosen, strict=True) if yes][::-1]


def store_inner(group: Sequence[bytes], level: int, store_node: Callable[[bytes], bytes]) -> bytes:
    """Store the inner node over up to 256 children and return its id; nothing is stored over an all-zero part."""
    if all(child == ZERO_ID for child in group):
        return ZERO_ID
    return store_node(_INNER_HEAD.pack(_INNER_TAG, 1, level, 0, len(group)) + b"".join(group))


def _walk(node_id: bytes, level: int, leaves: int, load_node: Callable[[bytes], bytes]) -> Iterator[bytes]:
    if level == 0:
        yield node_id
        return
    below = FAN_OUT ** (level - 1)
    shares = [min(below, leaves - start) for start in range(0, leaves, below)]
    children = [ZERO_ID] * len(shares) if node_id == ZERO_ID else decode_inner(load_node(node_id), level)
    if len(children) != len(shares):
        raise _damaged("an inner node has the wrong number of children")
    for child, share in zip(children, shares, strict=True):
        yield from _walk(child, level - 1, share, load_node)


def decode_inner(data: bytes, level: int) -> list[bytes]:
    """The ids of an inner node's children. Raises DamagedDataError when it is no inner node of ``level``."""
    if len(data) < _INNER_HEAD.size:
        raise _damaged("an inner node is too short")
    tag, version, found, _reserved, count = _INNER_HEAD.unpack_from(data)
    start = _INNER_HEAD.size
    if (tag, version, found) != (_INNER_TAG, 1, level) or len(data) != start + CHUNK_ID_BYTES * count:
        raise _damaged("a node is no inner node of its level")
    return [data[i : i + CHUNK_ID_BYTES] for i in range(start, len(data), CHUNK_ID_BYTES)]


def _damaged(why: str) -> DamagedDataError:
    return DamagedDataError(
        f"A disk map is damaged: {why}.",
        next_step="Restore another point of this machine, and keep the repository as it is.",
    )
