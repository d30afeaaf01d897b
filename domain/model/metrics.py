"""The condition of a repository as metrics for Prometheus: names, units and labels, not yet text.

Names follow the rules at prometheus.io/docs/practices/naming: base units (seconds, bytes) in the name, ``_total`` for
what only grows. Each machine costs a fixed number of series, and at most ``MACHINES_MAX`` machines are shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

from domain.model.activity import Activity
from domain.model.condition import Condition, MachineCondition
from domain.model.verdicts import VerdictWord

MACHINES_MAX = 1000
Labels = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One metric with its samples; label values are untrusted text."""

    name: str
    kind: Literal["gauge", "counter"]
    text: str
    samples: tuple[tuple[Labels, float], ...]


@dataclass(frozen=True, slots=True)
class _OfMachine:
    name: str
    text: str
    value: Callable[[MachineCondition], float | None]


def metrics_of(condition: Condition) -> tuple[Metric, ...]:
    """All metrics; those without a sample are left out."""
    machines = sorted(condition.machines, key=lambda machine: (machine.name, machine.machine_id))[:MACHINES_MAX]
    found = [*_of_repository(condition), *_of_jobs(condition), *(_of_machines(machines))]
    return tuple(metric for metric in found if metric.samples)


def _of_repository(condition: Condition) -> Iterator[Metric]:
    yield _single("atesta_last_update_timestamp_seconds", "When this file was written.", condition.at.timestamp())
    yield _single("atesta_machines", "Machines that were ever backed up.", len(condition.machines))
    yield _single(
        "atesta_machines_omitted",
        f"Machines without series of their own: more than {MACHINES_MAX} are too many.",
        max(0, len(condition.machines) - MACHINES_MAX),
    )
    yield _single("atesta_restore_points", "Restore points that can be restored.", _sum(condition, "points"))
    yield _single(
        "atesta_restore_points_verified",
        "Restore points whose last verification saw them boot.",
        _sum(condition, "points_verified"),
    )
    yield _single("atesta_stored_bytes", "Bytes of all packs.", condition.stored_bytes)
    yield _single("atesta_packs", "Packs in the repository.", condition.packs)
    yield _single("atesta_chunks", "Chunks in the repository.", condition.chunks)
    yield _single(
        "atesta_damaged_chunks", "Chunks that were found damaged and are not healed.", condition.damaged_chunks
    )
    yield _single("atesta_events_total", "Events in the event store.", condition.events, kind="counter")
    if condition.events_unshipped is not None:
        yield _single("atesta_events_unshipped", "Events not yet in the store.", condition.events_unshipped)
    yield _single("atesta_outbox_mails", "Reports that wait for delivery.", condition.mails.waiting)
    yield _single("atesta_outbox_mails_given_up", "Reports that were given up.", condition.mails.given_up)
    if condition.space is not None:
        yield _single("atesta_store_free_bytes", "Free bytes on the repository's disk.", condition.space.free_bytes)
        yield _single("atesta_store_size_bytes", "Size of the repository's disk.", condition.space.size_bytes)


def _of_jobs(condition: Condition) -> Iterator[Metric]:
    """By kind: backups of all machines share one sample, the worst of them."""
    succeeded: dict[str, float] = {}
    failed: dict[str, float] = {}
    for subject, last in condition.last_runs.items():
        kind = subject.kind.value
        failed[kind] = failed.get(kind, 0) + (last.failed_at is not None)
        if last.succeeded_at is not None:
            succeeded[kind] = max(succeeded.get(kind, 0), last.succeeded_at.timestamp())
    yield Metric(
        name="atesta_job_last_success_timestamp_seconds",
        kind="gauge",
        text="When work of this kind was last begun that succeeded.",
        samples=tuple(((("job", kind),), value) for kind, value in sorted(succeeded.items())),
    )
    yield Metric(
        name="atesta_job_failures",
        kind="gauge",
        text="What of this kind of work failed when it was last tried: 0 or 1, for backups the number of machines.",
        samples=tuple(((("job", kind),), value) for kind, value in sorted(failed.items())),
    )


def _of_machines(machines: list[MachineCondition]) -> Iterator[Metric]:
    for definition in _MACHINE_METRICS:
        samples = [
            ((("machine", machine.name), ("id", machine.machine_id)), value)
            for machine in machines
            if (value := definition.value(machine)) is not None
        ]
        yield Metric(name=definition.name, kind="gauge", text=definition.text, samples=tuple(samples))
    yield Metric(
        name="atesta_machine_last_verdict",
        kind="gauge",
        text="1 for the verdict of the last verification, 0 for the others.",
        samples=tuple(
            (
                (("machine", machine.name), ("id", machine.machine_id), ("verdict", word.value)),
                float(machine.last_verification.word is word),
            )
            for machine in machines
            if machine.last_verification is not None
            for word in VerdictWord
        ),
    )


def _backup(value: Callable[[Activity], float | None]) -> Callable[[MachineCondition], float | None]:
    return lambda machine: value(machine.last_backup) if machine.last_backup is not None else None


def _verification(value: Callable[[Activity], float | None]) -> Callable[[MachineCondition], float | None]:
    return lambda machine: value(machine.last_verification) if machine.last_verification is not None else None


_MACHINE_METRICS = (
    _OfMachine("atesta_machine_restore_points", "Restore points of the machine.", lambda machine: machine.points),
    _OfMachine(
        "atesta_machine_restore_points_verified",
        "Restore points of the machine whose last verification saw them boot.",
        lambda machine: machine.points_verified,
    ),
    _OfMachine(
        "atesta_machine_last_backup_timestamp_seconds",
        "When the last backup that succeeded was begun; time() minus this is its age.",
        _backup(lambda backup: backup.started_at.timestamp()),
    ),
    _OfMachine(
        "atesta_machine_last_backup_duration_seconds",
        "How long the last backup that succeeded took.",
        _backup(lambda backup: backup.seconds),
    ),
    _OfMachine(
        "atesta_machine_last_backup_read_bytes", "Bytes that it read.", _backup(lambda backup: backup.read_bytes)
    ),
    _OfMachine(
        "atesta_machine_last_backup_new_bytes",
        "Bytes of it that the repository did not have.",
        _backup(lambda backup: backup.new_bytes),
    ),
    _OfMachine(
        "atesta_machine_last_backup_stored_bytes",
        "Bytes of the packs that it wrote.",
        _backup(lambda backup: backup.stored_bytes),
    ),
    _OfMachine(
        "atesta_machine_last_verification_timestamp_seconds",
        "When the last verification that reached a verdict was begun.",
        _verification(lambda check: check.started_at.timestamp()),
    ),
    _OfMachine(
        "atesta_machine_last_boot_seconds",
        "From power-on to the settled console in the last verification.",
        _verification(lambda check: check.boot_s),
    ),
    _OfMachine(
        "atesta_machine_last_restore_seconds",
        "How long restoring its disks took in the last verification.",
        _verification(lambda check: check.restore_s),
    ),
)


def _sum(condition: Condition, field: Literal["points", "points_verified"]) -> int:
    return sum(getattr(machine, field) for machine in condition.machines)


def _single(name: str, text: str, value: float, *, kind: Literal["gauge", "counter"] = "gauge") -> Metric:
    return Metric(name=name, kind=kind, text=text, samples=(((), value),))
