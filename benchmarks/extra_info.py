"""What the suites note beside pytest-benchmark's times: processor time, peak memory, rates, bytes, ratios."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from pytest_benchmark.fixture import BenchmarkFixture

T = TypeVar("T")
_SELF = Path("/proc/self")


@dataclass(slots=True)
class PeakMemory:
    """The most resident memory of this process while it was watched, in bytes; 0 while it is watched."""

    peak_bytes: int = 0


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Watch this process's resident memory: the kernel keeps the highest value from here on."""
    (_SELF / "clear_refs").write_text("5")
    watched = PeakMemory()
    yield watched
    for line in (_SELF / "status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            watched.peak_bytes = int(line.split()[1]) * 1024


def in_rounds(
    benchmark: BenchmarkFixture,
    target: Callable[..., T],
    *,
    rounds: int,
    fresh: Callable[[], tuple[object, ...]] = tuple,
) -> T:
    """Measure ``target`` in so many rounds after one to warm up; ``fresh`` makes its arguments for each, unmeasured.

    Notes ``cpu_s``, the median processor time of a round in all threads.
    """
    spent: list[float] = []

    def timed(*arguments: object) -> T:
        started = time.process_time()
        result = target(*arguments)
        spent.append(time.process_time() - started)
        return result

    result: T = benchmark.pedantic(  # type: ignore[no-untyped-call]
        timed, setup=lambda: (fresh(), {}), rounds=rounds, warmup_rounds=1
    )
    benchmark.extra_info["cpu_s"] = statistics.median(spent[1:] or spent)
    return result


def note_rate(benchmark: BenchmarkFixture, data_bytes: int) -> None:
    """Note how many bytes one round worked through, and the median rate."""
    benchmark.extra_info["data_bytes"] = data_bytes
    if benchmark.stats is not None:
        benchmark.extra_info["bytes_per_s"] = round(data_bytes / benchmark.stats.stats.median)


def note_count_rate(benchmark: BenchmarkFixture, what: str, count: int) -> None:
    """Note how many things one round did, and the median rate."""
    benchmark.extra_info[what] = count
    if benchmark.stats is not None:
        benchmark.extra_info[f"{what}_per_s"] = round(count / benchmark.stats.stats.median)
