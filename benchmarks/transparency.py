"""What the transparency log costs: proofs at many leaves, and how far its follower is behind.

    python -m benchmarks.transparency --leaves 10000000 [--small 200000] [--image-mib 1024] [--write-docs]

A tree of ``--leaves`` entries is made by the follower from rows in memory; proofs are made from the file and checked.
Then the follower catches up with a real event store of small events, and with that of a real ingest of random data.
The folder needs some 35 bytes a leaf and three times the image.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import struct
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from adapters.audit.tree_file import TreeFile
from adapters.eventstore.event_log import SQLiteEventLog
from benchmarks.replay import write_small
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe
from benchmarks.trial_repository import TrialRepository
from domain.content.entry_proof import EntryProof, parse_proof, proof_text
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import check_consistency, check_inclusion, consistency_proof, inclusion_proof, leaf_hash
from domain.content.shipped_log import StoredRow
from domain.content.signed_note import SigningKey, TreeHead
from domain.workflows.sealing import seal

DOCS = Path("docs/benchmarks.md")
SECTION = "transparency"
_SAMPLES = 2000
_PORTION = 5000
_ORIGIN = f"atesta/{'5' * 32}"
_KEY = SigningKey(_ORIGIN, b"k" * 32)
_CATCH_UPS = 50


class MadeRows:
    """``count`` rows that are made when they are read."""

    def __init__(self, count: int) -> None:
        self.count = count

    def row(self, number: int) -> StoredRow:
        """The row ``number``, from 1."""
        return StoredRow(number, bytes(16), number, "data-verified:1", struct.pack(">Q", number))

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        """The port."""
        for start in range(number + 1, self.count + 1, _PORTION):
            yield [self.row(one) for one in range(start, min(start + _PORTION, self.count + 1))]

    def last_number(self) -> int:
        """The port."""
        return self.count


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds that something took, once for each sample."""

    seconds: tuple[float, ...]

    def __str__(self) -> str:
        ordered = sorted(self.seconds)
        median, late = statistics.median(ordered) * 1000, ordered[len(ordered) * 99 // 100] * 1000
        return f"{median:.3f} ms | {late:.3f} ms"


def main() -> None:
    """Measure, print the tables, and put them into the documentation when asked."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=10_000_000)
    parser.add_argument("--small", type=int, default=200_000)
    parser.add_argument("--image-mib", type=int, default=1024)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        machine = describe(folder)
        lines = [
            *_proofs(folder, asked.leaves),
            "",
            *_following(folder, asked.small),
            *_ingest(folder, asked.image_mib),
        ]
    command = f"python -m benchmarks.transparency --leaves {asked.leaves}"
    lines += [
        "",
        f"- Measured {datetime.now(UTC):%Y-%m-%dT%H:%M+00:00} by `{command}`; {_SAMPLES:,} random leaves and sizes.",
        "- A proof is made from the tree's file, opened for each; in a mail it is checked from its text on.",
        f"- {machine.processors} processors ({machine.processor}), Linux {machine.kernel}, {machine.file_system}.",
        f"- Python {machine.python}; load before: {machine.load_before:.2f}.",
    ]
    text = "\n".join(lines)
    print(text)
    if asked.write_docs:
        write_between_markers(DOCS, SECTION, text)


def _proofs(folder: Path, leaves: int) -> Iterator[str]:
    rows = MadeRows(leaves)
    tree = TreeFile(folder / "tree", rows)
    made_s = _timed(tree.follow)
    root = tree.root(leaves)
    note = _KEY.sign(TreeHead(_ORIGIN, leaves, root))
    chosen = random.Random(7)
    samples = [_sample(tree, rows, root, note, chosen) for _ in range(_SAMPLES)]
    made, checked, read, extended, compared = (Times(tuple(column)) for column in zip(*samples, strict=True))
    yield f"| {leaves:,} leaves | median | 99 of 100 are below |"
    yield "|---|--:|--:|"
    yield f"| making an inclusion proof | {made} |"
    yield f"| checking its hashes | {checked} |"
    yield f"| checking the proof in a mail | {read} |"
    yield f"| making a consistency proof | {extended} |"
    yield f"| checking it | {compared} |"
    yield ""
    yield (
        f"The follower made that tree at {leaves / made_s:,.0f} entries/s ({made_s:,.0f} s, rows from memory); it "
        f"takes {(folder / 'tree').stat().st_size / leaves:.1f} bytes a leaf."
    )


def _sample(tree: TreeFile, rows: MadeRows, root: bytes, note: str, chosen: random.Random) -> tuple[float, ...]:
    """Seconds to make an inclusion proof, check it, check it as text, make a consistency proof, and check that."""
    size = rows.count
    index, old = chosen.randrange(size), chosen.randrange(1, size)
    row, old_root = rows.row(index + 1), tree.root(old)
    entry = encode_entry(entry_of(row))
    hashes, path = list[bytes](), list[bytes]()
    made_s = _timed(lambda: hashes.extend(_inclusion(tree, index, size)))
    checked_s = _timed(lambda: check_inclusion(leaf_hash(entry), index, size, hashes, root))
    text = proof_text(EntryProof(entry, row.state, index, tuple(hashes), note))
    read_s = _timed(lambda: parse_proof(text).checked([_KEY.verifier]))
    extended_s = _timed(lambda: path.extend(_consistency(tree, old, size)))
    compared_s = _timed(lambda: check_consistency(old, old_root, size, root, path))
    return made_s, checked_s, read_s, extended_s, compared_s


def _inclusion(tree: TreeFile, index: int, size: int) -> list[bytes]:
    with tree.nodes() as node:
        return inclusion_proof(index, size, node)


def _consistency(tree: TreeFile, old: int, size: int) -> list[bytes]:
    with tree.nodes() as node:
        return consistency_proof(old, size, node)


def _following(folder: Path, count: int) -> Iterator[str]:
    path = folder / "events.sqlite"
    written_s = _timed(lambda: write_small(path, count))
    with SQLiteEventLog(path) as log:
        tree = TreeFile(folder / "followed", log)
        followed_s = _timed(tree.follow)
        nothing = [_timed(tree.follow) for _ in range(_CATCH_UPS)]
        assert tree.size() == count // 10 * 10
    yield "| the follower | |"
    yield "|---|--:|"
    yield f"| small events appended, 500 a transaction | {count / written_s:,.0f} events/s |"
    yield f"| caught up with | {count / followed_s:,.0f} events/s ({followed_s / count * 1e6:.0f} µs each) |"
    yield f"| a look when nothing is new | {statistics.median(nothing) * 1000:.1f} ms |"


def _ingest(folder: Path, image_mib: int) -> Iterator[str]:
    image = folder / "image.raw"
    with image.open("wb") as opened:
        for _ in range(image_mib):
            opened.write(os.urandom(1 << 20))
    with TrialRepository(folder / "repository") as repository:
        ingest_s = _timed(lambda: repository.take([image]))
        tree = TreeFile(folder / "sealed", repository.log)
        sealed_s = _timed(lambda: seal(tree, _KEY))
        events = tree.size()
    yield f"| ingest of {image_mib:,} MiB of new data | {ingest_s:.2f} s, {events} events |"
    yield f"| then: behind by, until a head over it is signed | {sealed_s * 1000:.1f} ms |"
    yield f"| that is, for a second of ingest | {sealed_s / ingest_s * 1000:.1f} ms |"


def _timed(do: Callable[[], object]) -> float:
    started_s = time.perf_counter()
    do()
    return time.perf_counter() - started_s


if __name__ == "__main__":
    main()
