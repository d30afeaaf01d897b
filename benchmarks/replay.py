"""How fast ``atesta audit replay`` is: ``python -m benchmarks.replay [--chunks N] [--small N]``.

Two histories are made and replayed with everything checked: one of chunk writes, 1,000 an event, and one of the small
events of verifications. The folder must have some 120 bytes a chunk free, three times.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.replaying import Replaying
from benchmarks.long_history import opened_vault, write_history
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash
from domain.events.recorded import RecordedEvent
from domain.events.verification import DataVerified, VerificationFailed, VerificationStarted
from domain.model.actor import actor_of
from domain.ports.progress import Silent

_EVENTS_A_STREAM = 10
_STREAMS_AT_ONCE = 50
_ACTOR = actor_of("root", "backup01", "atesta run (systemd)", "0.1")


def main() -> None:
    """Measure both and print one JSON document."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--chunks", type=int, default=10_000_000)
    options.add_argument("--small", type=int, default=200_000)
    options.add_argument("--folder", type=Path, default=None)
    asked = options.parse_args()
    with tempfile.TemporaryDirectory(dir=asked.folder) as name:
        folder = Path(name)
        chunk_events, small_events = folder / "chunks.sqlite", folder / "small.sqlite"
        write_history(opened_vault(folder / "store", bytes(32)), chunk_events, folder / "store", asked.chunks)
        write_small(small_events, asked.small)
        chunks_s, small_s = _replay_s(chunk_events), _replay_s(small_events)
    print(
        json.dumps(
            {
                "chunk_writes": asked.chunks,
                "chunk_writes_s": round(chunks_s, 2),
                "chunk_writes_a_second": round(asked.chunks / chunks_s),
                "small_events": asked.small,
                "small_events_s": round(small_s, 2),
                "small_events_a_second": round(asked.small / small_s),
            },
            indent=2,
        )
    )


def _replay_s(events: Path) -> float:
    """The whole replay until a position, against recorded leaves; making those is not counted."""
    with SQLiteEventLog(events) as log:
        leaves = [leaf_hash(encode_entry(entry_of(row))) for portion in log.rows_after(0) for row in portion]
        live = events.with_suffix(".catalog"), events.with_suffix(".index")
        started_s = time.perf_counter()
        found = Replaying(log, *live, Silent(), lambda: leaves).replay(None, log.last_number())
        ended_s = time.perf_counter()
        assert found.history.leaves_compared == len(leaves)
    return ended_s - started_s


def write_small(path: Path, count: int) -> None:
    """A new event store with ``count`` small events of verifications, ten a stream."""
    with SQLiteEventLog(path, actor=_ACTOR) as log:
        waiting: list[RecordedEvent] = []
        for number in range(count // _EVENTS_A_STREAM):
            waiting += _verification(number)
            if number % _STREAMS_AT_ONCE == 0:
                log.append(waiting)
                waiting = []
        log.append(waiting)


def _verification(number: int) -> list[RecordedEvent]:
    stream, at = uuid4(), datetime.now(UTC)
    started = VerificationStarted(
        originator_id=stream,
        originator_version=1,
        at=at,
        point_id=uuid4(),
        machine_id=f"m{number % 50}",
        machine_name=f"web{number % 50}",
    )
    data = [
        DataVerified(
            originator_id=stream,
            originator_version=version,
            at=at,
            disk_number=version - 2,
            chunks=1000,
            data_bytes=1 << 26,
            restore_s=0.5,
        )
        for version in range(2, _EVENTS_A_STREAM)
    ]
    failed = VerificationFailed(originator_id=stream, originator_version=_EVENTS_A_STREAM, at=at, error="measured")
    return [started, *data, failed]


if __name__ == "__main__":
    main()
