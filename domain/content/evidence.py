"""The parts of an evidence bundle as bytes (docs/formats/evidence-bundle.md): events, range proof, manifest.

The verifier in verification/independent reads them with code of its own, written from the same page.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from domain.content.merkle import NodeReader
from domain.content.shipped_log import StoredRow

FORMAT = "atesta-evidence/1"
BULK_TOPICS = frozenset(
    {
        "chunks-written:1",
        "chunks-repacked:1",
        "chunks-healed:1",
        "packs-scrubbed:1",
        "pack-adopted:1",
        "pack-reinstated:1",
        "pack-retired:1",
        "pack-deleted:1",
    }
)
"""Events of which a bundle may hold the digest only: lists of chunks and packs."""

_RECORD_START = struct.Struct(">Q16sQH")
_STATE_START = struct.Struct(">BI")


@dataclass(frozen=True, slots=True, kw_only=True)
class EvidenceRange:
    """What a bundle is about: ``since`` up to but not ``until``, of all machines or of one.

    ``targets`` are the recovery times, in seconds, that the operator promised, by machine id.
    """

    origin: str
    since: datetime
    until: datetime
    machine_id: str | None
    targets: Mapping[str, float]

    def described(self) -> dict[str, object]:
        """The range as it stands in manifest and report."""
        return {
            "format": FORMAT,
            "origin": self.origin,
            "machine": self.machine_id,
            "from": instant(self.since),
            "to": instant(self.until),
            "targets": dict(self.targets),
        }


@dataclass(frozen=True, slots=True)
class RangeProof:
    """The subtrees on both sides of the leaves ``first`` up to ``end`` in a tree of ``size`` leaves."""

    first: int
    left: tuple[bytes, ...]
    right: tuple[bytes, ...]


def encode_record(row: StoredRow, *, whole: bool) -> bytes:
    """An event of the member ``events``: with its state, or with the state's digest."""
    topic = row.topic.encode()
    held = row.state if whole else hashlib.sha256(row.state).digest()
    start = _RECORD_START.pack(row.number, row.stream, row.version, len(topic))
    return start + topic + _STATE_START.pack(whole, len(held)) + held


def range_proof(first: int, end: int, size: int, node: NodeReader) -> RangeProof:
    """The proof that joins the leaves ``first`` up to ``end`` to the root over ``size`` leaves."""
    assert 0 <= first <= end <= size
    left = tuple(node(level, index) for level, index in _subtrees(0, first))
    right = tuple(node(level, index) for level, index in _subtrees(end, size))
    return RangeProof(first, left, right)


def encode_manifest(about: EvidenceRange, proof: RangeProof, members: Iterable[tuple[str, bytes]]) -> bytes:
    """The manifest, which names every other member by its SHA-256 and is what is sealed."""
    content = {
        **about.described(),
        "first_leaf": proof.first,
        "left": [one.hex() for one in proof.left],
        "right": [one.hex() for one in proof.right],
        "members": {name: hashlib.sha256(content).hexdigest() for name, content in members},
    }
    return encode_json(content)


def seal_text(origin: str, manifest: bytes) -> str:
    """The text that seals a bundle; it is signed like a head, and can never be taken for one."""
    return f"{FORMAT}\n{origin}\n{hashlib.sha256(manifest).hexdigest()}\n"


def encode_json(content: Mapping[str, object] | Sequence[object]) -> bytes:
    """JSON with one form for one content."""
    return json.dumps(content, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def instant(moment: datetime) -> str:
    """A moment in UTC to the microsecond; such texts sort like the moments."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Level and index of the fewest perfect subtrees that cover the leaves, from left to right."""
    while start < end:
        size = 1 << ((end - start).bit_length() - 1)
        if start:
            size = min(size, start & -start)
        yield size.bit_length() - 1, start // size
        start += size
