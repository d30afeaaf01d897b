"""What an evidence bundle reports, from events: runs, what went wrong and what mended it, expiries, holds, damage.

The rules stand in docs/formats/evidence-bundle.md. The independent verifier computes the same facts from stored bytes
with code of its own; `tests/unit/evidence` holds the two together.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from uuid import UUID

from domain.content.evidence import EvidenceRange, instant
from domain.events import backup, repository, restore_point, retention, running, scrub, verification
from domain.events.recorded import RecordedEvent
from domain.ports.event_log import NumberedEvent

RESULTS: Mapping[str, tuple[str, ...]] = {
    "backup": ("completed", "failed", "open"),
    "verification": ("BOOTED", "FAILED", "UNDECIDED", "not carried out", "open"),
}
"""How each kind of run can end; the first one is the good one."""
GOOD = frozenset(results[0] for results in RESULTS.values())
UNKNOWN_MACHINE = "unknown machine"

_BLANKS = {
    "backup": "machine_id machine_name kind cause consistency_reached point_id read_bytes stored_bytes seconds "
    "reason error",
    "verification": "point_id machine_id machine_name picture_digest word grade console_state reasons not_proven "
    "boot_s restore_s error",
}
_OF_RUNS: Mapping[type[RecordedEvent], tuple[str, str]] = {
    backup.BackupStarted: ("backup", "machine_id machine_name kind cause"),
    backup.BackupPromoted: ("backup", "cause"),
    backup.SnapshotTaken: ("backup", "consistency_reached"),
    backup.BackupCompleted: ("backup", "point_id read_bytes stored_bytes seconds"),
    backup.BackupFailed: ("backup", "reason error"),
    verification.VerificationStarted: ("verification", "point_id machine_id machine_name"),
    verification.ConsoleCaptured: ("verification", "picture_digest"),
    verification.VerdictReached: (
        "verification",
        "word grade console_state reasons not_proven boot_s restore_s",
    ),
    verification.VerificationFailed: ("verification", "error"),
}
_OTHERS: Mapping[type[RecordedEvent], str] = {
    restore_point.RestorePointExpired: "policy reason",
    restore_point.RestorePointHeld: "reason",
    restore_point.RestorePointReleased: "reason",
    restore_point.VerdictOverridden: "judged word reason",
    scrub.DamageFound: "pack_id missing what",
    scrub.ScrubCompleted: "packs_read packs_damaged packs_left",
    scrub.ScrubFailed: "reason error",
    repository.RepositoryRecovered: "events points_found",
    running.DueJobEnded: "kind machine_id machine_name result said",
}
OVERRIDE = restore_point.VerdictOverridden.TOPIC
_OWNERS: tuple[type[RecordedEvent], ...] = (restore_point.RestorePointCommitted, retention.RetentionApplied)
FACT_TOPICS = frozenset(event_class.TOPIC for event_class in (*_OF_RUNS, *_OTHERS, *_OWNERS))
"""The events that facts are made of."""
Fact = dict[str, object]


@dataclass(slots=True)
class _Gathered:
    runs: dict[UUID, Fact] = field(default_factory=dict)
    others: list[Fact] = field(default_factory=list)
    owners: dict[UUID, str] = field(default_factory=dict)


def facts_of(about: EvidenceRange, events: Iterable[NumberedEvent], count: int) -> dict[str, object]:
    """The facts of a range that has ``count`` events; bulk need not be among ``events``."""
    gathered = _Gathered()
    for numbered in events:
        _take(gathered, numbered.number, numbered.event)
    wanted = about.machine_id
    runs = [run for run in gathered.runs.values() if wanted is None or run["machine_id"] in (wanted, None)]
    others = [one for one in gathered.others if wanted is None or one["machine_id"] in (wanted, "")]
    _remedy(runs)
    return {**about.described(), "events": count, "runs": runs, "others": others}


def lines_of(facts: Mapping[str, object]) -> Iterator[str]:
    """The sentences that the verifier looks for in the report: sums, targets, a line a machine, a line a failure."""
    runs = runs_in(facts)
    for what in RESULTS:
        yield sums_line(runs, what)
    targets = facts["targets"]
    assert isinstance(targets, Mapping)
    for machine_id, seconds in targets.items():
        yield one_line(f"Target of {machine_id}: {seconds} s")
    for machine_id in sorted({str(run["machine_id"] or "") for run in runs}):
        own = [run for run in runs if (run["machine_id"] or "") == machine_id]
        yield one_line(" ".join(machine_cells(own)))
    for run in runs:
        if run["result"] not in GOOD:
            yield failure_line(run)
    for one in overrides_in(facts):
        yield override_line(one)


def overrides_in(facts: Mapping[str, object]) -> list[Fact]:
    """What persons said against verdicts."""
    others = facts["others"]
    assert isinstance(others, list)
    return [one for one in others if one["what"] == OVERRIDE]


def override_line(one: Fact) -> str:
    """Which verdict a person takes as which, and why."""
    place = f"#{one['number']} {str(one['at'])[:19]}Z point {str(one['stream'])[:8]}"
    return one_line(f"{place}: {one['judged']} is taken as {one['word']}: {one['reason']}")


def runs_in(facts: Mapping[str, object]) -> list[Fact]:
    """The runs of some facts."""
    runs = facts["runs"]
    assert isinstance(runs, list)
    return runs


def sums_line(runs: Iterable[Fact], what: str) -> str:
    """How many runs of a kind there were, and how they ended."""
    counts = Counter(run["result"] for run in runs if run["what"] == what)
    return f"{counts.total()} {what}s: " + ", ".join(f"{counts[result]} {result}" for result in RESULTS[what])


def machine_cells(own: list[Fact]) -> list[str]:
    """The name of the machine whose runs these are, how many ended how, and how many failures nothing mended."""
    counts = Counter((run["what"], run["result"]) for run in own)
    unremedied = sum(run["result"] not in GOOD and run["remedied_by"] is None for run in own)
    name = one_line(str(own[-1]["machine_name"] or UNKNOWN_MACHINE))
    return [name, *(str(counts[what, result]) for what in RESULTS for result in RESULTS[what]), str(unremedied)]


def failure_line(run: Fact) -> str:
    """A run that went wrong, and which later one mended it."""
    end = f"remedied by #{run['remedied_by']}" if run["remedied_by"] else "not remedied"
    name = run["machine_name"] or UNKNOWN_MACHINE
    return one_line(f"#{run['number']} {str(run['at'])[:19]}Z {name}: {run['what']} {run['result']}, {end}")


def one_line(text: str) -> str:
    """Text on one line; characters that cannot be seen are shown as such."""
    return " ".join("".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text).split())


def _take(gathered: _Gathered, number: int, event: RecordedEvent) -> None:
    kind = type(event)
    if isinstance(event, restore_point.RestorePointCommitted):
        gathered.owners[event.originator_id] = event.machine_id
    elif isinstance(event, retention.RetentionApplied):
        gathered.owners |= {decision.point_id: event.machine_id for decision in event.decisions}
    elif kind in _OF_RUNS:
        _take_of_run(gathered.runs, number, event)
    elif kind in _OTHERS and getattr(event, "result", "failed") == "failed":
        owner = gathered.owners.get(event.originator_id, "")
        fields = {name: _plain(getattr(event, name)) for name in _OTHERS[kind].split()}
        gathered.others.append(
            {**_place(number, event), "what": event.TOPIC, "machine_id": owner, **fields},
        )


def _take_of_run(runs: dict[UUID, Fact], number: int, event: RecordedEvent) -> None:
    what, names = _OF_RUNS[type(event)]
    blank = dict.fromkeys(_BLANKS[what].split())
    run = runs.setdefault(
        event.originator_id, {**_place(number, event), "what": what, "ended": None, "result": "open", **blank}
    )
    run.update({name: _plain(getattr(event, name)) for name in names.split()})
    result = _result(event)
    if result:
        run.update(ended=instant(event.at), result=result)


def _result(event: RecordedEvent) -> str:
    match event:
        case backup.BackupCompleted():
            return "completed"
        case backup.BackupFailed():
            return "failed"
        case verification.VerdictReached():
            return event.word.value
        case verification.VerificationFailed():
            return "not carried out"
        case _:
            return ""


def _place(number: int, event: RecordedEvent) -> Fact:
    return {"number": number, "stream": event.originator_id.hex, "at": instant(event.at)}


def _remedy(runs: list[Fact]) -> None:
    """Name for each run that went wrong the first later one of its machine that went well, and add recovery times."""
    good: dict[tuple[object, object], object] = {}
    for run in reversed(runs):
        place = run["what"], run["machine_id"]
        went_well = run["result"] in GOOD
        run["remedied_by"] = None if went_well or not run["machine_id"] else good.get(place)
        run["recovery_s"] = _recovery_s(run)
        if went_well:
            good[place] = run["number"]


def _recovery_s(run: Fact) -> float | None:
    restore_s, boot_s = run.get("restore_s"), run.get("boot_s")
    if run["result"] != "BOOTED" or not isinstance(restore_s, int | float):
        return None
    return restore_s + (boot_s if isinstance(boot_s, int | float) else 0)


def _plain(value: object) -> object:
    match value:
        case bytes():
            return value.hex()
        case UUID():
            return value.hex
        case datetime():
            return instant(value)
        case StrEnum() | IntEnum():
            return value.value
        case tuple():
            return [_plain(one) for one in value]
        case _:
            return value
