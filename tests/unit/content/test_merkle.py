"""The published vectors of Certificate Transparency, and refusals."""

from __future__ import annotations

import hashlib

import pytest

from domain.content.merkle import (
    EMPTY_ROOT,
    Frontier,
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

ENTRIES = [
    bytes.fromhex(text)
    for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
LEAVES = [leaf_hash(entry) for entry in ENTRIES]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
NODES = tree_nodes(LEAVES)


def test_the_empty_tree_has_the_published_root() -> None:
    assert root_of([]) == EMPTY_ROOT
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


@pytest.mark.parametrize("size", range(1, 9))
def test_trees_have_the_published_roots(size: int) -> None:
    assert root_of(LEAVES[:size]).hex() == ROOTS[size - 1]
    assert root_at(size, NODES).hex() == ROOTS[size - 1]


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (
            0,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            5,
            8,
            [
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
        (
            1,
            5,
            [
                "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_inclusion_proofs_are_the_published_ones(index: int, size: int, proof: list[str]) -> None:
    made = inclusion_proof(index, size, NODES)

    assert [one.hex() for one in made] == proof
    check_inclusion(LEAVES[index], index, size, made, bytes.fromhex(ROOTS[size - 1]))


@pytest.mark.parametrize(
    ("old", "new", "proof"),
    [
        (1, 1, []),
        (
            1,
            8,
            [
                "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
            ],
        ),
        (
            6,
            8,
            [
                "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
                "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
                "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
            ],
        ),
        (
            2,
            5,
            [
                "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
                "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            ],
        ),
    ],
)
def test_consistency_proofs_are_the_published_ones(old: int, new: int, proof: list[str]) -> None:
    made = consistency_proof(old, new, NODES)

    assert [one.hex() for one in made] == proof
    check_consistency(old, bytes.fromhex(ROOTS[old - 1]), new, bytes.fromhex(ROOTS[new - 1]), made)


def test_an_inner_node_does_not_pass_for_an_entry() -> None:
    both = LEAVES[0] + LEAVES[1]
    with pytest.raises(ProofError, match="not lead to its root"):
        check_inclusion(leaf_hash(both), 0, 1, [], root_of(LEAVES[:2]))
    assert hashlib.sha256(b"\x01" + both).digest() == root_of(LEAVES[:2])


@pytest.mark.parametrize(("index", "size"), [(-1, 3), (3, 3), (0, 0)])
def test_there_is_no_proof_for_a_leaf_that_is_not_there(index: int, size: int) -> None:
    with pytest.raises(ValueError, match="no such leaf"):
        inclusion_proof(index, size, NODES)
    with pytest.raises(ProofError, match="does not have"):
        check_inclusion(LEAVES[0], index, size, [], root_of(LEAVES[:3]))


def test_an_older_tree_cannot_be_the_larger_one() -> None:
    with pytest.raises(ValueError, match="not the smaller"):
        consistency_proof(4, 3, NODES)
    with pytest.raises(ProofError, match="smaller"):
        check_consistency(4, root_of(LEAVES[:4]), 3, root_of(LEAVES[:3]), [])


def test_two_heads_of_one_size_with_different_roots_are_a_split_view() -> None:
    with pytest.raises(ProofError, match="different roots"):
        check_consistency(3, root_of(LEAVES[:3]), 3, root_of(LEAVES[1:4]), [])


def test_a_wrong_root_of_the_empty_tree_is_refused() -> None:
    with pytest.raises(ProofError):
        check_consistency(0, bytes(32), 3, root_of(LEAVES[:3]), [])


def test_hashes_of_another_length_are_refused() -> None:
    with pytest.raises(ProofError, match="another length"):
        check_inclusion(LEAVES[0], 0, 2, [LEAVES[1] + b"\x00"], root_of(LEAVES[:2]))
    with pytest.raises(ProofError, match="another length"):
        check_consistency(1, LEAVES[0], 2, root_of(LEAVES[:2]), [b""])


@pytest.mark.parametrize("size", range(9))
def test_a_frontier_that_is_taken_up_again_goes_on_as_if_nothing_had_happened(size: int) -> None:
    frontier = Frontier.at(size, NODES)
    for leaf in LEAVES[size:]:
        frontier.append(leaf)
    assert frontier.root().hex() == ROOTS[-1]
