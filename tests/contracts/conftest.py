"""The ways to a stand-in host's verbs, for the contract of verbs."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.hyperv.host import HyperVHost
from tests.contracts.test_host_verbs import MIB, SEED, World
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller


@pytest.fixture(params=["in memory"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A host with one running machine of two disks."""
    model = HostModel(tmp_path)
    machine = model.add_machine("web01", [SEED.ljust(4 * MIB, b"\0"), bytes(4 * MIB)])
    host = HyperVHost(ModelCaller(model), sleep=lambda _: None)
    return World(host=host, model=model, machine=machine)
