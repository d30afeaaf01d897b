"""Judging the condition of a repository: one level and the findings behind it, the worst first."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum

from domain.model.condition import Condition, MachineCondition
from domain.model.due import CLOCK_SLACK, JobKind
from domain.model.verdicts import VerdictWord


class HealthLevel(IntEnum):
    """The levels and exit codes that monitoring programs of the Nagios family know."""

    OK = 0
    WARNING = 1
    CRITICAL = 2
    UNKNOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupAge:
    """How old the latest backup of a machine may be."""

    warning: timedelta
    critical: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthLimits:
    """Where warnings and alarms begin. None switches a check off.

    ``backup_age`` are the limits of machines that ``backup_age_of`` does not name by their ids. Machines in ``ignored``
    are not judged.
    """

    backup_age: BackupAge
    backup_age_of: dict[str, BackupAge]
    ignored: frozenset[str]
    verified_age_warning: timedelta | None
    mail_age_warning: timedelta
    free_percent_warning: float
    free_percent_critical: float
    events_unshipped_warning: int
    unsealed_age_warning: timedelta | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that is not as it should be: ``subject`` is a machine's name or a part of the repository."""

    level: HealthLevel
    subject: str
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """The judgement: the worst level of all findings, OK without any."""

    findings: tuple[Finding, ...]

    @property
    def level(self) -> HealthLevel:
        """The level of the worst finding."""
        return max((finding.level for finding in self.findings), default=HealthLevel.OK)


def judge_health(condition: Condition, limits: HealthLimits) -> Health:
    """Judge a condition; findings come worst first, those of machines by name."""
    judged = [machine for machine in condition.machines if machine.machine_id not in limits.ignored]
    findings = [
        *_of_store(condition, limits),
        *_of_seal(condition, limits),
        *(finding for machine in judged for finding in _of_machine(machine, condition.at, limits)),
        *_of_hosts(condition),
        *_of_last_runs(condition, limits),
        *_of_mails(condition, limits),
    ]
    return Health(findings=tuple(sorted(findings, key=lambda finding: -finding.level)))


def _of_store(condition: Condition, limits: HealthLimits) -> Iterator[Finding]:
    if condition.damaged_chunks:
        yield _critical("repository", f"{condition.damaged_chunks} chunks are damaged")
    if condition.events_lost:
        yield _critical("event log", f"its last {condition.events_lost} events are lost; `atesta recover` has them")
    if condition.space is not None and condition.space.size_bytes:
        percent = 100 * condition.space.free_bytes / condition.space.size_bytes
        if percent < limits.free_percent_critical:
            yield _critical("repository", f"{percent:.1f} % of the disk is free")
        elif percent < limits.free_percent_warning:
            yield _warning("repository", f"{percent:.1f} % of the disk is free")
    if condition.events_unshipped is not None and condition.events_unshipped > limits.events_unshipped_warning:
        yield _warning("event log", f"{condition.events_unshipped} events are not shipped into the store")
    if not condition.machines:
        yield _warning("repository", "no machine was backed up yet")


def _of_seal(condition: Condition, limits: HealthLimits) -> Iterator[Finding]:
    seal, limit = condition.seal, limits.unsealed_age_warning
    if seal.trouble:
        yield _critical("transparency log", f"{seal.trouble}; `atesta audit check` tells more")
    if seal.unsealed_since is None or limit is None:
        return
    age = condition.at - seal.unsealed_since
    if age > limit:
        yield _warning(
            "transparency log",
            f"no signed head covers {seal.unsealed} backups and verifications, the oldest for {in_one_unit(age)}",
        )


def _of_machine(machine: MachineCondition, now: datetime, limits: HealthLimits) -> Iterator[Finding]:
    if machine.last_backup is None:
        yield _critical(machine.name, "was never backed up")
        return
    age = now - machine.last_backup.started_at
    bounds = limits.backup_age_of.get(machine.machine_id, limits.backup_age)
    if age < -CLOCK_SLACK:
        yield _warning(machine.name, "its last backup is dated in the future: a clock is or was wrong")
    elif age > bounds.critical:
        yield _critical(machine.name, f"last backup {in_one_unit(age)} ago")
    elif age > bounds.warning:
        yield _warning(machine.name, f"last backup {in_one_unit(age)} ago")
    if not machine.points:
        yield _critical(machine.name, "has no restore point")
    yield from _of_verdict(machine, now, limits)


def _of_hosts(condition: Condition) -> Iterator[Finding]:
    """Ignored machines too: what is left on a host fills its disks, or is an outage."""
    names = {machine.machine_id: machine.name for machine in condition.machines}
    for machine_id in condition.owing:
        what = "a backup left something on the host: a checkpoint, a reference point or a saved machine"
        yield _warning(names.get(machine_id, machine_id), f"{what}; `atesta run` puts it right")


def _of_verdict(machine: MachineCondition, now: datetime, limits: HealthLimits) -> Iterator[Finding]:
    last = machine.last_verification
    override = f"; {machine.override}" if machine.override else ""
    if last is not None and last.word is VerdictWord.FAILED:
        yield _critical(machine.name, f"the last verification FAILED{override}")
    elif last is not None and last.word is VerdictWord.UNDECIDED:
        yield _warning(machine.name, f"the last verification was UNDECIDED{override}")
    elif limits.verified_age_warning is None:
        return
    elif last is None:
        yield _warning(machine.name, "was never verified")
    elif now - last.started_at > limits.verified_age_warning:
        yield _warning(machine.name, f"last verified {in_one_unit(now - last.started_at)} ago")


def _of_last_runs(condition: Condition, limits: HealthLimits) -> Iterator[Finding]:
    names = {machine.machine_id: machine.name for machine in condition.machines}
    for subject, last in condition.last_runs.items():
        if last.failed_at is None or subject.machine_id in limits.ignored:
            continue
        what = f"the last {_NOUNS[subject.kind]} could not be done"
        yield _warning(names.get(subject.machine_id, subject.machine_id) or "repository", f"{what}: {last.error}")


def _of_mails(condition: Condition, limits: HealthLimits) -> Iterator[Finding]:
    mails = condition.mails
    if mails.given_up:
        yield _warning("mail", f"{mails.given_up} reports could not be delivered and were given up")
    if mails.oldest_queued_at is not None and condition.at - mails.oldest_queued_at > limits.mail_age_warning:
        yield _warning(
            "mail", f"{mails.waiting} wait, the oldest for {in_one_unit(condition.at - mails.oldest_queued_at)}"
        )


_NOUNS = {
    JobKind.BACKUP: "backup",
    JobKind.VERIFY: "verification",
    JobKind.EXPIRE: "retention",
    JobKind.PRUNE: "prune",
    JobKind.SCRUB: "scrub",
}


def in_one_unit(age: timedelta) -> str:
    """A time in days, hours or minutes, rounded down."""
    seconds = int(age.total_seconds())
    for size, unit in ((2 * 86400, "d"), (3600, "h")):
        if seconds >= size:
            return f"{seconds // (86400 if unit == 'd' else size)} {unit}"
    return f"{max(0, seconds) // 60} min"


def _critical(subject: str, what: str) -> Finding:
    return Finding(level=HealthLevel.CRITICAL, subject=subject, what=what)


def _warning(subject: str, what: str) -> Finding:
    return Finding(level=HealthLevel.WARNING, subject=subject, what=what)
