"""Signed heads beside the shipped history: they go there after the events that they cover, and come back with them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from domain.content.signed_note import VerifierKey
from domain.errors import DamagedDataError
from domain.ports.event_log import StoredRows
from domain.ports.store import HeadStore
from domain.ports.transparency import KeptHead, StoredTree
from domain.workflows.log_shipping import LogShipping
from domain.workflows.sealing import trouble_with_head


@dataclass(frozen=True, slots=True, kw_only=True)
class RecoveredHeads:
    """How many heads came back, the entries that the largest covers, and what is wrong with others, for people."""

    kept: int = 0
    newest_size: int = 0
    troubles: tuple[str, ...] = ()


def ship_head(shipping: LogShipping, store: HeadStore, head: KeptHead) -> None:
    """Put a head into the store. Raises what shipping and the store raise.

    All that it covers is shipped before: a head in the store that covers more than the history there means that some of
    that history is gone.
    """
    if head.size:
        shipping.ship()
        store.write_head(head.size, head.note)


def recover_heads(
    tree: StoredTree,
    rows: StoredRows,
    entries: int,
    store: HeadStore,
    sizes: Sequence[int],
    keys: Sequence[VerifierKey],
) -> RecoveredHeads:
    """Keep each head of these sizes that fits the tree, which holds the ``entries`` that came back and perhaps more.

    Others are told and not kept: nothing counts as sealed by them. ``sizes`` were listed before the history was read:
    what a living installation ships meanwhile is not missed.
    """
    troubles, fitting = [], dict[int, str]()
    for size in sorted(sizes):
        trouble, note = _examined(tree, store, size, entries, keys)
        if trouble is None:
            fitting[size] = note
        else:
            troubles.append(f"signed head of {size} entries: {trouble}")
    for size, number in _numbers(rows, fitting):
        tree.keep(KeptHead(size, number, fitting[size]))
    return RecoveredHeads(kept=len(fitting), newest_size=max(fitting, default=0), troubles=tuple(troubles))


def examine_shipped_heads(tree: StoredTree, store: HeadStore, keys: Sequence[VerifierKey]) -> tuple[str, ...]:
    """What is wrong with the heads in the store, for people."""
    found = ((size, _examined(tree, store, size, tree.followed()[1], keys)[0]) for size in sorted(store.head_sizes()))
    return tuple(f"signed head of {size} entries: {trouble}" for size, trouble in found if trouble is not None)


def _examined(
    tree: StoredTree, store: HeadStore, size: int, entries: int, keys: Sequence[VerifierKey]
) -> tuple[str | None, str]:
    try:
        note = store.read_head(size)
    except DamagedDataError as error:
        return error.what, ""
    if size > entries:
        return f"the last {size - entries} events that it covers are not here", note
    return trouble_with_head(tree, note, keys, size=size), note


def _numbers(rows: StoredRows, sizes: dict[int, str]) -> Iterator[tuple[int, int]]:
    """The number of the last event that a head of each size covers."""
    if not sizes:
        return
    last, entry = max(sizes), 0
    for portion in rows.rows_after(0):
        for row in portion:
            entry += 1
            if entry in sizes:
                yield entry, row.number
            if entry == last:
                return
