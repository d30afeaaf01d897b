"""Health: a table of conditions with their levels and findings."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from adapters.schedule_configuration import HealthSection, MachineHealth
from domain.model.condition import Condition, MailCondition, SealCondition, SpaceCondition
from domain.model.due import JobKind, LastRuns, Subject
from domain.model.health import Health, HealthLevel, judge_health
from domain.model.machines import Firmware, Machine, MachineSettings
from domain.model.verdicts import VerdictWord
from tests.doubles.conditions import HOUR, NOW, backup, condition, machine, verification

OK, WARNING, CRITICAL = HealthLevel.OK, HealthLevel.WARNING, HealthLevel.CRITICAL
WEB = Machine(machine_id="m-1", name="web", host="h", settings=MachineSettings(firmware=Firmware.BIOS), disks=())


def judged(found: Condition, section: HealthSection | None = None) -> Health:
    return judge_health(found, (section or HealthSection()).limits([WEB]))


def test_without_a_finding_all_is_well() -> None:
    assert judged(condition()) == Health(findings=())
    assert judged(condition()).level is OK


@pytest.mark.parametrize(
    ("found", "level", "said"),
    [
        (condition(machine(last_backup=None, points=0)), CRITICAL, "web: was never backed up"),
        (condition(machine(last_backup=backup(30.5))), WARNING, "web: last backup 30 h ago"),
        (condition(machine(last_backup=backup(54.5))), CRITICAL, "web: last backup 2 d ago"),
        (condition(machine(last_backup=backup(-100))), WARNING, "web: its last backup is dated in the future"),
        (condition(machine(points=0)), CRITICAL, "web: has no restore point"),
        (condition(machine(last_verification=None)), WARNING, "web: was never verified"),
        (condition(machine(last_verification=verification(900))), WARNING, "web: last verified 37 d ago"),
        (condition(machine(last_verification=verification(word=VerdictWord.FAILED))), CRITICAL, "web: the last verifi"),
        (condition(machine(last_verification=verification(word=VerdictWord.UNDECIDED))), WARNING, "web: the last veri"),
        (condition(damaged_chunks=2), CRITICAL, "repository: 2 chunks are damaged"),
        (condition(space=SpaceCondition(free_bytes=99, size_bytes=1000)), WARNING, "repository: 9.9 % of the disk"),
        (condition(space=SpaceCondition(free_bytes=29, size_bytes=1000)), CRITICAL, "repository: 2.9 % of the disk"),
        (condition(events_unshipped=1001), WARNING, "event log: 1001 events are not shipped"),
        (
            condition(seal=SealCondition(unsealed=2, unsealed_since=NOW - 73 * HOUR)),
            WARNING,
            "transparency log: no signed head covers 2 backups and verifications, the oldest for 3 d",
        ),
        (
            condition(seal=SealCondition(trouble="the head of 9 entries: nobody signed it")),
            CRITICAL,
            "transparency log: the head of 9 entries: nobody signed it",
        ),
        (
            condition(machine(last_verification=verification(word=VerdictWord.FAILED), override="a person: known")),
            CRITICAL,
            "web: the last verification FAILED; a person: known",
        ),
        (replace(condition(), machines=()), WARNING, "repository: no machine was backed up yet"),
        (
            condition(mails=MailCondition(waiting=2, oldest_queued_at=NOW - 5 * HOUR, given_up=0)),
            WARNING,
            "mail: 2 wait, the oldest for 5 h",
        ),
        (condition(mails=MailCondition(waiting=0, oldest_queued_at=None, given_up=1)), WARNING, "mail: 1 reports"),
        (condition(owing=("somebody",)), WARNING, "somebody: a backup left something on the host"),
        (
            condition(last_runs={Subject(JobKind.PRUNE): LastRuns(failed_at=NOW, error="no disk")}),
            WARNING,
            "repository: the last prune could not be done: no disk",
        ),
        (
            condition(last_runs={Subject(JobKind.BACKUP, "m-1"): LastRuns(failed_at=NOW, error="busy host")}),
            WARNING,
            "web: the last backup could not be done: busy host",
        ),
    ],
)
def test_each_thing_that_is_wrong_has_its_level(found: Condition, level: HealthLevel, said: str) -> None:
    health = judged(found)

    assert health.level is level
    assert any(f"{finding.subject}: {finding.what}".startswith(said) for finding in health.findings)


@pytest.mark.parametrize(
    "found",
    [
        condition(machine(last_backup=backup(29.5))),
        condition(machine(last_verification=verification(800))),
        condition(space=SpaceCondition(free_bytes=100, size_bytes=1000)),
        condition(space=None),
        condition(events_unshipped=1000),
        condition(seal=SealCondition(unsealed=2, unsealed_since=NOW - 71 * HOUR)),
        condition(mails=MailCondition(waiting=1, oldest_queued_at=NOW - 3 * HOUR, given_up=0)),
        condition(last_runs={Subject(JobKind.PRUNE): LastRuns(succeeded_at=NOW - timedelta(days=400))}),
    ],
)
def test_what_is_within_its_limits_is_no_finding(found: Condition) -> None:
    assert judged(found).level is OK


def test_the_worst_comes_first() -> None:
    found = condition(
        machine("a", "m-2", last_verification=None), machine("b", "m-3", last_backup=None), damaged_chunks=1
    )

    assert [finding.level for finding in judged(found).findings] == [CRITICAL, CRITICAL, WARNING]


def test_a_machine_has_limits_of_its_own_when_a_pattern_means_it() -> None:
    weekly = MachineHealth(match="we*", backup_age_warning="8 d", backup_age_critical="15 d")
    old = condition(machine(last_backup=backup(100)))

    assert judged(old).level is CRITICAL
    assert judged(old, HealthSection(machines=(weekly,))).level is OK


def test_a_machine_that_is_ignored_is_not_judged() -> None:
    found = condition(
        machine(last_backup=None), last_runs={Subject(JobKind.BACKUP, "m-1"): LastRuns(failed_at=NOW, error="gone")}
    )

    assert judged(found, HealthSection(ignore=("WEB",))).level is OK


def test_verdicts_can_be_left_out_but_not_a_failed_one() -> None:
    section = HealthSection(verified_age_warning="never")

    assert judged(condition(machine(last_verification=None)), section).level is OK
    failed = condition(machine(last_verification=verification(word=VerdictWord.FAILED)))
    assert judged(failed, section).level is CRITICAL
