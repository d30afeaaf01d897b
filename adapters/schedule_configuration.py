"""The sections of ``atesta.toml`` about what runs by itself: schedules, what health means, and the metrics file."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import msgspec

from domain.model.due import JobKind, Planned, Subject
from domain.model.health import BackupAge, HealthLimits
from domain.model.machines import Machine, matches
from domain.model.schedule import Schedule, parse_interval, parse_schedule

NEVER = "never"
Percent = Annotated[float, msgspec.Meta(ge=0, le=100)]


class MachineSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another backup schedule for the machines that ``match``, a name, an id or a pattern; the first match counts."""

    match: str
    backup: str

    def __post_init__(self) -> None:
        """Refuse what is no schedule. Raises ValueError."""
        _schedule("backup", self.backup)


class ScheduleSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When ``atesta run`` does what."""

    backup: str = "every 24 h"
    verify: str = "every 24 h"
    verify_points_max: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    expire: str = "every 24 h"
    prune: str = "weekly on sun at 06:00"
    scrub: str = "weekly on sat at 06:00"
    retry_after: str = "1 h"
    machines: tuple[MachineSchedule, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no schedule, naming the key. Raises ValueError."""
        for kind in JobKind:
            self.of(kind)
        _span("retry_after", self.retry_after)

    def of(self, kind: JobKind) -> Schedule:
        """The schedule of a kind of work."""
        return _schedule(kind.value, getattr(self, kind.value))

    def of_machine(self, machine: Machine) -> Schedule:
        """When a machine is backed up."""
        own = next((one.backup for one in self.machines if matches(machine, one.match)), self.backup)
        return _schedule("backup", own)

    def planned(self, machines: Sequence[Machine]) -> list[Planned]:
        """All work: a backup of each machine, and what concerns all of them."""
        backups = [
            Planned(
                subject=Subject(JobKind.BACKUP, machine.machine_id),
                schedule=self.of_machine(machine),
                name=machine.name,
            )
            for machine in machines
        ]
        others = [kind for kind in JobKind if kind is not JobKind.BACKUP]
        return backups + [Planned(subject=Subject(kind), schedule=self.of(kind)) for kind in others]

    @property
    def retry(self) -> timedelta:
        """How long after a failure the same work is tried again."""
        return _span("retry_after", self.retry_after)


class MachineHealth(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other limits for the machines that ``match``; the first match counts."""

    match: str
    backup_age_warning: str
    backup_age_critical: str

    def __post_init__(self) -> None:
        """Refuse what is no time. Raises ValueError."""
        self.age()

    def age(self) -> BackupAge:
        """The limits."""
        return _backup_age(self.backup_age_warning, self.backup_age_critical)


class HealthSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where ``atesta health`` begins to warn, and to raise an alarm."""

    backup_age_warning: str = "30 h"
    backup_age_critical: str = "54 h"
    verified_age_warning: str = "35 d"
    mail_age_warning: str = "4 h"
    free_percent_warning: Percent = 10
    free_percent_critical: Percent = 3
    events_unshipped_warning: Annotated[int, msgspec.Meta(ge=0)] = 1000
    unsealed_age_warning: str = "3 d"
    ignore: tuple[str, ...] = ()
    machines: tuple[MachineHealth, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no time, naming the key. Raises ValueError."""
        self.limits(())

    def limits(self, machines: Sequence[Machine]) -> HealthLimits:
        """The limits for these machines."""
        of_machines = {
            machine.machine_id: found.age()
            for machine in machines
            if (found := next((one for one in self.machines if matches(machine, one.match)), None))
        }
        ignored = {one.machine_id for one in machines if any(matches(one, pattern) for pattern in self.ignore)}
        return HealthLimits(
            backup_age=_backup_age(self.backup_age_warning, self.backup_age_critical),
            backup_age_of=of_machines,
            ignored=frozenset(ignored),
            verified_age_warning=_span_or_never("verified_age_warning", self.verified_age_warning),
            mail_age_warning=_span("mail_age_warning", self.mail_age_warning),
            free_percent_warning=self.free_percent_warning,
            free_percent_critical=self.free_percent_critical,
            events_unshipped_warning=self.events_unshipped_warning,
            unsealed_age_warning=_span_or_never("unsealed_age_warning", self.unsealed_age_warning),
        )


class MetricsSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The file for Prometheus that every ``atesta run`` writes anew."""

    file: str | None = None


def _schedule(key: str, text: str) -> Schedule:
    try:
        return parse_schedule(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _span(key: str, text: str) -> timedelta:
    try:
        return parse_interval(text)
    except ValueError as error:
        raise ValueError(f"{key}: {error}") from error


def _span_or_never(key: str, text: str) -> timedelta | None:
    return None if text.strip().lower() == NEVER else _span(key, text)


def _backup_age(warning: str, critical: str) -> BackupAge:
    age = BackupAge(warning=_span("backup_age_warning", warning), critical=_span("backup_age_critical", critical))
    if age.critical < age.warning:
        raise ValueError(f"backup_age_critical: {critical!r} is less than backup_age_warning, {warning!r}")
    return age
