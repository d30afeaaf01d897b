"""Machines of a Hyper-V host as a user backs them up: the command over real WinRM and real SMB to a stand-in host.

No real Hyper-V is behind it. Each journey ends with a host that holds nothing that Atesta owes.
"""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from adapters.disks.disk_files import open_disk
from tests.doubles.cutting_proxy import CuttingProxy
from tests.journeys.command import answer, atesta, variables
from tests.standin.host import StandInHost
from tests.standin.machine import VSS_SERVICE, Machine, State
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.samba import why_not

MIB = 1 << 20
SIZE = 12 * MIB

pytestmark = [pytest.mark.process, pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is smbd")]


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StandInHost]:
    with StandInHost(tmp_path_factory.mktemp("host"), with_engine=False) as started:
        yield started


@pytest.fixture
def vm(host: StandInHost) -> Iterator[Machine]:
    made = host.model.add_machine("web", [random.Random(3).randbytes(9 * MIB) + bytes(SIZE - 9 * MIB)])
    yield made
    host.model.behave()
    host.model.remove_machine(made)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("home")
    atesta(home, "init")
    path = home / "atesta.toml"
    path.write_text(path.read_text().replace('exports = ["exports"]', "exports = []"))
    return home


@pytest.fixture
def home(repository: Path, host: StandInHost, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository whose only source is the host."""
    monkeypatch.setenv("ATESTA_HOST_PASSWORD_HV01", host.winrm.password)
    configure(repository, host)
    return repository


def configure(home: Path, host: StandInHost, *, smb_port: int | None = None, **keys: str) -> None:
    path = home / "atesta.toml"
    content = path.read_text().partition('\n[[host]]\nname = "HV01"')[0]
    lines = [
        "",
        "[[host]]",
        'name = "HV01"',
        'address = "127.0.0.1"',
        f"port = {host.winrm.port}",
        "https = false",
        f'user = "{host.winrm.user}"',
        *(f'{key} = "{value}"' for key, value in keys.items()),
        "[host.smb]",
        f"port = {smb_port or host.smb.port}",
    ]
    path.write_text(content + "\n".join(lines) + "\n")


def backed_up(home: Path, *options: str) -> dict[str, Any]:
    (summary,) = answer(home, "backup", "web", "--no-verify", *options)
    assert isinstance(summary, dict)
    return summary


def restored(home: Path, point: str) -> bytes:
    folder = home / f"restored-{point[:8]}"
    atesta(home, "restore", point[:8], "--to", str(folder))
    (image,) = [path for path in folder.rglob("*") if path.suffix in {".vhdx", ".raw"}]
    disk = open_disk(image)
    content = bytearray(disk.size_bytes)
    disk.read_into(0, memoryview(content))
    disk.close()
    return bytes(content)


def check_host(host: StandInHost, vm: Machine, state: State = State.RUNNING) -> None:
    host.model.behave()
    host.model.advance(10)
    assert host.model.leftovers() == []
    assert vm.state is state


def guest_writes(vm: Machine, seed: int) -> bytes:
    dice = random.Random(seed)
    vm.write(0, dice.randrange(SIZE // 65536) * 65536, dice.randbytes(65536))
    return vm.content()


def test_a_full_an_incremental_by_rct_and_a_lost_reference_point_restore_what_the_guest_saw(
    home: Path, host: StandInHost, vm: Machine
) -> None:
    assert [machine["name"] for machine in answer(home, "machines")] == ["web"]
    seen, causes = {}, []
    for number in range(3):
        content = guest_writes(vm, number)
        if number == 2:
            host.model.lose_reference_points(vm)
        summary = backed_up(home)
        seen[summary["point_id"]] = content
        causes.append(summary["cause"])
        guest_writes(vm, 100 + number)
        assert summary["consistency"] == "application"
        assert number != 1 or summary["read_bytes"] < 6 * MIB, "two changed blocks, and what the audit samples"

    assert causes == [
        "the first backup of this machine",
        "tracked: the source tracks changes",
        "compared: the reference point of the last restore point is lost",
    ]
    assert [restored(home, point) == content for point, content in seen.items()] == [True] * 3
    assert len(vm.reference_points) == 1
    check_host(host, vm)


def test_a_guest_whose_vss_fails_is_read_as_policy_says(home: Path, host: StandInHost, vm: Machine) -> None:
    host.model.misbehave(Misbehaviour.VSS_FAILS)
    configure(home, host, consistency="application")
    refused = atesta(home, "backup", "web", "--no-verify", expected=5)
    assert "the policy does not allow less" in refused.stderr
    assert vm.checkpoints == []

    configure(home, host, consistency="application-or-crash")
    summary = backed_up(home)

    assert summary["consistency"] == "crash"
    assert any("crash-consistent instead" in remark for remark in summary["remarks"])
    check_host(host, vm)


def test_a_machine_that_is_off_is_backed_up_and_never_started(home: Path, host: StandInHost, vm: Machine) -> None:
    vm.state = State.OFF
    configure(home, host, saved_state="allow")

    summary = backed_up(home)

    assert restored(home, summary["point_id"]) == vm.content()
    assert vm.state_changes == []
    check_host(host, vm, State.OFF)


def test_a_controller_killed_between_save_and_resume_leaves_a_machine_that_the_next_start_resumes(
    home: Path, host: StandInHost, vm: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    vm.service(VSS_SERVICE).enabled = False
    configure(home, host, saved_state="allow")
    take = host.model.create_recovery_checkpoint
    command = [sys.executable, "-m", "adapters.cli.main", "backup", "web", "--no-verify"]
    process = subprocess.Popen(command, cwd=home, env=variables(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def killed_first(*arguments: Any, **keywords: Any) -> Any:
        process.kill()
        return take(*arguments, **keywords)

    monkeypatch.setattr(host.model, "create_recovery_checkpoint", killed_first)
    assert process.wait(60) == -9
    assert vm.state is State.SAVED
    monkeypatch.undo()
    monkeypatch.setenv("ATESTA_HOST_PASSWORD_HV01", host.winrm.password)

    told = atesta(home, "backup", "nobody-*", "--no-verify", expected=3).stderr

    assert vm.state is State.SAVED, f"a command that backs nothing up does nothing: {told}"
    told = atesta(home, "run", "--only", "expire").stderr
    assert "runs again" in told
    check_host(host, vm)
    summary = backed_up(home)
    assert restored(home, summary["point_id"]) == vm.content()
    check_host(host, vm)


def test_connections_that_are_cut_in_the_middle_of_a_disk_are_taken_up_again(
    home: Path, host: StandInHost, vm: Machine
) -> None:
    with CuttingProxy(host.smb.port, cut_after=6 * MIB) as proxy:
        configure(home, host, smb_port=proxy.port)
        summary = backed_up(home)

    assert proxy.cuts == 1
    assert any("was lost" in remark for remark in summary["remarks"])
    assert restored(home, summary["point_id"]) == vm.content()
    check_host(host, vm)
