"""A stand-in host's machine and a repository, in memory, for tests of what a backup leaves behind on either side."""

from __future__ import annotations

import random
from typing import Any, TypeVar

from domain.events.recorded import RecordedEvent
from domain.model.snapshot_method import SnapshotPolicy
from domain.workflows.backup_terms import BackupSummary
from tests.doubles.repository import OpenRepository
from tests.doubles.standin_source import source_of_host
from tests.standin.machine import Machine, State
from tests.standin.model import HostModel

EventT = TypeVar("EventT", bound=RecordedEvent)
MIB = 1 << 20


def noise(seed: int, size: int = MIB) -> bytes:
    return random.Random(seed).randbytes(size)


def back_up(
    repository: OpenRepository, model: HostModel, policy: SnapshotPolicy | None = None, **patience: Any
) -> BackupSummary:
    source = source_of_host(model, policy=policy, **patience)
    (*_, machine) = source.machines()
    return repository.workflow().back_up(source, machine)


def recorded(repository: OpenRepository, kind: type[EventT]) -> list[EventT]:
    return [event for event in repository.events() if isinstance(event, kind)]


def check_host(model: HostModel, vm: Machine, state: State = State.RUNNING) -> None:
    """The host holds nothing that Atesta owes."""
    model.behave()
    model.advance(10)
    assert model.leftovers() == []
    assert vm.state is state
