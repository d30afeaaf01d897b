"""Signing heads of the transparency log, and holding the log against its events and against heads from elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest

from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash, root_at
from domain.content.shipped_log import StoredRow
from domain.content.signed_note import SigningKey, TreeHead, VerifierKey, parse_head, parse_note, verified_head
from domain.errors import DamagedDataError
from domain.events.repository import SigningKeyAdopted
from domain.ports.event_log import EventLog, StoredRows
from domain.ports.transparency import KeptHead, StoredTree


def seal(tree: StoredTree, key: SigningKey) -> KeptHead:
    """Take in what is new, sign a head over all of it unless there is one, keep it and return it."""
    tree.follow()
    number, size = tree.followed()
    newest = next(reversed(tree.heads()), None)
    if newest is not None and newest.size == size:
        return newest
    with tree.nodes() as node:
        head = KeptHead(size, number, key.sign(TreeHead(key.name, size, root_at(size, node))))
    tree.keep(head)
    return head


@dataclass(frozen=True, slots=True, kw_only=True)
class ExaminedLog:
    """What an examination found: entries compared, heads that hold, and what does not hold, for people."""

    entries: int
    heads: int
    troubles: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedHead:
    """A head from elsewhere: how many entries it covers, and why today's log does not extend it, if it does not.

    ``origin`` is the log that it speaks of. ``size`` is 0 where the text cannot be read.
    """

    origin: str
    size: int
    trouble: str | None


def examine_log(tree: StoredTree, rows: StoredRows, keys: Sequence[VerifierKey]) -> ExaminedLog:
    """Hold the tree against the events, and each kept head against the tree. Raises DamagedDataError."""
    entries, last, troubles = 0, 0, []
    for leaf, row in zip_longest(tree.leaves(), _rows(rows)):
        if leaf is None:
            break
        if row is None:
            troubles.append(f"entry {entries} and all after it: their events are gone")
            break
        if leaf_hash(encode_entry(entry_of(row))) != leaf:
            troubles.append(f"entry {entries}: event {row.number} is not the one that was recorded")
            break
        entries, last = entries + 1, row.number
    if not troubles and tree.followed() != (last, entries):
        troubles.append(f"entry {entries}: what was followed is not what is there")
    held = 0
    for kept in tree.heads():
        trouble = trouble_with_head(tree, kept.note, keys)
        if trouble is None:
            held += 1
        else:
            troubles.append(f"head of {kept.size} entries: {trouble}")
    return ExaminedLog(entries=entries, heads=held, troubles=tuple(troubles))


def witness(tree: StoredTree, notes: Sequence[str], keys: Sequence[VerifierKey]) -> list[WitnessedHead]:
    """What today's log says to each head, the smallest first. Raises DamagedDataError when the tree cannot be read."""
    return sorted((_witnessed(tree, note, keys) for note in notes), key=lambda one: one.size)


def _witnessed(tree: StoredTree, note: str, keys: Sequence[VerifierKey]) -> WitnessedHead:
    try:
        head = parse_head(parse_note(note).text)
    except DamagedDataError as error:
        return WitnessedHead(origin="", size=0, trouble=error.what)
    return WitnessedHead(origin=head.origin, size=head.size, trouble=trouble_with_head(tree, note, keys))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sealed:
    """Up to which event's number a head that holds covers everything; 0 without one.

    ``trouble`` is what is wrong with the newest head that was kept, or with the tree; empty when nothing is.
    ``has_keys`` is whether the history names a key at all.
    """

    up_to: int = 0
    trouble: str = ""
    has_keys: bool = False


def sealed(tree: StoredTree, rows: StoredRows, keys: Sequence[VerifierKey]) -> Sealed:
    """Look for the newest kept head that one of the keys signed and that fits the tree and the last event it covers.

    Costs a signature, a path of the tree and an event. The events before are held against it by ``examine_log``.
    """
    told = ""
    try:
        for kept in reversed(tree.heads()):
            trouble = _trouble_with_kept(tree, rows, kept, keys)
            if trouble is None:
                return Sealed(up_to=kept.number, trouble=told, has_keys=bool(keys))
            told = told or f"the head of {kept.size} entries: {trouble}"
    except DamagedDataError as error:
        told = error.what
    return Sealed(trouble=told, has_keys=bool(keys))


def _trouble_with_kept(tree: StoredTree, rows: StoredRows, kept: KeptHead, keys: Sequence[VerifierKey]) -> str | None:
    """As ``trouble_with_head``; the number that was kept with the head must be that of its last entry, too."""
    trouble = trouble_with_head(tree, kept.note, keys, size=kept.size)
    if trouble is not None or not kept.size:
        return trouble
    row = rows.row(kept.number)
    with tree.nodes() as node:
        leaf = node(0, kept.size - 1)
    if row is None or leaf_hash(encode_entry(entry_of(row))) != leaf:
        return f"event {kept.number}, the last that it covers, is gone or another one"
    return None


def trouble_with_head(
    tree: StoredTree, note: str, keys: Sequence[VerifierKey], *, size: int | None = None
) -> str | None:
    """Why today's log does not extend the head in ``note``, or it is not of ``size``; None when it does and is."""
    try:
        head = verified_head(note, keys)
    except DamagedDataError as error:
        return error.what
    if size is not None and head.size != size:
        return f"it is the head of {head.size} entries"
    entries = tree.followed()[1]
    if head.size > entries:
        return f"the log has {entries} entries now: {head.size - entries} were removed from its end"
    with tree.nodes() as node:
        if root_at(head.size, node) != head.root:
            return f"the log had another root over these {head.size} entries: one of them was rewritten"
    return None


def adopted_keys(log: EventLog, origin: str) -> tuple[VerifierKey, ...]:
    """The public keys that the history of the log ``origin`` names, the newest last."""
    found = (one.event for one in log.events_after(0, topics=[SigningKeyAdopted.TOPIC]))
    return tuple(VerifierKey(origin, event.public_key) for event in found if isinstance(event, SigningKeyAdopted))


def _rows(rows: StoredRows) -> Iterator[StoredRow]:
    for portion in rows.rows_after(0):
        yield from portion
