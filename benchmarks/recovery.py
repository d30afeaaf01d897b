"""How long it takes to ship a history, and to recover from it or from packs alone.

``python -m benchmarks.recovery --chunks 1000000 10000000 --packs-alone 1000000 --write-docs``: each step runs in a
process of its own, so that its peak memory is its own.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

from adapters.clock import SystemClock
from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.index_filling import fill_chunk_index
from adapters.locks import FileMachineLocks
from adapters.recovering import recover_state
from adapters.stores.folder_log import FolderLogStore
from benchmarks.comparison import MachineFigures
from benchmarks.long_history import opened_vault, write_history, write_packs
from benchmarks.report import write_between_markers
from benchmarks.stepping import Step, Stepped, stepped
from benchmarks.this_machine import describe
from domain.events.backup import ChunksWritten
from domain.ports.progress import Silent
from domain.workflows.log_shipping import LogShipping

_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_MASTER = bytes(range(32))
_MIB = 1 << 20


def main() -> None:
    """Measure as the command line says, and print the tables."""
    chosen = _arguments()
    with tempfile.TemporaryDirectory(dir=chosen.folder) as place:
        machine = describe(Path(place))
        histories = {chunks: _history_figures(Path(place), chunks) for chunks in chosen.chunks}
        packs = _packs_figures(Path(place), chosen.packs_alone)
        text = "\n".join(_report(histories, chosen.packs_alone, packs, machine))
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "recovery", text)


def make_history(folder: Path, chunks: int) -> int:
    """Write the history; returns the bytes of the event store."""
    write_history(opened_vault(folder / "store", _MASTER), folder / "events.sqlite", folder / "store", chunks)
    return (folder / "events.sqlite").stat().st_size


def make_reclaimed_history(folder: Path, chunks: int) -> None:
    """Write the history anew, with a scrub and a prune early in it."""
    (folder / "events.sqlite").unlink()
    write_history(
        opened_vault(folder / "store", _MASTER), folder / "events.sqlite", folder / "store", chunks, reclaimed=True
    )


def fill_reclaimed_index(folder: Path, chunks: int) -> None:
    """Rebuild the chunk index of a history with a scrub and a prune early in it."""
    (folder / "index.sqlite").unlink()
    fill_index(folder, chunks)


def ship(folder: Path, _chunks: int) -> int:
    """Ship all of it into an empty log; returns the bytes of the objects."""
    store = FolderLogStore(folder / "store")
    with SQLiteEventLog(folder / "events.sqlite") as log:
        LogShipping(opened_vault(folder / "store", _MASTER), log, store, FileMachineLocks(folder / "locks")).ship()
    return sum(path.stat().st_size for path in (folder / "store" / "log").iterdir())


def recover(folder: Path, _chunks: int) -> int:
    """Recover from the store; returns how many points the packs alone gave."""
    found = recover_state(
        opened_vault(folder / "store", _MASTER),
        FolderLogStore(folder / "store"),
        folder / "recovered",
        clock=SystemClock(),
        progress=Silent(),
        new_id=uuid4,
    )
    assert not found.packs_missing
    assert not found.points_incomplete
    return len(found.points_found)


def replay(folder: Path, chunks: int) -> None:
    """Read, decode and check every event."""
    with SQLiteEventLog(folder / "events.sqlite") as log:
        counted = sum(one.event.chunk_count for one in log.events_after(0) if isinstance(one.event, ChunksWritten))
    assert counted == chunks


def fill_index(folder: Path, _chunks: int) -> None:
    """Rebuild the chunk index."""
    with SQLiteEventLog(folder / "events.sqlite") as log:
        fill_chunk_index(folder / "index.sqlite", log)


def fill_catalog(folder: Path, _chunks: int) -> None:
    """Rebuild the catalog."""
    with (
        SQLiteEventLog(folder / "events.sqlite") as log,
        SQLiteCatalog(folder / "catalog.sqlite", log, draft=True) as catalog,
    ):
        catalog.catch_up()


def make_packs(folder: Path, chunks: int) -> int:
    """Write real packs and no history; returns how many points they hold."""
    return write_packs(opened_vault(folder / "store", _MASTER), chunks)


def _history_figures(place: Path, chunks: int) -> dict[str, Stepped]:
    folder = place / f"history-{chunks}"
    folder.mkdir()
    steps: tuple[Step, ...] = (
        *(make_history, ship, recover, replay, fill_index, fill_catalog),
        *(make_reclaimed_history, fill_reclaimed_index),
    )
    figures = {step.__name__: stepped(step, folder, chunks) for step in steps}
    shutil.rmtree(folder)
    return figures


def _packs_figures(place: Path, chunks: int) -> dict[str, Stepped]:
    folder = place / "packs"
    folder.mkdir()
    figures = {step.__name__: stepped(step, folder, chunks) for step in (make_packs, recover)}
    assert figures["make_packs"].returned == figures["recover"].returned
    return figures


def _report(
    histories: dict[int, dict[str, Stepped]], packs_alone: int, packs: dict[str, Stepped], machine: MachineFigures
) -> Iterator[str]:
    yield "| chunks | event store | shipped | shipping all of it | recovering from it | peak memory |"
    yield "|--:|--:|--:|--:|--:|--:|"
    for chunks, figures in histories.items():
        sizes = [f"{figures[name].returned / 1e6:,.0f} MB" for name in ("make_history", "ship")]
        times = [f"{figures[name].wall_s:,.1f} s" for name in ("ship", "recover")]
        yield f"| {chunks:,} | {' | '.join([*sizes, *times])} | {_memory(figures['recover'])} |"
    yield ""
    yield "| chunks | events replayed | chunk index rebuilt | peak memory | after scrub and prune | catalog rebuilt |"
    yield "|--:|--:|--:|--:|--:|--:|"
    for chunks, figures in histories.items():
        replayed, index, reclaimed = (
            f"{chunks / figures[name].wall_s:,.0f} chunk writes/s"
            for name in ("replay", "fill_index", "fill_reclaimed_index")
        )
        seconds = f"{figures['fill_index'].wall_s:,.1f} s"
        catalog = f"{figures['fill_catalog'].wall_s:,.1f} s"
        memory = _memory(figures["fill_index"])
        yield f"| {chunks:,} | {replayed} | {index} ({seconds}) | {memory} | {reclaimed} | {catalog} |"
    yield ""
    found = packs["recover"]
    yield "| chunks in real packs | packs alone: points found | time | peak memory |"
    yield "|--:|--:|--:|--:|"
    yield f"| {packs_alone:,} | {found.returned:,} | {found.wall_s:,.1f} s | {_memory(found)} |"
    yield ""
    numbers = " ".join(str(chunks) for chunks in histories)
    yield (
        f"- Measured {datetime.now(UTC):%Y-%m-%dT%H:%M+00:00} by "
        f"`python -m benchmarks.recovery --chunks {numbers} --packs-alone {packs_alone}`; one run."
    )
    yield (
        "- Histories have a `chunks-written` event for every 1,000 chunks with random ids; the packs that they name "
        "are empty files, because recovery only lists them."
    )
    yield (
        "- After scrub and prune: the chunk index is rebuilt from a history in which, after the first 100 packs, one "
        "was found damaged and stays so, one was repacked and deleted, and one was retired."
    )
    yield (
        "- Real packs hold 1,000 chunks of 512 random bytes each, and there is a point for every 4,096 chunks; "
        "recovery opens every footer and every map and looks up every chunk."
    )
    yield (
        f"- {machine.processors} processors ({machine.processor}), {machine.memory_bytes / (1 << 30):.0f} GiB of "
        f"memory, Linux {machine.kernel}, {machine.file_system}, Python {machine.python}; load before: "
        f"{machine.load_before:.2f}."
    )


def _memory(step: Stepped) -> str:
    return f"{step.peak_rss_bytes / _MIB:,.0f} MiB"


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.recovery", description=__doc__)
    parser.add_argument("--chunks", type=int, nargs="+", default=[1_000_000], help="Lengths of histories.")
    parser.add_argument("--packs-alone", type=int, default=200_000, help="Chunks in real packs.")
    parser.add_argument("--folder", type=Path, help="Where to work; the default temporary folder when not given.")
    parser.add_argument("--write-docs", action="store_true", help="Put the tables into docs/benchmarks.md.")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
