"""Month by month: how many machines were backed up and booted, and how long recovery took."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from domain.workflows.evidence_facts import Fact


@dataclass(frozen=True, slots=True, kw_only=True)
class Month:
    """A month (``2026-03``) of the runs that began in it; recovery times in seconds, None where none was measured."""

    name: str
    backed_up: int
    booted: int
    recovery_median_s: float | None
    recovery_max_s: float | None


def months_of(runs: list[Fact]) -> list[Month]:
    """The months that have runs, in order."""
    return [_month(name, [run for run in runs if _name(run) == name]) for name in sorted({_name(run) for run in runs})]


def _month(name: str, runs: list[Fact]) -> Month:
    times = [time for run in runs if isinstance(time := run["recovery_s"], int | float)]
    return Month(
        name=name,
        backed_up=len({run["machine_id"] for run in runs if run["result"] == "completed"}),
        booted=len({run["machine_id"] for run in runs if run["result"] == "BOOTED"}),
        recovery_median_s=median(times) if times else None,
        recovery_max_s=max(times, default=None),
    )


def _name(run: Fact) -> str:
    return str(run["at"])[:7]
