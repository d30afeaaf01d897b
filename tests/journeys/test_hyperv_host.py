"""An administrator points Atesta at a Hyper-V host: WinRM with NTLM, verbs, RCT, real SMB. The host is a stand-in."""

from __future__ import annotations

import json
import os
import random
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.exported_folder import CommandLine
from tests.standin.engine import needs_engine
from tests.standin.host import StandInHost
from tests.standin.machine import Machine
from tests.standin.samba import why_not

MIB = 1 << 20
needs_samba = pytest.mark.skipif(bool(why_not()), reason=f"not run: {why_not()}")

pytestmark = [pytest.mark.process, needs_samba]


def noise(seed: int, size: int) -> bytes:
    return random.Random(seed).randbytes(size)


in_engine = pytest.param(
    True,
    id="scripts",
    marks=[
        needs_engine,
        pytest.mark.skipif(
            not os.environ.get("ATESTA_CONTRACT_IN_ENGINE"), reason="not run: ATESTA_CONTRACT_IN_ENGINE is not set"
        ),
    ],
)


@pytest.fixture(params=[pytest.param(False, id="recognised"), in_engine])
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[StandInHost]:
    """With the verbs' scripts recognised; or run in the engine, which takes minutes on a busy machine."""
    with StandInHost(tmp_path / "standin", with_engine=request.param) as made:
        yield made


@pytest.fixture
def vm(host: StandInHost) -> Machine:
    return host.model.add_machine("web01", [noise(1, 3 * MIB).ljust(8 * MIB, b"\0")])


@pytest.fixture
def line(tmp_path: Path, host: StandInHost) -> CommandLine:
    return configured(tmp_path, host)


def configured(folder: Path, host: StandInHost) -> CommandLine:
    """A repository beside which the host is configured, as docs/hyperv.md says."""
    made = CommandLine(folder)
    made.init()
    text = made.configuration.read_text().replace("verify = true", "verify = false")
    made.configuration.write_text(text + section_of(host, folder))
    return made


def section_of(host: StandInHost, folder: Path, name: str = "hv1") -> str:
    password = folder / f"{name}-password"
    password.write_text(host.winrm.password)
    password.chmod(0o600)
    port = host.winrm.endpoint.split(":")[2].partition("/")[0]
    return (
        f'\n[[host]]\nname = "{name}"\naddress = "127.0.0.1"\nport = {port}\nhttps = false\n'
        f'user = "{host.winrm.user}"\npassword_file = "{password}"\n'
        + (f"\n[host.smb]\nport = {host.smb.port}\n" if host.shares else "")
    )


def test_a_machine_of_a_host_is_listed_examined_backed_up_and_restored(
    line: CommandLine, host: StandInHost, vm: Machine, tmp_path: Path
) -> None:
    listed = line.run("machines", "--json")
    assert listed.exit_code == 0, listed.output
    (machine,) = json.loads(listed.stdout)
    assert {key: machine[key] for key in ("name", "source", "host", "state")} == {
        "name": "web01",
        "source": "hyper-v",
        "host": "hv1",
        "state": "running",
    }

    examined = line.run("doctor", "hv1", "--transcript", str(tmp_path / "transcript"))
    assert examined.exit_code == 0, examined.output
    assert "change tracking" in examined.stdout
    assert "web01" not in (tmp_path / "transcript").read_text()

    seen = []
    for number, kind in enumerate(("full", "incremental")):
        vm.write(0, (1 + number) * MIB, noise(10 + number, 64 << 10))
        seen.append(vm.content())
        done = line.run("backup", "web01", "--json")
        assert done.exit_code == 0, done.output
        (summary,) = json.loads(done.stdout)
        assert summary["kind"] == kind, summary
    assert summary["read_bytes"] < 3 * MIB

    points = line.points()
    restored = [line.restored(point["id"], tmp_path / f"restored{n}") for n, point in enumerate(points)]
    assert restored == [[content] for content in seen]
    assert host.model.leftovers() == []
    assert len(vm.reference_points) == 1


@needs_engine
def test_the_real_scripts_list_and_examine_a_host(tmp_path: Path) -> None:
    with StandInHost(tmp_path / "standin", with_shares=False) as host:
        host.model.add_machine("web01", [noise(1, MIB)])
        line = configured(tmp_path, host)
        (machine,) = json.loads(line.run("machines", "--json").stdout)
        assert (machine["name"], machine["state"]) == ("web01", "running")
        checks = json.loads(line.run("doctor", "hv1", "--json").stdout)
        failed = {check["name"] for check in checks if check["standing"] in ("failed", "contradicted")}
        assert failed <= {"shares"}


@pytest.mark.parametrize("host", [False], indirect=True, ids=["recognised"])
def test_a_host_that_is_down_is_told_and_the_others_are_listed_and_backed_up(
    line: CommandLine, host: StandInHost, vm: Machine, tmp_path: Path
) -> None:
    line.add_machine("exported", b"x" * MIB)
    down = section_of(host, tmp_path, "hv2").replace("port = ", "port = 1 #", 1)
    line.configuration.write_text(line.configuration.read_text() + down)

    listed = line.run("machines")
    assert listed.exit_code == 9, listed.output
    assert "hv2" in listed.stderr
    assert "refuses connections" in listed.stderr
    assert [row.split()[:3] for row in listed.stdout.splitlines()[1:]] == [
        ["exported", "export", "bios"],
        ["web01", "hyper-v", "running"],
    ]
    backed_up = line.run("backup")
    assert backed_up.exit_code == 9, backed_up.output
    assert sorted(point["machine"] for point in line.points()) == ["exported", "web01"]
    assert line.run("backup", "web01").exit_code == 0


def test_a_command_leaves_no_shell_on_the_host(tmp_path: Path) -> None:
    with StandInHost(tmp_path / "standin", with_shares=False, with_engine=False) as host:
        line = configured(tmp_path, host)
        command, environment = line.process("machines", "--json")
        done = subprocess.run(command, env=environment, capture_output=True, check=True)
        assert json.loads(done.stdout) == []
        assert host.winrm.shells.count == 0


def test_a_wrong_password_says_so_and_is_nowhere(tmp_path: Path) -> None:
    guess = "a-guess-that-is-wrong"
    with StandInHost(tmp_path / "standin", with_shares=False, with_engine=False) as host:
        line = configured(tmp_path, host)
        (tmp_path / "hv1-password").write_text(guess)
        for command in (("machines",), ("doctor", "hv1"), ("backup",)):
            done = line.run(*command)
            assert done.exit_code == 5, done.output
            assert "refuses user and password" in done.stderr
            assert guess not in done.output
        assert guess not in line.run("events", "--json").output
        unknown = line.run("doctor", "hv9")
        assert (unknown.exit_code, "hv1" in unknown.stderr) == (3, True)
