"""The ways to a stand-in host's verbs, for the contract of verbs.

The whole contract in the engine takes minutes; ``ATESTA_CONTRACT_IN_ENGINE=1`` runs it. Without that,
test_host_verbs_in_the_engine.py runs each script once and holds it against what the other ways answer.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from adapters.hyperv.host import HyperVHost
from adapters.hyperv.remote_call import VerbCaller
from adapters.hyperv.shells import RemoteVerbs
from tests.contracts.test_host_verbs import MIB, SEED, World
from tests.standin.host import StandInHost
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller

_WAYS = ["in memory", "recognised", *(["engine"] if os.environ.get("ATESTA_CONTRACT_IN_ENGINE") else [])]


@pytest.fixture(params=_WAYS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A host with one running machine of two disks: its verbs in memory, or over WinRM and NTLM."""
    if request.param == "in memory":
        model = HostModel(tmp_path)
        yield _world(model, ModelCaller(model))
        return
    with _over_winrm(tmp_path, with_engine=request.param == "engine") as made:
        yield made


@pytest.fixture
def engine_world(tmp_path: Path) -> Iterator[World]:
    """The same, with the real scripts in the real engine."""
    with _over_winrm(tmp_path, with_engine=True) as made:
        yield made


@contextmanager
def _over_winrm(folder: Path, *, with_engine: bool) -> Iterator[World]:
    with StandInHost(folder, with_shares=False, with_engine=with_engine) as standin:
        assert standin.has_engine or not with_engine
        verbs = RemoteVerbs(standin.connection())
        yield _world(standin.model, verbs)
        verbs.close()


def _world(model: HostModel, caller: VerbCaller) -> World:
    machine = model.add_machine("web01", [SEED.ljust(4 * MIB, b"\0"), bytes(4 * MIB)])
    return World(host=HyperVHost(caller, sleep=lambda _: None), model=model, machine=machine)
