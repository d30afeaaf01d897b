"""The units that are given to users: systemd itself finds nothing wrong with them, and they say what the docs say."""

from __future__ import annotations

import configparser
import shutil
import subprocess
from pathlib import Path

import pytest

from adapters.cli.passphrase import CREDENTIAL
from adapters.cli.verify import VERDICT_NOT_BOOTED
from domain.model.health import HealthLevel

ROOT = Path(__file__).resolve().parents[3]
SERVICE, TIMER = (ROOT / "docs" / "systemd" / name for name in ("atesta.service", "atesta.timer"))
_COMMAND = "/usr/local/bin/atesta"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: the units were not verified"
)


@needs_systemd
@pytest.mark.process
def test_systemd_finds_nothing_wrong(tmp_path: Path) -> None:
    assert _complaints(tmp_path, SERVICE.read_text(), TIMER.read_text()) == ""


@needs_systemd
@pytest.mark.process
@pytest.mark.parametrize(
    ("right", "wrong"),
    [("NoNewPrivileges=", "NoNewPrivilege="), ("Type=oneshot", "Type=onceshot"), ("OnCalendar=*:0/15", "OnCalendar=x")],
)
def test_systemd_would_say_so_if_something_was_wrong(tmp_path: Path, right: str, wrong: str) -> None:
    service, timer = (file.read_text().replace(right, wrong) for file in (SERVICE, TIMER))

    assert _complaints(tmp_path, service, timer) != ""


def test_the_service_is_shut_in_and_patient() -> None:
    service = _parsed(SERVICE)["Service"]

    assert service["NoNewPrivileges"] == service["PrivateTmp"] == "yes"
    assert service["ProtectSystem"] == "strict"
    assert service["TimeoutStartSec"] == "infinity"
    assert service["KillSignal"] == "SIGINT"
    assert "MemoryDenyWriteExecute" not in service, "QEMU without KVM could not run"


def test_the_service_hands_the_passphrase_over_under_the_name_that_is_looked_for() -> None:
    name, _, file = _parsed(SERVICE)["Service"]["LoadCredential"].partition(":")

    assert (name, file) == (CREDENTIAL, "/etc/atesta/passphrase")


def test_a_point_that_did_not_boot_is_no_failure_of_the_service() -> None:
    assert int(_parsed(SERVICE)["Service"]["SuccessExitStatus"]) == VERDICT_NOT_BOOTED


def test_the_timer_starts_the_service_of_its_name_and_makes_up_for_what_was_missed() -> None:
    timer = _parsed(TIMER)

    assert SERVICE.stem == TIMER.stem
    assert timer["Timer"]["Persistent"] == "yes"
    assert timer["Install"]["WantedBy"] == "timers.target"


def test_the_levels_of_health_are_documented_with_their_codes() -> None:
    page = (ROOT / "docs" / "exit-codes.md").read_text()

    assert [f"| {level.name} | {int(level)} |" in page for level in HealthLevel] == [True] * 4


def _complaints(folder: Path, service: str, timer: str) -> str:
    """What systemd-analyze says; it ends with 0 also when it ignores a key. The command need not be installed."""
    assert _COMMAND in service
    files = (folder / SERVICE.name, folder / TIMER.name)
    for file, text in zip(files, (service.replace(_COMMAND, "/bin/true"), timer), strict=True):
        file.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *map(str, files)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if "Failed to" in done.stderr and str(folder) not in done.stderr and SERVICE.name not in done.stderr:
        pytest.skip(f"systemd-analyze does not work here, the units were not verified: {done.stderr.strip()}")
    return done.stderr if not done.returncode else done.stderr or f"exit code {done.returncode}"


def _parsed(file: Path) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment, method-assign]
    parser.read_string(file.read_text())
    return parser
