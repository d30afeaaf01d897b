"""Events of a machine: how it became known, moved and changed. Stream id: derived from the machine's id."""

from __future__ import annotations

from uuid import UUID, uuid5

from domain.events.recorded import RecordedEvent, named
from domain.model.machines import Machine

_NAMESPACE = UUID("6f1f5c6e-5d0d-4e0c-9d1c-0b8f6a2c7a10")


@named("machine-registered:1")
class MachineRegistered(RecordedEvent):
    """A source listed a machine that was not known."""

    machine: Machine


@named("machine-relocated:1")
class MachineRelocated(RecordedEvent):
    """A known machine was found on another host."""

    host_before: str
    host: str


@named("machine-reconfigured:1")
class MachineReconfigured(RecordedEvent):
    """A known machine's name, settings or disks changed."""

    machine: Machine
    changes: tuple[str, ...]


def machine_stream(repository_id: bytes, machine_id: str) -> UUID:
    """The stream of a machine, the same in every run."""
    return uuid5(_NAMESPACE, f"{repository_id.hex()}/{machine_id}")


def changes_between(before: Machine, after: Machine) -> tuple[str, ...]:
    """What changed apart from the host, in words; empty when nothing did."""
    pairs = (
        ("name", before.name, after.name),
        ("firmware", before.settings.firmware, after.settings.firmware),
        ("processors", before.settings.processors, after.settings.processors),
        ("memory", before.settings.memory_bytes, after.settings.memory_bytes),
        ("settings", before.settings, after.settings),
        ("disks", before.disks, after.disks),
        ("checkpoints", before.checkpoints, after.checkpoints),
    )
    return tuple(label for label, old, new in pairs if old != new)
