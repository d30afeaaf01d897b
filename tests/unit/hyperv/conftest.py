"""A host with one machine, and an empty repository."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.backed_up_host import MIB, noise
from tests.doubles.repository import OpenRepository, opened
from tests.standin.machine import Machine
from tests.standin.model import HostModel


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
