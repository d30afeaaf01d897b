"""Steps of a measurement, each in a process of its own, so that its peak memory is its own."""

from __future__ import annotations

import multiprocessing
import queue
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from domain.errors import EnvironmentTroubleError

Step = Callable[[Path, int], Any]
_ANSWER_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """One step: seconds on the wall, the most memory that its process had in bytes, and what it returned."""

    wall_s: float
    peak_rss_bytes: int
    returned: Any


def stepped(step: Step, folder: Path, number: int) -> Stepped:
    """Run a step in a process of its own. Raises EnvironmentTroubleError when it ends without an answer."""
    context = multiprocessing.get_context("spawn")
    answers: multiprocessing.Queue[Stepped] = context.Queue()
    process = context.Process(target=_run_step, args=(step, folder, number, answers))
    process.start()
    while True:
        try:
            found = answers.get(timeout=_ANSWER_S)
            break
        except queue.Empty:
            if process.exitcode is not None:
                raise EnvironmentTroubleError(f"The step {step.__name__} ended with {process.exitcode}.") from None
    process.join()
    return found


def _run_step(step: Step, folder: Path, number: int, answers: multiprocessing.Queue[Stepped]) -> None:
    start = time.perf_counter()
    returned = step(folder, number)
    wall_s = time.perf_counter() - start
    answers.put(Stepped(wall_s=wall_s, peak_rss_bytes=_peak_rss_bytes(), returned=returned))


def _peak_rss_bytes() -> int:
    """The highest resident memory of this program; getrusage would count the parent's from before the exec as well."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0
