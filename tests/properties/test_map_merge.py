"""Merging changes into a parent's map gives the map over all leaves."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.disk_map import FAN_OUT, ZERO_ID, build_map, decode_root, segment_count
from domain.content.map_merge import leaf_ids_at, merge_map
from domain.errors import DamagedDataError

SEGMENT = 4096


class Nodes:
    """A store of nodes that counts what is asked of it."""

    def __init__(self) -> None:
        self.content: dict[bytes, bytes] = {}
        self.loaded = 0

    def store(self, node: bytes) -> bytes:
        node_id = hashlib.sha256(node).digest()
        self.content[node_id] = node
        return node_id

    def load(self, node_id: bytes) -> bytes:
        self.loaded += 1
        return self.content[node_id]


def leaf(number: int, version: int = 1) -> bytes:
    return version.to_bytes(8, "big") + number.to_bytes(24, "big")


def built(nodes: Nodes, leaves: list[bytes]) -> bytes:
    return build_map(leaves, disk_bytes=len(leaves) * SEGMENT, segment_bytes=SEGMENT, store_node=nodes.store)


counts = st.sampled_from([1, 2, 255, 256, 257, 511, 512, 513, 65536, 65537, 66000])


@settings(deadline=None, max_examples=60)
@given(before=counts, after=counts, data=st.data())
def test_a_merge_is_the_map_over_all_leaves(before: int, after: int, data: st.DataObject) -> None:
    nodes = Nodes()
    filled = data.draw(st.sampled_from(["all", "none", "start", "sparse"]))
    old = [ZERO_ID] * before
    for at in {"all": range(before), "none": (), "start": range(min(3, before)), "sparse": range(0, before, 301)}[
        filled
    ]:
        old[at] = leaf(at)
    places = data.draw(st.lists(st.integers(0, after - 1), max_size=5))
    changed = {at: data.draw(st.sampled_from([ZERO_ID, leaf(at, 2)])) for at in places}
    new = (old + [ZERO_ID] * after)[:after]
    for at, value in changed.items():
        new[at] = value
    parent = decode_root(nodes.load(built(nodes, old)))

    merged = merge_map(parent, changed, disk_bytes=after * SEGMENT, load_node=nodes.load, store_node=nodes.store)

    assert merged == built(nodes, new)


@pytest.mark.parametrize("count", [1, 5, 256, 257, 70000])
def test_chosen_leaves_are_found_where_they_are(count: int) -> None:
    nodes = Nodes()
    leaves = [leaf(at) if at // 300 % 2 == 0 else ZERO_ID for at in range(count)]
    root = decode_root(nodes.content[built(nodes, leaves)])
    numbers = sorted({0, count // 2, count // 3, max(0, count - 2), count - 1})

    assert list(leaf_ids_at(root, numbers, nodes.load)) == [(at, leaves[at]) for at in numbers]


def test_one_change_touches_one_path() -> None:
    nodes = Nodes()
    count = 3 * FAN_OUT * FAN_OUT
    parent = decode_root(nodes.content[built(nodes, [leaf(at) for at in range(count)])])
    before = len(nodes.content)

    merge_map(parent, {70000: leaf(70000, 2)}, disk_bytes=count * SEGMENT, load_node=nodes.load, store_node=nodes.store)

    assert nodes.loaded == parent.height == 3
    assert len(nodes.content) - before == parent.height + 1
    assert segment_count(parent.disk_bytes, SEGMENT) == count


def test_a_change_outside_of_the_disk_is_refused() -> None:
    nodes = Nodes()
    parent = decode_root(nodes.content[built(nodes, [leaf(0)])])

    with pytest.raises(ValueError, match="outside"):
        merge_map(parent, {1: leaf(1)}, disk_bytes=SEGMENT, load_node=nodes.load, store_node=nodes.store)


def test_a_node_with_too_few_children_is_damage() -> None:
    nodes = Nodes()
    parent = decode_root(nodes.content[built(nodes, [leaf(at) for at in range(300)])])
    short = {key: value for key, value in nodes.content.items() if key != parent.top_id}
    wrong = next(value for value in short.values() if value[0] == 0x49)

    with pytest.raises(DamagedDataError):
        merge_map(
            parent, {299: leaf(299, 2)}, disk_bytes=300 * SEGMENT, load_node=lambda _id: wrong, store_node=nodes.store
        )
