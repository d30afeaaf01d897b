"""The stand-in host's shares are a real SMB server: who reads them, and how they fail."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import smbprotocol.exceptions as failures

from tests.standin.samba import SambaServer, why_not
from tests.unit.standin.smb_reading import first_bytes

pytestmark = [pytest.mark.process, pytest.mark.skipif(bool(why_not()), reason=why_not() or "it runs")]

FILE = "D:\\VMs\\web01\\disk.vhdx"


@pytest.fixture(scope="module", params=[False, True], ids=["signed", "encrypted"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    folder = tmp_path_factory.mktemp("host")
    (folder / "D/VMs/web01").mkdir(parents=True)
    (folder / "D/VMs/web01/disk.vhdx").write_bytes(bytes(range(256)) * 4096)
    drives = {"D": folder / "D"}
    with SambaServer(folder / "samba", drives, requires_encryption=request.param) as running:
        yield running


def test_a_file_of_a_drive_is_read_under_its_share(server: SambaServer) -> None:
    assert server.unc(FILE) == "\\\\127.0.0.1\\D$\\VMs\\web01\\disk.vhdx"
    assert first_bytes(server, FILE, 1 << 20) == bytes(range(256)) * 4096


def test_a_wrong_password_is_refused(server: SambaServer) -> None:
    with pytest.raises(failures.SMBException, match="STATUS_LOGON_FAILURE"):
        first_bytes(server, FILE, password="wrong")


def test_a_file_that_is_held_is_a_sharing_violation(server: SambaServer) -> None:
    with server.held(FILE), pytest.raises(OSError, match="0xc0000043"):
        first_bytes(server, FILE)
    assert first_bytes(server, FILE)


def test_it_answers_again_after_it_was_cut(server: SambaServer) -> None:
    port = server.port
    server.kill()
    with pytest.raises((ValueError, OSError)):
        first_bytes(server, FILE)
    server.start()
    assert server.port == port
    assert first_bytes(server, FILE)


def runs(process_id: int) -> bool:
    try:
        status = Path(f"/proc/{process_id}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(") ")[2][0] not in "ZX"


def test_it_ends_with_a_process_that_is_killed(tmp_path: Path) -> None:
    program = (
        "import sys, pathlib; from tests.standin.samba import SambaServer\n"
        f"with SambaServer(pathlib.Path({str(tmp_path / 'samba')!r}), {{}}) as server:\n"
        "    print(server.pid, flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=pipe, stdout=pipe, cwd=Path(__file__).parents[3]
    ) as process:
        assert process.stdout is not None
        server = int(process.stdout.readline())
        assert runs(server)
        process.kill()
    for _ in range(600):
        if not runs(server):
            return
        time.sleep(0.05)
    raise AssertionError("smbd runs on")


def test_nothing_is_left_when_it_ends(tmp_path: Path) -> None:
    with SambaServer(tmp_path / "samba", {"C": tmp_path}):
        pass
    running = subprocess.run(["pgrep", "-f", str(tmp_path / "samba")], capture_output=True, check=False)
    assert running.stdout == b""
