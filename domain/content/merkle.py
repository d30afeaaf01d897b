"""The Merkle tree of the transparency log: RFC 6962 section 2.1, with SHA-256.

A node at (level, index) covers the leaves ``index << level`` to ``(index + 1) << level``, all of which exist; no such
node ever changes again. The root over any number of leaves, and every proof, is made of such nodes only, so whoever
answers for them (a ``NodeReader``) needs no tree in memory. Proofs are checked as RFC 9162 sections 2.1.3.2 and 2.1.4.2
say.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from domain.errors import DamagedDataError

HASH_BYTES = 32
EMPTY_ROOT = hashlib.sha256(b"").digest()
SIZE_LIMIT = 1 << 63

NodeReader = Callable[[int, int], bytes]
"""``(level, index)`` to the 32 bytes of a node whose leaves all exist."""


class ProofError(DamagedDataError):
    """A proof does not hold: what it speaks of is not in the tree, or one tree does not extend the other."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry."""
    return hashlib.sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of two neighbouring nodes."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def node_over(hashes: bytes) -> bytes:
    """The hash of the node over a power of two of neighbouring nodes, whose hashes stand end to end."""
    while len(hashes) > HASH_BYTES:
        pairs = range(0, len(hashes), 2 * HASH_BYTES)
        hashes = b"".join([hashlib.sha256(b"\x01" + hashes[at : at + 2 * HASH_BYTES]).digest() for at in pairs])
    return hashes


def root_of(leaf_hashes: Iterable[bytes]) -> bytes:
    """The root over all ``leaf_hashes``, in memory that grows with the logarithm of their number."""
    frontier = Frontier()
    for leaf in leaf_hashes:
        frontier.append(leaf)
    return frontier.root()


def root_at(size: int, node: NodeReader) -> bytes:
    """The root over the first ``size`` leaves."""
    return _root_of_range(0, size, node) if size else EMPTY_ROOT


class Frontier:
    """The right edge of a growing tree: the complete subtrees that its root is made of, the largest first."""

    def __init__(self, size: int = 0, subtrees: Sequence[bytes] = ()) -> None:
        assert len(subtrees) == size.bit_count()
        self.size = size
        self._subtrees = list(subtrees)

    @classmethod
    def at(cls, size: int, node: NodeReader) -> Frontier:
        """The frontier over the first ``size`` leaves."""
        return cls(size, [node(level, index) for level, index in _complete_subtrees(0, size)])

    def append(self, leaf: bytes) -> None:
        """Add a leaf on the right."""
        carried = self.size
        while carried & 1:
            leaf = node_hash(self._subtrees.pop(), leaf)
            carried >>= 1
        self._subtrees.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        """The root over all leaves so far."""
        return _joined(self._subtrees) if self._subtrees else EMPTY_ROOT


def inclusion_proof(index: int, size: int, node: NodeReader) -> list[bytes]:
    """The proof that leaf ``index`` is in the tree of the first ``size`` leaves: its siblings, the deepest first."""
    if not 0 <= index < size:
        raise ValueError("there is no such leaf in a tree of this size")
    path: list[bytes] = []
    start, end = 0, size
    while end - start > 1:
        middle = start + _split(end - start)
        if index < middle:
            path.append(_root_of_range(middle, end, node))
            end = middle
        else:
            path.append(_root_of_range(start, middle, node))
            start = middle
    path.reverse()
    return path


def consistency_proof(old_size: int, new_size: int, node: NodeReader) -> list[bytes]:
    """The proof that the tree of ``new_size`` leaves begins with the one of ``old_size``; empty for 0 and for equal."""
    if not 0 <= old_size <= new_size:
        raise ValueError("the old tree is not the smaller one")
    if old_size in {0, new_size}:
        return []
    path: list[bytes] = []
    start, end = 0, new_size
    while end != old_size:
        middle = start + _split(end - start)
        if old_size <= middle:
            path.append(_root_of_range(middle, end, node))
            end = middle
        else:
            path.append(_root_of_range(start, middle, node))
            start = middle
    if start:
        path.append(_root_of_range(start, end, node))
    path.reverse()
    return path


def check_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that ``leaf`` is at ``index`` in the tree with ``root``. Raises ProofError."""
    if not 0 <= index < size <= SIZE_LIMIT:
        raise _no_proof("The proof speaks of a position that the tree does not have.")
    place, last = index, size - 1
    found = leaf
    for sibling in _checked(proof):
        if last == 0:
            raise _no_proof("The proof is too long for a tree of its size.")
        if place & 1 or place == last:
            found = node_hash(sibling, found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            found = node_hash(found, sibling)
        place, last = place >> 1, last >> 1
    if last:
        raise _no_proof("The proof is too short for a tree of its size.")
    if found != root:
        raise _no_proof("The entry is not in the tree: the proof does not lead to its root.")


def check_consistency(old_size: int, old_root: bytes, new_size: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the new tree begins with all of the old one. Raises ProofError."""
    if not 0 <= old_size <= new_size <= SIZE_LIMIT:
        raise _no_proof("The newer tree is the smaller one.")
    if old_size in {0, new_size}:
        if proof:
            raise _no_proof("The proof is longer than there is anything to prove.")
        if old_root != (EMPTY_ROOT if old_size == 0 else new_root):
            raise _no_proof("Two trees of one size have different roots.")
        return
    old_found, new_found = _consistent_roots(old_size, old_root, new_size, _checked(proof))
    if old_found != old_root or new_found != new_root:
        raise _no_proof("The newer tree does not begin with the older one.")


def tree_nodes(leaf_hashes: Sequence[bytes]) -> NodeReader:
    """The nodes over leaves that are in memory, each computed once; for trees of modest size."""
    known: dict[tuple[int, int], bytes] = {}

    def node(level: int, index: int) -> bytes:
        if level == 0:
            return leaf_hashes[index]
        if (level, index) not in known:
            known[level, index] = node_hash(node(level - 1, 2 * index), node(level - 1, 2 * index + 1))
        return known[level, index]

    return node


def _consistent_roots(old_size: int, old_root: bytes, new_size: int, proof: Sequence[bytes]) -> tuple[bytes, bytes]:
    """The two roots that a proof leads to, RFC 9162 2.1.4.2."""
    hashes = [old_root, *proof] if old_size.bit_count() == 1 else list(proof)
    if not hashes:
        raise _no_proof("The proof is too short for trees of these sizes.")
    place, last = old_size - 1, new_size - 1
    while place & 1:
        place, last = place >> 1, last >> 1
    old_found = new_found = hashes[0]
    for one in hashes[1:]:
        if last == 0:
            raise _no_proof("The proof is too long for trees of these sizes.")
        if place & 1 or place == last:
            old_found, new_found = node_hash(one, old_found), node_hash(one, new_found)
            while not place & 1 and place:
                place, last = place >> 1, last >> 1
        else:
            new_found = node_hash(new_found, one)
        place, last = place >> 1, last >> 1
    if last:
        raise _no_proof("The proof is too short for trees of these sizes.")
    return old_found, new_found


def _root_of_range(start: int, end: int, node: NodeReader) -> bytes:
    return _joined([node(level, index) for level, index in _complete_subtrees(start, end)])


def _complete_subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The complete subtrees of ``start..end``, the largest first; ``start`` is aligned to the first of them."""
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def _joined(subtrees: Sequence[bytes]) -> bytes:
    root = subtrees[-1]
    for left in reversed(subtrees[:-1]):
        root = node_hash(left, root)
    return root


def _split(leaves: int) -> int:
    """The largest power of two below ``leaves``, which are at least 2."""
    return 1 << ((leaves - 1).bit_length() - 1)


def _checked(proof: Sequence[bytes]) -> Sequence[bytes]:
    if any(len(one) != HASH_BYTES for one in proof):
        raise _no_proof("The proof has a hash of another length than SHA-256.")
    return proof


def _no_proof(what: str) -> ProofError:
    return ProofError(what, next_step="It was altered, or it belongs to another log.")
