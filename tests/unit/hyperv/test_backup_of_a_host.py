"""Backups of a stand-in host's machine into a real repository: every point equals what the guest saw."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.events.backup import ChangesDetermined
from domain.workflows.backup_run import BackupSummary
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.standin_source import source_of_host
from tests.standin.machine import Machine
from tests.standin.model import HostModel

MIB = 1 << 20


def noise(seed: int, size: int = MIB) -> bytes:
    return random.Random(seed).randbytes(size)


@pytest.fixture
def model(tmp_path: Path) -> HostModel:
    return HostModel(tmp_path / "host")


@pytest.fixture
def vm(model: HostModel) -> Machine:
    return model.add_machine("web", [noise(1, 3 * MIB) + bytes(5 * MIB)])


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[OpenRepository]:
    with opened(tmp_path / "repository") as found:
        yield found


def back_up(repository: OpenRepository, model: HostModel) -> BackupSummary:
    source = source_of_host(model)
    (machine,) = source.machines()
    return repository.workflow().back_up(source, machine)


def test_a_full_and_two_incrementals_restore_what_the_guest_saw(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    seen = []
    for number in range(3):
        vm.write(0, (1 + number) * MIB, noise(10 + number, 64 << 10))
        seen.append(vm.content())
        summary = back_up(repository, model)
        vm.write(0, 6 * MIB, noise(20 + number, 4096))
        assert summary.kind == ("incremental" if number else "full"), summary.remarks

    assert [repository.restored(point) for point in repository.points()] == [[one] for one in seen]
    assert model.leftovers() == []
    assert len(vm.reference_points) == 1
    methods = [event.method for event in repository.events() if isinstance(event, ChangesDetermined)]
    assert methods == ["whole", "tracked", "tracked"]
