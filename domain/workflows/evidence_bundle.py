"""An evidence bundle put together: which events it holds, which of them whole, the proof around them, and the seal."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from domain.content.evidence import (
    BULK_TOPICS,
    EvidenceRange,
    encode_json,
    encode_manifest,
    encode_record,
    range_proof,
    seal_text,
)
from domain.content.shipped_log import StoredRow
from domain.content.signed_note import parse_head, parse_note
from domain.errors import BadInputError
from domain.events.backup import BackupStarted
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted
from domain.events.verification import VerificationStarted
from domain.ports.event_log import NumberedEvent
from domain.ports.evidence import KeptPicture, Pictures, ReportWriter, SealedLog
from domain.ports.progress import Progress, Silent
from domain.workflows.evidence_facts import FACT_TOPICS, facts_of, runs_in


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceBundle:
    """The members of a bundle in their order, the facts that it shows, and whether the log goes on behind it.

    ``altered`` are the digests of pictures that are no longer what was captured; they are not in it.
    """

    members: Mapping[str, bytes]
    facts: Mapping[str, object]
    events: int
    reaches_end_of_log: bool
    altered: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Leaf:
    """A row, with its event where facts need it; of bulk that is not at a border, the record is all that is needed."""

    stream: bytes
    row: StoredRow | None
    event: RecordedEvent | None
    record: bytes

    @classmethod
    def of(cls, log: SealedLog, row: StoredRow, *, at_border: bool) -> _Leaf:
        if row.topic in BULK_TOPICS and not at_border:
            return cls(row.stream, None, None, encode_record(row, whole=False))
        return cls(row.stream, row, log.event(row) if row.topic in FACT_TOPICS else None, b"")


@dataclass(slots=True)
class _Range:
    """The leaves from ``first`` on; border leaves stand at either end where the log goes on there."""

    first: int = 0
    end: int = 0
    leaves: list[_Leaf] = field(default_factory=list)
    starts_inside: bool = True
    ends_inside: bool = True

    def inner(self) -> Sequence[_Leaf]:
        """The leaves without those at the borders."""
        return self.leaves[not self.starts_inside : len(self.leaves) - (not self.ends_inside)]


def make_evidence(
    about: EvidenceRange,
    log: SealedLog,
    report: ReportWriter,
    pictures: Pictures,
    progress: Progress | None = None,
    *,
    originals: bool = False,
) -> EvidenceBundle:
    """Put a bundle together; with ``originals`` the pictures are in it as they were captured, too.

    Raises BadInputError for a range without a beginning, and what the ports raise.
    """
    progress = progress or Silent()
    if about.since >= about.until:
        raise BadInputError(
            "The period ends before it begins.", next_step="Give a --to that is later than --from, which it leaves out."
        )
    checkpoint = log.head()
    size = parse_head(parse_note(checkpoint).text).size
    progress.begin("reading the history", None)
    chosen = _chosen(log, _told_of(log.rows(), progress), size, about.since, about.until)
    progress.end()
    inner = chosen.inner()
    told = (NumberedEvent(one.row.number, one.event) for one in inner if one.row is not None and one.event is not None)
    facts = facts_of(about, told, len(inner))
    digests = sorted({str(run["picture_digest"]) for run in runs_in(facts) if run.get("picture_digest")})
    found = _pictures(pictures, digests, progress, originals=originals)
    small = {one.digest: one.small for one in found if one.small}
    members = {
        "checkpoint": checkpoint.encode(),
        "key": log.verifier_key().encode() + b"\n",
        "events": b"".join(_encoded(chosen, about.machine_id)),
        **{f"heads/{number}": note.encode() for number, note in _heads_inside(log.older_heads(), chosen)},
        **{f"pictures/{digest}.webp": content for digest, content in sorted(small.items())},
        **{f"pictures/{one.digest}.png": one.original for one in found if one.original},
        "report.json": encode_json(facts),
        **report.pages(facts, small),
    }
    proof = range_proof(chosen.first, chosen.end, size, log.node)
    manifest = encode_manifest(about, proof, members.items())
    seal = log.seal(seal_text(about.origin, manifest)).encode()
    return EvidenceBundle(
        members={"manifest.json": manifest, "manifest.sig": seal, **members},
        facts=facts,
        events=len(inner),
        reaches_end_of_log=chosen.ends_inside,
        altered=tuple(one.digest for one in found if one.altered),
    )


def _told_of(rows: Iterable[tuple[StoredRow, datetime]], progress: Progress) -> Iterator[tuple[StoredRow, datetime]]:
    for row, at in rows:
        progress.advance(len(row.state))
        yield row, at


def _pictures(
    pictures: Pictures, digests: Sequence[str], progress: Progress, *, originals: bool
) -> Sequence[KeptPicture]:
    progress.begin(f"scaling down {len(digests)} pictures", None)
    found = []
    for one in pictures.kept(digests, originals=originals):
        progress.advance(len(one.small) + len(one.original))
        found.append(one)
    progress.end()
    return found


def _chosen(
    log: SealedLog, rows: Iterable[tuple[StoredRow, datetime]], size: int, since: datetime, until: datetime
) -> _Range:
    """From the first leaf in the period to the last one, with a leaf more on each side where there is one.

    Clocks may be set back, so leaves from other times can stand between those two; they stay.
    """
    chosen = _Range()
    before: StoredRow | None = None
    last_inside = -1
    for leaf, (row, at) in enumerate(itertools.islice(rows, size)):
        if not chosen.leaves and at < since:
            before, chosen.first = row, leaf
            continue
        if not chosen.leaves and before is not None:
            chosen.leaves.append(_Leaf.of(log, before, at_border=True))
            chosen.starts_inside = False
        inside = at < until
        if inside:
            last_inside = leaf
        at_border = not inside and (leaf == last_inside + 1 or len(chosen.leaves) == (not chosen.starts_inside))
        chosen.leaves.append(_Leaf.of(log, row, at_border=at_border))
    if not chosen.leaves and before is not None:
        chosen.leaves, chosen.starts_inside = [_Leaf.of(log, before, at_border=True)], False
    stop = max(last_inside + 1, chosen.first + (not chosen.starts_inside))
    chosen.ends_inside = stop >= chosen.first + len(chosen.leaves)
    del chosen.leaves[stop + 1 - chosen.first :]
    chosen.end = chosen.first + len(chosen.leaves)
    return chosen


def _encoded(chosen: _Range, machine_id: str | None) -> Iterator[bytes]:
    owners = {one.stream: owner for one in chosen.leaves if (owner := _named_machine(one.event)) is not None}
    ends = len(chosen.leaves) - (not chosen.ends_inside)
    for place, one in enumerate(chosen.leaves):
        if one.row is None:
            yield one.record
            continue
        at_border = place < (not chosen.starts_inside) or place >= ends
        foreign = machine_id is not None and owners.get(one.stream, machine_id) != machine_id
        withheld = one.row.topic in BULK_TOPICS or (foreign and _named_machine(one.event) is None)
        yield encode_record(one.row, whole=at_border or not withheld)


def _named_machine(event: RecordedEvent | None) -> str | None:
    """The machine whose stream this event opens; None for all other events."""
    match event:
        case BackupStarted() | VerificationStarted() | RestorePointCommitted():
            return event.machine_id
        case _:
            return None


def _heads_inside(notes: Sequence[str], chosen: _Range) -> list[tuple[int, str]]:
    """The heads that can be checked with the leaves at hand, by size."""
    sizes = {parse_head(parse_note(note).text).size: note for note in notes}
    return sorted((size, note) for size, note in sizes.items() if chosen.first <= size <= chosen.end)
