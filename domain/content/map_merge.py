"""A synthetic full: the parent's map and the changed segments give the new map. Only paths to changes are touched."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from domain.content.disk_map import (
    FAN_OUT,
    ZERO_ID,
    MapRoot,
    decode_inner,
    encode_root,
    height_for,
    segment_count,
    store_inner,
)
from domain.errors import DamagedDataError


def merge_map(
    parent: MapRoot,
    changed: Mapping[int, bytes],
    *,
    disk_bytes: int,
    load_node: Callable[[bytes], bytes],
    store_node: Callable[[bytes], bytes],
) -> bytes:
    """The root's id of the map in which the segments ``changed`` (number to leaf id) replace the parent's.

    The disk may have grown or shrunk; a segment whose length differs from the parent's must be among ``changed``, and
    new segments that are not are zero. The result is what ``build_map`` gives over all leaves. Time and memory follow
    the changes: nodes on the way to one are loaded and stored, one path at a time. Raises DamagedDataError.
    """
    leaves = segment_count(disk_bytes, parent.segment_bytes)
    if changed and not 0 <= min(changed) <= max(changed) < leaves:
        raise ValueError("a changed segment lies outside of the disk")
    height = height_for(leaves)
    old_top, old_height = _brought_down(parent, height, load_node)
    merge = _Merge(
        old_leaves=segment_count(parent.disk_bytes, parent.segment_bytes),
        old_top=old_top,
        old_height=old_height,
        leaves=leaves,
        changed=changed,
        numbers=sorted(changed),
        load_node=load_node,
        store_node=store_node,
    )
    top_id = merge.node(height, 0, old_top)
    root = MapRoot(disk_bytes=disk_bytes, segment_bytes=parent.segment_bytes, height=height, top_id=top_id)
    return store_node(encode_root(root))


def leaf_ids_at(
    root: MapRoot, numbers: Iterable[int], load_node: Callable[[bytes], bytes]
) -> Iterator[tuple[int, bytes]]:
    """The leaf ids of the segments ``numbers`` (ascending, inside the disk). Loads each node on the way once."""
    path: list[tuple[int, list[bytes]]] = []
    for number in numbers:
        node_id = root.top_id
        for depth, level in enumerate(range(root.height, 0, -1)):
            if node_id == ZERO_ID:
                break
            index = number // FAN_OUT**level
            if len(path) <= depth or path[depth][0] != index:
                del path[depth:]
                path.append((index, decode_inner(load_node(node_id), level)))
            node_id = path[depth][1][number // FAN_OUT ** (level - 1) % FAN_OUT]
        yield number, node_id


def _brought_down(parent: MapRoot, height: int, load_node: Callable[[bytes], bytes]) -> tuple[bytes, int]:
    """The parent's node over the first segments, at most as high as the new tree, and its height."""
    top_id, level = parent.top_id, parent.height
    while level > height:
        top_id = ZERO_ID if top_id == ZERO_ID else decode_inner(load_node(top_id), level)[0]
        level -= 1
    return top_id, level


@dataclass(frozen=True, slots=True, kw_only=True)
class _Merge:
    old_leaves: int
    old_top: bytes
    old_height: int
    leaves: int
    changed: Mapping[int, bytes]
    numbers: list[int]
    load_node: Callable[[bytes], bytes]
    store_node: Callable[[bytes], bytes]

    def node(self, level: int, index: int, old_id: bytes) -> bytes:
        """The id of the new node over the segments from ``index * 256**level`` on; ``old_id`` stood there before.

        Above the old top nothing stood; the old top is found again on the way down to it.
        """
        share = FAN_OUT**level
        first, end = index * share, min((index + 1) * share, self.leaves)
        is_changed = bisect_left(self.numbers, first) < bisect_left(self.numbers, end)
        if level == 0:
            return self.changed[index] if is_changed else old_id
        if not is_changed and level <= self.old_height and end == min((index + 1) * share, self.old_leaves):
            return old_id
        if not is_changed and first >= self.old_leaves:
            return ZERO_ID
        below = share // FAN_OUT
        count = -(-(end - first) // below)
        old_children = self._old_children(level, index, old_id, count)
        children = [self.node(level - 1, index * FAN_OUT + place, child) for place, child in enumerate(old_children)]
        return store_inner(children, level, self.store_node)

    def _old_children(self, level: int, index: int, old_id: bytes, count: int) -> list[bytes]:
        """What stood in the places of ``count`` children; zero where nothing did."""
        if level > self.old_height:
            found = [self.old_top] if index == 0 else []
        elif old_id == ZERO_ID:
            found = []
        else:
            found = decode_inner(self.load_node(old_id), level)
            share = FAN_OUT ** (level - 1)
            had = -(-(min((index + 1) * share * FAN_OUT, self.old_leaves) - index * share * FAN_OUT) // share)
            if len(found) != had:
                raise DamagedDataError(
                    "A disk map is damaged: an inner node has the wrong number of children.",
                    next_step="Run a full backup of this machine: `atesta backup --full`.",
                )
        return (found + [ZERO_ID] * count)[:count]
