"""Changing some leaves of a disk map: only the inner nodes above them are loaded and stored anew."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from domain.content.disk_map import (
    FAN_OUT,
    ZERO_ID,
    MapRoot,
    decode_inner,
    encode_inner,
    encode_root,
    height_for,
    segment_count,
)
from domain.errors import DamagedDataError

LoadNode = Callable[[bytes], bytes]
StoreNode = Callable[[bytes], bytes]


def merge_map(
    parent: MapRoot, changed: Mapping[int, bytes], *, disk_bytes: int, load_node: LoadNode, store_node: StoreNode
) -> bytes:
    """The root's id of the parent's map with the leaves ``changed`` (number to id) put in, for ``disk_bytes``.

    Equal to ``build_map`` over all leaves. Segments that the disk grew by are zero unless they are in ``changed``; when
    the size changed, the segment at the old and the one at the new end must be, because their lengths are others.
    Memory: one path of the tree, and the numbers of the changed segments. Raises DamagedDataError.
    """
    old = _Tree(parent, load_node)
    count = segment_count(disk_bytes, parent.segment_bytes)
    height = height_for(count)
    numbers = sorted(changed)
    assert not numbers or 0 <= numbers[0] <= numbers[-1] < count
    top_id = _Merge(old, changed, numbers, count, store_node).node(height, 0, old.at_left_edge(height))
    root = MapRoot(disk_bytes=disk_bytes, segment_bytes=parent.segment_bytes, height=height, top_id=top_id)
    return store_node(encode_root(root))


def leaves_at(root: MapRoot, numbers: Iterable[int], load_node: LoadNode) -> Iterator[tuple[int, bytes]]:
    """The ids of the leaves ``numbers`` (ascending), lazily, loading each inner node above them once."""
    tree = _Tree(root, load_node)
    path: list[tuple[int, list[bytes]]] = []
    for number in numbers:
        assert 0 <= number < tree.count
        node_id = root.top_id
        for depth, level in enumerate(range(root.height, 0, -1)):
            index = number // FAN_OUT**level
            if depth >= len(path) or path[depth][0] != index:
                del path[depth:]
                path.append((index, tree.children(level, index, node_id)))
            node_id = path[depth][1][number // FAN_OUT ** (level - 1) % FAN_OUT]
        yield number, node_id


@dataclass(frozen=True, slots=True)
class _Tree:
    """The parent's tree. A node that it does not have is None; above its top there is an edge of one child each."""

    root: MapRoot
    load_node: LoadNode

    @property
    def count(self) -> int:
        return segment_count(self.root.disk_bytes, self.root.segment_bytes)

    def share(self, level: int, index: int) -> int:
        """How many of the parent's leaves a node covers."""
        below: int = FAN_OUT**level
        return max(0, min(below, self.count - index * below))

    def at_left_edge(self, level: int) -> bytes | None:
        """The first node of a level; None above the top."""
        if level > self.root.height:
            return None
        node_id = self.root.top_id
        for higher in range(self.root.height, level, -1):
            node_id = self.children(higher, 0, node_id)[0]
        return node_id

    def children(self, level: int, index: int, node_id: bytes) -> list[bytes]:
        count = -(-self.share(level, index) // FAN_OUT ** (level - 1))
        if node_id == ZERO_ID:
            return [ZERO_ID] * count
        children = decode_inner(self.load_node(node_id), level)
        if len(children) != count:
            raise DamagedDataError(
                "A disk map is damaged: an inner node has the wrong number of children.",
                next_step="Restore another point of this machine, and keep the repository as it is.",
            )
        return children

    def child(self, level: int, index: int, children: list[bytes] | None, number: int) -> bytes | None:
        """The node ``number`` of the level below; ``children`` are those of the node ``index`` if there is one."""
        if children is not None:
            place = number - index * FAN_OUT
            return children[place] if place < len(children) else None
        return self.at_left_edge(level - 1) if number == 0 else None


@dataclass(frozen=True, slots=True)
class _Merge:
    old: _Tree
    changed: Mapping[int, bytes]
    numbers: list[int]
    count: int
    store_node: StoreNode

    def node(self, level: int, index: int, old_id: bytes | None) -> bytes:
        """The id of a node after the merge."""
        below = FAN_OUT**level
        first, stop = index * below, min((index + 1) * below, self.count)
        position = bisect_left(self.numbers, first)
        untouched = position == len(self.numbers) or self.numbers[position] >= stop
        if level == 0:
            return self.changed[index] if not untouched else old_id or ZERO_ID
        share = self.old.share(level, index)
        if untouched and share == 0:
            return ZERO_ID
        if untouched and old_id is not None and (share == stop - first or old_id == ZERO_ID):
            return old_id
        children = self.old.children(level, index, old_id) if old_id is not None else None
        below //= FAN_OUT
        group = [
            self.node(level - 1, number, self.old.child(level, index, children, number))
            for number in range(first // below, -(-stop // below))
        ]
        return encode_inner(group, level, self.store_node)
