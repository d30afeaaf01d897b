"""Pictures that real firmware, boot loaders and guests showed in QEMU are read for what they are."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from adapters.reading.tesseract import TesseractReader, prepared_for_reading
from domain.errors import EnvironmentTroubleError
from domain.model.verdicts import ConsoleState
from domain.ports.lab import Frame
from tests.unit.verification.console_world import drawn, frame_from
from verification.screen_reading import classify

PICTURES = {
    "login": ConsoleState.SIGN_IN,
    "uefi_login": ConsoleState.SIGN_IN,
    "shell": ConsoleState.CONSOLE,
    "panic": ConsoleState.PANIC,
    "panic_real": ConsoleState.PANIC,
    "grub_menu": ConsoleState.BOOT_LOADER,
    "grub_rescue": ConsoleState.BOOT_LOADER_STUCK,
    "kernel_removed": ConsoleState.BOOT_LOADER_STUCK,
    "bootmgr": ConsoleState.BOOT_LOADER_STUCK,
    "initramfs": ConsoleState.EMERGENCY_SHELL,
    "seabios_empty": ConsoleState.NO_BOOT_DEVICE,
    "uefi_shell": ConsoleState.NO_BOOT_DEVICE,
    "booting_quietly": ConsoleState.BOOTING,
    "display_not_started": ConsoleState.BLANK,
}


@pytest.mark.process
@pytest.mark.parametrize(("name", "state"), PICTURES.items())
def test_a_real_picture_is_read_for_what_it_is(name: str, state: ConsoleState) -> None:
    assert classify(TesseractReader().read(frame_from(name))).state is state


def test_an_empty_console_is_not_read_at_all() -> None:
    black = Frame(width=64, height=48, rgb=bytes(64 * 48 * 3))
    assert prepared_for_reading(black) is None
    assert TesseractReader(program="/nonexistent").read(black) == ""


def test_an_absurd_size_is_not_read_at_all() -> None:
    assert TesseractReader(program="/nonexistent").read(Frame(width=100_000, height=1, rgb=bytes(300_000))) == ""


def test_a_missing_tesseract_says_how_to_get_it() -> None:
    with pytest.raises(EnvironmentTroubleError, match="apt install tesseract-ocr"):
        TesseractReader(program="/nonexistent/tesseract").read(drawn("text"))


@pytest.mark.process
def test_a_tesseract_that_fails_is_trouble_and_not_an_empty_console(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentTroubleError, match="no language data"):
        TesseractReader(program=program(tmp_path, "echo no language data >&2; exit 1")).read(drawn("text"))


@pytest.mark.process
def test_a_tesseract_that_hangs_is_stopped(tmp_path: Path) -> None:
    reader = TesseractReader(program=program(tmp_path, "exec sleep 600"), seconds_max=0.2)
    assert reader.read(drawn("text")) == ""


def program(folder: Path, script: str) -> str:
    path = folder / "tesseract"
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)
