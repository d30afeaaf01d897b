"""Asking for a head to be signed on another machine, and taking the signed head back."""

from __future__ import annotations

from collections.abc import Sequence

from domain.content.head_request import HeadRequest
from domain.content.merkle import consistency_proof, root_at
from domain.content.signed_note import TreeHead, VerifierKey, verified_head
from domain.errors import BadInputError, DamagedDataError
from domain.ports.event_log import StoredRows
from domain.ports.transparency import KeptHead, StoredTree
from domain.workflows.sealing import trouble_with_head


def head_request(tree: StoredTree, origin: str, since: int | None = None) -> HeadRequest:
    """Take in what is new, and ask for a head over all of it, proven from ``since`` entries on.

    Else it is proven from the newest kept head on. Raises BadInputError for a ``since`` that the log does not have.
    """
    size = tree.follow()
    old_size = max((head.size for head in tree.heads()), default=0) if since is None else since
    if old_size > size:
        raise BadInputError(
            f"The log has {size} entries, fewer than {old_size}.",
            where=tree.location,
            next_step="If a head of that size was signed, entries were removed: `atesta audit witness` shows it.",
        )
    with tree.nodes() as node:
        proof = consistency_proof(old_size, size, node)
        return HeadRequest(TreeHead(origin, size, root_at(size, node)), old_size, tuple(proof))


def add_head(tree: StoredTree, rows: StoredRows, note: str, keys: Sequence[VerifierKey]) -> KeptHead:
    """Keep the head ``note``, which the log extends and one of ``keys`` signed. Raises DamagedDataError."""
    trouble = trouble_with_head(tree, note, keys)
    if trouble is not None:
        raise DamagedDataError(
            f"The signed head is not one of this log: {trouble}.",
            where=tree.location,
            next_step="See whether it answers the last request; `atesta audit check` looks at the log.",
        )
    size = verified_head(note, keys).size
    head = KeptHead(size, _number_at(tree, rows, size), note)
    tree.keep(head)
    return head


def _number_at(tree: StoredTree, rows: StoredRows, size: int) -> int:
    """The number of the last event that a head of ``size`` entries covers, counted on from the head before it."""
    before = max((head for head in tree.heads() if head.size <= size), key=lambda head: head.size, default=None)
    number, at = (before.number, before.size) if before is not None else (0, 0)
    if at == size:
        return number
    for portion in rows.rows_after(number):
        if at + len(portion) >= size:
            return portion[size - at - 1].number
        at += len(portion)
    raise DamagedDataError(
        "The event store has fewer events than the log.",
        where=tree.location,
        next_step="`atesta audit check` shows from where on they are gone.",
    )
