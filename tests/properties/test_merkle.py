"""The Merkle tree against two implementations that share nothing with it.

`plain_root`, `plain_path` and `plain_proof` are RFC 6962 sections 2.1, 2.1.1 and 2.1.2 word for word: recursive, slow,
and without the nodes, the frontier or the loops of domain/content/merkle.py. `rekor_verifier` is a library by others
that checks the proofs of another public log.
"""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rekor_verifier import merkle_proof as theirs

from domain.content.merkle import (
    ProofError,
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_at,
    root_of,
    tree_nodes,
)

SIZE_MAX = 140
ENTRIES = [number.to_bytes(2, "big") for number in range(SIZE_MAX)]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
NODES = tree_nodes(LEAVES)
_SIZES_AROUND_POWERS = sorted(
    {size for power in (1, 2, 4, 8, 16, 32, 64, 128) for size in (power - 1, power, power + 1)}
)


def plain_root(entries: list[bytes]) -> bytes:
    if not entries:
        return hashlib.sha256().digest()
    if len(entries) == 1:
        return hashlib.sha256(b"\x00" + entries[0]).digest()
    k = largest_power_of_two_below(len(entries))
    return hashlib.sha256(b"\x01" + plain_root(entries[:k]) + plain_root(entries[k:])).digest()


def plain_path(m: int, entries: list[bytes]) -> list[bytes]:
    if len(entries) == 1:
        return []
    k = largest_power_of_two_below(len(entries))
    if m < k:
        return [*plain_path(m, entries[:k]), plain_root(entries[k:])]
    return [*plain_path(m - k, entries[k:]), plain_root(entries[:k])]


def plain_proof(m: int, entries: list[bytes]) -> list[bytes]:
    return plain_subproof(m, entries, whole=True)


def plain_subproof(m: int, entries: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(entries):
        return [] if whole else [plain_root(entries)]
    k = largest_power_of_two_below(len(entries))
    if m <= k:
        return [*plain_subproof(m, entries[:k], whole=whole), plain_root(entries[k:])]
    return [*plain_subproof(m - k, entries[k:], whole=False), plain_root(entries[:k])]


def largest_power_of_two_below(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


@pytest.mark.parametrize("size", _SIZES_AROUND_POWERS)
def test_roots_around_powers_of_two_are_those_of_the_definition(size: int) -> None:
    assert root_of(LEAVES[:size]) == root_at(size, NODES) == plain_root(ENTRIES[:size])


@pytest.mark.parametrize("size", [size for size in _SIZES_AROUND_POWERS if 0 < size <= 33])
def test_every_inclusion_proof_is_that_of_the_definition_and_holds(size: int) -> None:
    root = plain_root(ENTRIES[:size])
    for index in range(size):
        proof = inclusion_proof(index, size, NODES)
        assert proof == plain_path(index, ENTRIES[:size])
        check_inclusion(LEAVES[index], index, size, proof, root)


@pytest.mark.parametrize("new", [size for size in _SIZES_AROUND_POWERS if 0 < size <= 33])
def test_every_consistency_proof_is_that_of_the_definition_and_holds(new: int) -> None:
    for old in range(1, new + 1):
        proof = consistency_proof(old, new, NODES)
        assert proof == plain_proof(old, ENTRIES[:new])
        check_consistency(old, plain_root(ENTRIES[:old]), new, plain_root(ENTRIES[:new]), proof)


@given(st.data())
@settings(deadline=None)
def test_an_independent_library_agrees_on_inclusion_and_refuses_what_is_altered(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE_MAX))
    index = data.draw(st.integers(0, size - 1))
    proof, root = inclusion_proof(index, size, NODES), root_at(size, NODES)
    told = [one.hex() for one in proof]
    theirs.verify_inclusion(theirs.DEFAULT_HASHER, index, size, LEAVES[index].hex(), told, root.hex())
    with pytest.raises(theirs.RootMismatchError):
        theirs.verify_inclusion(theirs.DEFAULT_HASHER, index, size, _flipped(LEAVES[index]).hex(), told, root.hex())


@given(st.data())
@settings(deadline=None)
def test_an_independent_library_agrees_on_consistency_and_refuses_another_history(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, SIZE_MAX))
    old = data.draw(st.integers(1, new - 1))
    told = [one.hex() for one in consistency_proof(old, new, NODES)]
    before, after = root_at(old, NODES).hex(), root_at(new, NODES).hex()
    theirs.verify_consistency(theirs.DEFAULT_HASHER, old, new, told, before, after)
    with pytest.raises(theirs.RootMismatchError):
        theirs.verify_consistency(theirs.DEFAULT_HASHER, old, new, told, before, _flipped(root_at(new, NODES)).hex())


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_altered_inclusion_proof_does_not_hold(data: st.DataObject) -> None:
    size = data.draw(st.integers(1, SIZE_MAX))
    index = data.draw(st.integers(0, size - 1))
    proof = inclusion_proof(index, size, NODES)
    root = root_at(size, NODES)
    leaf, place, altered = data.draw(_alterations(LEAVES[index], index, proof))
    with pytest.raises(ProofError):
        check_inclusion(leaf, place, size, altered, root)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_an_altered_consistency_proof_does_not_hold(data: st.DataObject) -> None:
    new = data.draw(st.integers(2, SIZE_MAX))
    old = data.draw(st.integers(1, new - 1))
    proof = consistency_proof(old, new, NODES)
    old_root, new_root = root_at(old, NODES), root_at(new, NODES)
    what = data.draw(st.sampled_from(["old root", "new root", "flip", "drop", "add", "swap roots"]))
    if what == "old root":
        old_root = _flipped(old_root)
    elif what == "new root":
        new_root = _flipped(new_root)
    elif what == "swap roots":
        old_root, new_root = new_root, old_root
    elif what == "flip":
        at = data.draw(st.integers(0, len(proof) - 1))
        proof[at] = _flipped(proof[at])
    elif what == "drop":
        proof.pop(data.draw(st.integers(0, len(proof) - 1)))
    else:
        proof.insert(data.draw(st.integers(0, len(proof))), bytes(32))
    with pytest.raises(ProofError):
        check_consistency(old, old_root, new, new_root, proof)


@given(st.integers(0, SIZE_MAX), st.integers(0, SIZE_MAX), st.lists(st.binary(min_size=32, max_size=32), max_size=12))
@settings(deadline=None)
def test_invented_proofs_are_refused_and_end(index: int, size: int, proof: list[bytes]) -> None:
    with pytest.raises(ProofError):
        check_inclusion(bytes(32), index, size, proof, b"r" * 32)
    if index != size:
        with pytest.raises(ProofError):
            check_consistency(index, b"o" * 32, size, b"n" * 32, proof)


@st.composite
def _alterations(draw: st.DrawFn, leaf: bytes, index: int, proof: list[bytes]) -> tuple[bytes, int, list[bytes]]:
    what = draw(st.sampled_from(["leaf", "add", *(["flip", "drop", "index"] if proof else [])]))
    altered = list(proof)
    if what == "leaf":
        return _flipped(leaf), index, altered
    if what == "add":
        altered.insert(draw(st.integers(0, len(proof))), bytes(32))
    elif what == "flip":
        at = draw(st.integers(0, len(proof) - 1))
        altered[at] = _flipped(altered[at])
    elif what == "drop":
        altered.pop(draw(st.integers(0, len(proof) - 1)))
    else:
        return leaf, index ^ 1, altered
    return leaf, index, altered


def _flipped(one: bytes) -> bytes:
    return bytes([one[0] ^ 1]) + one[1:]
