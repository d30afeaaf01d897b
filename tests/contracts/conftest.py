"""The ways to a stand-in host's verbs, for the contract of verbs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.hyperv.host import HyperVHost
from adapters.hyperv.remote_call import VerbCaller
from adapters.hyperv.shells import RemoteVerbs
from tests.contracts.test_host_verbs import MIB, SEED, World
from tests.standin.engine import find_engine
from tests.standin.host import StandInHost
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller

NO_ENGINE = find_engine() is None


@pytest.fixture(
    params=[
        "in memory",
        "recognised",
        pytest.param("engine", marks=pytest.mark.skipif(NO_ENGINE, reason="not run: no PowerShell engine")),
    ]
)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A host with one running machine of two disks: its verbs in memory, or over WinRM and NTLM."""
    if request.param == "in memory":
        model = HostModel(tmp_path)
        yield _world(model, ModelCaller(model))
        return
    with StandInHost(tmp_path, with_shares=False, with_engine=request.param == "engine") as standin:
        verbs = RemoteVerbs(standin.connection())
        yield _world(standin.model, verbs)
        verbs.close()


def _world(model: HostModel, caller: VerbCaller) -> World:
    machine = model.add_machine("web01", [SEED.ljust(4 * MIB, b"\0"), bytes(4 * MIB)])
    return World(host=HyperVHost(caller, sleep=lambda _: None), model=model, machine=machine)
