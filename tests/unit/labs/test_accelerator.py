"""KVM is used only where a probe has booted with it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from adapters.labs.qemu import accelerator
from adapters.labs.qemu.accelerator import choose_accelerator, seconds_to_boot
from tests.unit.labs.tiny_guests import stand_in

pytestmark = pytest.mark.process


@pytest.fixture
def able_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose processor says that it can, and whose device opens."""
    facts = tmp_path / "cpuinfo"
    facts.write_text("flags\t\t: fpu vmx sse2\n", encoding="ascii")
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "_CPU_FACTS", facts)
    monkeypatch.setattr(accelerator, "_KVM_DEVICE", device)
    monkeypatch.setattr(accelerator, "_KVM_S_MIN", 1.0)


def test_the_probe_boots_in_emulation() -> None:
    program = shutil.which("qemu-system-x86_64")
    assert program is not None
    assert seconds_to_boot(program, "tcg", seconds_max=30.0) is not None


def test_an_accelerator_that_does_not_exist_fails_the_probe() -> None:
    program = shutil.which("qemu-system-x86_64")
    assert program is not None
    assert seconds_to_boot(program, "no-such-accelerator", seconds_max=30.0) is None


def test_a_guest_that_hangs_fails_the_probe(tmp_path: Path) -> None:
    assert seconds_to_boot(stand_in(tmp_path, "exec sleep 600"), "kvm", seconds_max=0.5) is None


@pytest.mark.usefixtures("able_machine")
def test_kvm_is_chosen_when_the_probe_boots_and_the_result_is_kept(tmp_path: Path) -> None:
    program = stand_in(tmp_path, f"echo called >> {tmp_path}/calls; exit 33")
    assert choose_accelerator(program, tmp_path) == "kvm"
    assert choose_accelerator(program, tmp_path) == "kvm"
    assert (tmp_path / "calls").read_text() == "called\ncalled\n"  # Emulation for comparison, then KVM.


@pytest.mark.usefixtures("able_machine")
def test_kvm_that_is_slower_than_emulation_is_not_used(tmp_path: Path) -> None:
    script = 'case "$*" in *kvm*) exec sleep 600 ;; *) exit 33 ;; esac'
    assert choose_accelerator(stand_in(tmp_path, script), tmp_path) == "tcg"


@pytest.mark.usefixtures("able_machine")
@pytest.mark.parametrize("code", [0, 1, 35])
def test_a_probe_that_ends_in_any_other_way_means_emulation(tmp_path: Path, code: int) -> None:
    assert choose_accelerator(stand_in(tmp_path, f"exit {code}"), tmp_path) == "tcg"


@pytest.mark.usefixtures("able_machine")
@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"key": "old", "accelerator": "kvm"}', '{"accelerator": "rocket"}']
)
def test_a_kept_result_that_is_damaged_or_outdated_is_found_anew(tmp_path: Path, content: str) -> None:
    (tmp_path / "accelerator.json").write_text(content, encoding="utf-8")
    assert choose_accelerator(stand_in(tmp_path, "exit 1"), tmp_path) == "tcg"


@pytest.mark.usefixtures("able_machine")
def test_without_the_processors_help_nothing_is_probed(tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags\t\t: fpu sse2\n", encoding="ascii")
    program = stand_in(tmp_path, f"touch {tmp_path}/called; exit 33")
    assert choose_accelerator(program, tmp_path) == "tcg"
    assert not (tmp_path / "called").exists()
