"""What the lab says and leaves behind when QEMU is missing, dies, hangs, or its controller is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.labs.qemu import QemuLab
from adapters.labs.qemu.processes import process_start_ticks
from domain.errors import EnvironmentTroubleError
from domain.model.machines import Firmware
from domain.ports.lab import LabPlan
from tests.guests.catalog import MIB, GuestName
from tests.unit.labs.tiny_guests import IDE, bios_plan, stand_in, tiny_image, watched_until

pytestmark = pytest.mark.process

_PROJECT = Path(__file__).parents[3]
_CONTROLLER = """
import sys
from pathlib import Path
from adapters.labs.qemu import QemuLab
from tests.unit.labs.tiny_guests import bios_plan
with QemuLab(Path(sys.argv[1])).powered_on(bios_plan(Path(sys.argv[2]))) as machine:
    machine.observe()
    print("running", flush=True)
    sys.stdin.read()
"""


def _pid_of(work_folder: Path) -> int:
    (note,) = work_folder.glob("run.*/qemu.pid")
    return int(note.read_text(encoding="ascii").split()[0])


def _trouble(lab: QemuLab, image: Path) -> EnvironmentTroubleError:
    with pytest.raises(EnvironmentTroubleError) as caught, lab.powered_on(bios_plan(image)):
        pytest.fail("it was powered on")
    return caught.value


def test_a_missing_qemu_names_the_package_to_install(tmp_path: Path) -> None:
    trouble = _trouble(QemuLab(tmp_path / "lab", program="qemu-that-is-not-there"), tiny_image(tmp_path))
    assert trouble.next_step == "Run: apt-get install qemu-system-x86"
    assert not list(tmp_path.glob("lab/run.*"))


def test_a_missing_uefi_firmware_names_the_package_to_install(tmp_path: Path) -> None:
    plan = bios_plan(tiny_image(tmp_path))
    uefi = LabPlan(
        label="x", firmware=Firmware.UEFI, disks=plan.disks, memory_bytes=64 * MIB, processors=1, seconds_max=9.0
    )
    lab = QemuLab(tmp_path / "lab", firmware_root=tmp_path)
    with pytest.raises(EnvironmentTroubleError) as caught, lab.powered_on(uefi):
        pytest.fail("it was powered on")
    assert caught.value.next_step == "Run: apt-get install ovmf"


def test_a_qemu_that_dies_at_the_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = stand_in(tmp_path, "echo 'cannot set up guest memory' >&2; exit 1")
    trouble = _trouble(QemuLab(tmp_path / "lab", program=program), tiny_image(tmp_path))
    assert "ended with code 1" in trouble.what
    assert "cannot set up guest memory" in trouble.what
    assert not list(tmp_path.glob("lab/run.*"))


def test_a_qemu_that_never_greets_is_given_up_in_time_and_ended(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 600")
    trouble = _trouble(QemuLab(tmp_path / "lab", program=program, answer_s_max=1.0), tiny_image(tmp_path))
    assert "did not answer within 1 s" in trouble.what
    assert process_start_ticks(int((tmp_path / "pid").read_text())) is None


def test_a_qemu_that_is_killed_while_it_is_watched_is_the_labs_trouble(tmp_path: Path) -> None:
    lab = QemuLab(tmp_path / "lab")
    with lab.powered_on(bios_plan(tiny_image(tmp_path))) as machine:
        os.kill(_pid_of(tmp_path / "lab"), signal.SIGKILL)
        with pytest.raises(EnvironmentTroubleError, match="ended by signal 9"):
            watched_until(machine, "ended")
    assert not list(tmp_path.glob("lab/run.*"))


def test_a_qemu_that_hangs_is_the_labs_trouble_and_is_still_torn_down(tmp_path: Path) -> None:
    lab = QemuLab(tmp_path / "lab", answer_s_max=2.0)
    with lab.powered_on(bios_plan(tiny_image(tmp_path))) as machine:
        pid = _pid_of(tmp_path / "lab")
        os.kill(pid, signal.SIGSTOP)
        with pytest.raises(EnvironmentTroubleError, match="did not answer"):
            machine.observe()
    assert process_start_ticks(pid) is None
    assert not list(tmp_path.glob("lab/run.*"))


def test_a_machine_that_outlives_its_time_is_stopped_by_the_lab(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapters.labs.qemu.lab._GRACE_S", 0.0)
    plan = bios_plan(tiny_image(tmp_path, GuestName.RESET_LOOP), seconds_max=1.0)
    with QemuLab(tmp_path / "lab").powered_on(plan) as machine:
        seen = watched_until(machine, "ended")
        machine.press_key()
    assert seen.end_reason == "the lab stopped it after the 1 s that were allowed"


def test_the_run_folder_is_private(tmp_path: Path) -> None:
    with QemuLab(tmp_path / "lab").powered_on(bios_plan(tiny_image(tmp_path))):
        (folder,) = tmp_path.glob("lab/run.*")
        assert folder.stat().st_mode & 0o777 == 0o700


def test_the_running_qemu_has_low_priority_and_no_guest_text_in_its_arguments(tmp_path: Path) -> None:
    with QemuLab(tmp_path / "lab").powered_on(bios_plan(tiny_image(tmp_path), label="secret-name")):
        pid = _pid_of(tmp_path / "lab")
        arguments = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8")
        assert os.getpriority(os.PRIO_PROCESS, pid) >= 10
    assert "qemu" in arguments
    assert "secret-name" not in arguments
    assert str(tmp_path) not in arguments


def test_a_controller_that_is_killed_takes_its_machine_along_and_sweeping_removes_the_rest(tmp_path: Path) -> None:
    image, work_folder = tiny_image(tmp_path), tmp_path / "lab"
    with subprocess.Popen(
        [sys.executable, "-c", _CONTROLLER, str(work_folder), str(image)],
        cwd=_PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as controller:
        assert controller.stdout is not None
        assert controller.stdout.readline() == b"running\n"
        pid = _pid_of(work_folder)
        assert process_start_ticks(pid) is not None
        controller.kill()
        controller.wait()
    lab = QemuLab(work_folder)
    said = lab.sweep()
    assert process_start_ticks(pid) is None
    assert any("Removed the run folder" in sentence for sentence in said)
    assert not list(work_folder.glob("run.*"))
    assert lab.sweep() == ()


def test_sweeping_ends_an_emulator_that_survived_but_never_a_process_that_got_its_number(tmp_path: Path) -> None:
    work_folder = tmp_path / "lab"
    with subprocess.Popen(["sleep", "600"]) as survivor, subprocess.Popen(["sleep", "600"]) as stranger:
        try:
            _leave_behind(work_folder / "run.survivor", survivor.pid, process_start_ticks(survivor.pid))
            _leave_behind(work_folder / "run.stranger", stranger.pid, 1)
            said = QemuLab(work_folder).sweep()
            assert survivor.wait() == -signal.SIGKILL
            assert stranger.poll() is None
        finally:
            survivor.kill()
            stranger.kill()
    assert len(said) == 3
    assert not list(work_folder.glob("run.*"))


@pytest.mark.parametrize("note", ["", "not a number", "12"], ids=["empty", "garbage", "half"])
def test_sweeping_copes_with_a_half_written_note(tmp_path: Path, note: str) -> None:
    folder = tmp_path / "lab" / "run.half"
    folder.mkdir(parents=True)
    (folder / "qemu.pid").write_text(note, encoding="ascii")
    assert len(QemuLab(tmp_path / "lab").sweep()) == 1
    assert not folder.exists()


def test_a_work_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "lab").write_text("a file", encoding="ascii")
    trouble = _trouble(QemuLab(tmp_path / "lab"), tiny_image(tmp_path))
    assert trouble.where == str(tmp_path / "lab")


def test_a_disk_at_a_place_of_hyper_v_boots(tmp_path: Path) -> None:
    plan = bios_plan(tiny_image(tmp_path))
    assert plan.disks[0].place == IDE
    with QemuLab(tmp_path / "lab").powered_on(plan) as machine:
        assert watched_until(machine, "picture").running


def _leave_behind(folder: Path, pid: int, start_ticks: int | None) -> None:
    folder.mkdir(parents=True)
    (folder / "qemu.pid").write_text(f"{pid} {start_ticks}\n", encoding="ascii")
