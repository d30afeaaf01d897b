from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest
from blake3 import blake3

from domain.content.disk_map import (
    ZERO_ID,
    MappedPiece,
    MapRoot,
    build_map,
    decode_leaf,
    decode_root,
    encode_leaf,
    encode_root,
    height_for,
    walk_leaves,
)
from domain.errors import DamagedDataError

SEGMENT = 4096
Change = Callable[[bytes], bytes]


class Nodes(dict[bytes, bytes]):
    """Nodes by their digests."""

    def keep(self, node: bytes) -> bytes:
        name = blake3(node).digest()
        self[name] = node
        return name

    def load(self, name: bytes) -> bytes:
        return self[name]


def leaf(number: int) -> bytes:
    return ZERO_ID if number % 5 == 4 else number.to_bytes(32, "big")


def built(leaves: list[bytes], nodes: Nodes, tail: int = 0) -> MapRoot:
    size = len(leaves) * SEGMENT - tail
    return decode_root(nodes[build_map(leaves, disk_bytes=size, segment_bytes=SEGMENT, store_node=nodes.keep)])


@pytest.mark.parametrize("count", [1, 2, 255, 256, 257, 65_536, 65_537])
def test_the_leaves_come_back_in_order(count: int) -> None:
    nodes, leaves = Nodes(), [leaf(number) for number in range(count)]

    root = built(leaves, nodes, tail=100)

    assert list(walk_leaves(root, nodes.load)) == leaves
    assert root.height == height_for(count)


@pytest.mark.parametrize("count", [1, 256, 257, 70_000])
def test_a_zero_disk_has_no_node_but_its_root(count: int) -> None:
    nodes = Nodes()

    root = built([ZERO_ID] * count, nodes)

    assert (root.top_id, len(nodes)) == (ZERO_ID, 1)
    assert list(walk_leaves(root, nodes.load)) == [ZERO_ID] * count


def test_equal_parts_share_their_nodes() -> None:
    nodes = Nodes()

    root = built([leaf(number % 256) for number in range(256 * 300)], nodes)

    # One inner node below, two kinds in the middle (256 and 44 children), one at the top, the root.
    assert len(nodes) == 5
    assert list(walk_leaves(root, nodes.load)) == [leaf(number % 256) for number in range(256 * 300)]


def test_one_changed_leaf_changes_the_root_and_one_path() -> None:
    nodes, leaves = Nodes(), [leaf(number) for number in range(65_537)]
    built(leaves, nodes)
    before = set(nodes)

    leaves[40_000] = b"x" * 32
    built(leaves, nodes)

    assert len(set(nodes) - before) == height_for(65_537) + 1


@pytest.mark.parametrize(
    "change",
    [
        lambda node: b"",
        lambda node: node[:-1],
        lambda node: node + b"x",
        lambda node: b"L" + node[1:],
        lambda node: node[:1] + b"\x02" + node[2:],
        lambda node: node[:2] + b"\x07" + node[3:],
        lambda node: node[:4] + struct.pack("<I", 7) + node[8:],
        lambda node: node[:4] + struct.pack("<I", 256) + node[8:] + bytes(64),
        lambda node: node[:4] + struct.pack("<I", 253) + node[8:-32],
    ],
)
def test_a_hostile_inner_node_is_damage(change: Change) -> None:
    nodes = Nodes()
    root = built([leaf(number) for number in range(254)], nodes)
    nodes[root.top_id] = change(nodes[root.top_id])

    with pytest.raises(DamagedDataError):
        list(walk_leaves(root, nodes.load))


def test_a_node_that_names_itself_ends_in_damage_and_not_in_a_circle() -> None:
    nodes = Nodes()
    circle = b"c" * 32
    nodes[circle] = struct.pack("<BBBBI", 0x49, 1, 2, 0, 2) + circle * 2
    root = MapRoot(disk_bytes=300 * SEGMENT, segment_bytes=SEGMENT, height=2, top_id=circle)

    with pytest.raises(DamagedDataError):
        list(walk_leaves(root, nodes.load))


ROOT = MapRoot(disk_bytes=300 * SEGMENT, segment_bytes=SEGMENT, height=2, top_id=b"t" * 32)


def test_a_root_reads_back() -> None:
    assert decode_root(encode_root(ROOT)) == ROOT


@pytest.mark.parametrize(
    "root",
    [
        replace(ROOT, height=1),
        replace(ROOT, height=200),
        replace(ROOT, disk_bytes=0),
        replace(ROOT, disk_bytes=1 << 63),
        replace(ROOT, segment_bytes=0),
        MapRoot(disk_bytes=1 << 40, segment_bytes=(1 << 32) - 1, height=2, top_id=b"t" * 32),
    ],
)
def test_a_hostile_root_is_damage(root: MapRoot) -> None:
    with pytest.raises(DamagedDataError):
        decode_root(encode_root(root))


def test_what_is_no_root_is_damage() -> None:
    good = encode_root(ROOT)
    for data in (b"", good[:-1], good + b"x", b"I" + good[1:], good[:1] + b"\x02" + good[2:]):
        with pytest.raises(DamagedDataError):
            decode_root(data)


PIECES = [MappedPiece(8192, b"a" * 32), MappedPiece(65_536, ZERO_ID), MappedPiece(100, b"b" * 32)]
COVERED = 8192 + 65_536 + 100


def test_a_leaf_reads_back() -> None:
    assert decode_leaf(encode_leaf(PIECES), COVERED) == PIECES


@pytest.mark.parametrize(
    "change",
    [
        lambda node: b"",
        lambda node: node[:-1],
        lambda node: node + bytes(32),
        lambda node: b"I" + node[1:],
        lambda node: node[:1] + b"\x02" + node[2:],
        lambda node: node[:4] + bytes(4) + node[8:],
        lambda node: node[:4] + b"\xff" * 4 + node[8:],
        lambda node: node[:8] + struct.pack("<I", 8193) + node[12:],
        lambda node: node[:12] + struct.pack("<I", 65_536) + node[16:],
    ],
)
def test_a_hostile_leaf_is_damage(change: Change) -> None:
    with pytest.raises(DamagedDataError):
        decode_leaf(change(encode_leaf(PIECES)), COVERED)


def test_a_leaf_of_another_segment_length_is_damage() -> None:
    with pytest.raises(DamagedDataError):
        decode_leaf(encode_leaf(PIECES), COVERED + 1)


def test_a_leaf_with_an_absurd_chunk_or_an_empty_piece_is_damage() -> None:
    for pieces in ([MappedPiece(2 << 20, b"a" * 32)], [MappedPiece(0, b"a" * 32), MappedPiece(4096, b"b" * 32)]):
        with pytest.raises(DamagedDataError):
            decode_leaf(encode_leaf(pieces), sum(piece.length for piece in pieces))
