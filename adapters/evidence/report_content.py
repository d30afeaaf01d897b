"""What both forms of the report show, as plain text made from the facts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median

from adapters.evidence.months import Month, months_of
from adapters.evidence.requirements import NOT_COVERED, REQUIREMENTS, Requirement
from domain.workflows.evidence_facts import (
    GOOD,
    OVERRIDE,
    RESULTS,
    Fact,
    failure_line,
    lines_of,
    machine_cells,
    one_line,
    override_line,
    overrides_in,
    runs_in,
    sums_line,
)

_SHORT = {"backup": "backups", "verification": "tests"}
_EXPIRED = "restore-point-expired:1"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineRow:
    """A machine: name and counts in ``cells``, then recovery times."""

    cells: tuple[str, ...]
    median: str
    longest: str
    target: str
    missed: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A run that went wrong, and why."""

    line: str
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportContent:
    """All that a report says."""

    about: str
    sums: tuple[str, ...]
    targets: tuple[str, ...]
    columns: tuple[str, ...]
    machines: tuple[MachineRow, ...]
    months: tuple[Month, ...]
    failures: tuple[Failure, ...]
    overrides: tuple[str, ...]
    expired: tuple[tuple[str, str, int], ...]
    others: tuple[str, ...]
    requirements: tuple[Requirement, ...]
    not_covered: tuple[str, ...]


def content_of(facts: Mapping[str, object]) -> ReportContent:
    """The content for some facts; no failure is left out."""
    runs = runs_in(facts)
    others = facts["others"]
    targets = facts["targets"]
    assert isinstance(others, list)
    assert isinstance(targets, Mapping)
    of_machines: dict[str, list[Fact]] = {}
    for run in runs:
        of_machines.setdefault(str(run["machine_id"] or ""), []).append(run)
    return ReportContent(
        about=_about(facts),
        sums=tuple(sums_line(runs, what) for what in RESULTS),
        targets=tuple(line for line in lines_of(facts) if line.startswith("Target of ")),
        columns=tuple(f"{_SHORT[what]} {result}" for what, results in RESULTS.items() for result in results),
        machines=tuple(_machine(of_machines[one], targets.get(one)) for one in sorted(of_machines)),
        months=tuple(months_of(runs)),
        failures=tuple(_failure(run, overrides_in(facts)) for run in runs if run["result"] not in GOOD),
        overrides=tuple(override_line(one) for one in overrides_in(facts)),
        expired=_expired(others),
        others=tuple(_other(one) for one in others if one["what"] not in (_EXPIRED, OVERRIDE)),
        requirements=REQUIREMENTS,
        not_covered=NOT_COVERED,
    )


def _about(facts: Mapping[str, object]) -> str:
    whose = f"machine {facts['machine']}" if facts["machine"] else "all machines"
    period = f"From {str(facts['from'])[:16]}Z up to but not including {str(facts['to'])[:16]}Z"
    return one_line(f"{period}; {whose}; {facts['events']} events of the log {facts['origin']}")


def _machine(own: list[Fact], target: float | None) -> MachineRow:
    times = [time for run in own if isinstance(time := run["recovery_s"], int | float)]
    return MachineRow(
        cells=tuple(machine_cells(own)),
        median=f"{median(times):.0f} s" if times else "not measured",
        longest=f"{max(times):.0f} s" if times else "not measured",
        target="no target set" if target is None else f"{target:g} s",
        missed="" if target is None else str(sum(time > target for time in times)),
    )


def _failure(run: Fact, overrides: list[Fact]) -> Failure:
    """A failure stays one, whatever a person said of it; that is told below it."""
    reasons = run.get("reasons") or [run.get("error") or run.get("reason") or "it has no end in this period"]
    assert isinstance(reasons, list)
    said = [
        f"overridden by a person with #{one['number']}: taken as {one['word']}: {one['reason']}"
        for one in overrides
        if run["what"] == "verification" and one["stream"] == run["point_id"] and one["judged"] == run["result"]
    ]
    return Failure(line=failure_line(run), why=tuple(one_line(str(reason)) for reason in (*reasons, *said)))


def _expired(others: list[Fact]) -> tuple[tuple[str, str, int], ...]:
    """Points that expired, counted by policy and reason."""
    counts: dict[tuple[str, str], int] = {}
    for one in others:
        if one["what"] == _EXPIRED:
            key = one_line(str(one["policy"])), one_line(str(one["reason"]))
            counts[key] = counts.get(key, 0) + 1
    return tuple((*key, count) for key, count in sorted(counts.items()))


def _other(one: Fact) -> str:
    place = ("number", "at", "what", "stream")
    rest = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in one.items() if name not in place)
    return one_line(f"#{one['number']} {str(one['at'])[:19]}Z {str(one['what']).partition(':')[0]}: {rest}")
