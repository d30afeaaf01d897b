"""Merging changed leaves into a map gives the map that is built of all leaves."""

from __future__ import annotations

import pytest
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content import disk_map, map_merge
from domain.content.disk_map import ZERO_ID, build_map, decode_root, segment_count, walk_leaves
from domain.content.map_merge import leaves_at, merge_map

SEGMENT = 4096


class Nodes:
    """A store of nodes that counts what is loaded."""

    def __init__(self) -> None:
        self.nodes: dict[bytes, bytes] = {}
        self.loaded = 0

    def store(self, node: bytes) -> bytes:
        node_id = blake3(node).digest()
        self.nodes[node_id] = node
        return node_id

    def load(self, node_id: bytes) -> bytes:
        self.loaded += 1
        return self.nodes[node_id]


def leaf(value: int) -> bytes:
    return value.to_bytes(32, "big")


leaf_lists = st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=1, max_size=40)


@given(leaf_lists, leaf_lists, st.data())
@settings(max_examples=400, deadline=None)
def test_a_merge_equals_building_everything(before: list[int], after: list[int], data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for module in (disk_map, map_merge):
            patch.setattr(module, "FAN_OUT", 3)  # trees of four levels
        nodes = Nodes()
        size = len(after) * SEGMENT
        parent_id = build_map(
            map(leaf, before), disk_bytes=len(before) * SEGMENT, segment_bytes=SEGMENT, store_node=nodes.store
        )
        parent = decode_root(nodes.nodes[parent_id])
        old = before[: len(after)] + [0] * (len(after) - len(before))
        changed = {
            number: leaf(value)
            for number, value in enumerate(after)
            if value != old[number] or data.draw(st.booleans(), label=f"leaf {number} is given")
        }

        merged = merge_map(parent, changed, disk_bytes=size, load_node=nodes.load, store_node=nodes.store)

        assert merged == build_map(map(leaf, after), disk_bytes=size, segment_bytes=SEGMENT, store_node=nodes.store)
        root = decode_root(nodes.nodes[merged])
        assert list(walk_leaves(root, nodes.load)) == [leaf(value) for value in after]
        wanted = sorted(data.draw(st.sets(st.integers(0, len(after) - 1)), label="wanted"))
        assert list(leaves_at(root, wanted, nodes.load)) == [(number, leaf(after[number])) for number in wanted]


def test_one_changed_leaf_of_a_large_disk_loads_one_path() -> None:
    nodes = Nodes()
    size = 1 << 40
    count = segment_count(size, 1 << 24)
    parent_id = build_map(
        (leaf(number + 1) for number in range(count)), disk_bytes=size, segment_bytes=1 << 24, store_node=nodes.store
    )
    parent = decode_root(nodes.nodes[parent_id])

    merge_map(parent, {777: leaf(5)}, disk_bytes=size, load_node=nodes.load, store_node=nodes.store)

    assert nodes.loaded == parent.height == 2
    assert leaf(0) == ZERO_ID
