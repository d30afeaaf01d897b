"""What consoles say is recognised, misread letters and all; what only looks like it is not."""

from __future__ import annotations

import pytest

from domain.model.verdicts import ConsoleState
from verification.fuzzy_phrases import contains_phrase, skeleton
from verification.screen_reading import classify
from verification.untrusted_text import cleaned_line, cleaned_lines

SCREENS = {
    "Debian GNU/Linux 12 web01 tty1\n\nweb01 login: _": ConsoleState.SIGN_IN,
    "web0Z 1ogin: _": ConsoleState.SIGN_IN,
    "web01 login: [   61.123456] random: crng init done": ConsoleState.SIGN_IN,
    "Press Ctrl+Alt+Delete to unlock.\n14:05": ConsoleState.SIGN_IN,
    "Press Ctr1+A1t+De1ete to un1ock": ConsoleState.SIGN_IN,
    "root@web01:~# _": ConsoleState.CONSOLE,
    "[root@web01 ~]# ": ConsoleState.CONSOLE,
    "C:\\Users\\Administrator> _": ConsoleState.CONSOLE,
    "Recycle Bin\nThis PC": ConsoleState.DESKTOP,
    "[ 2.1055111 Kernel panic - not syncing: VFS: Unab1e to mount": ConsoleState.PANIC,
    "[ 1.0] Kernel pan\nic - not sync\ning": ConsoleState.PANIC,
    ":(\nYour device ran into a prob1em and needs to restart.": ConsoleState.STOP_SCREEN,
    "Stop code: INACCESSIBLE BOOT DEVICE": ConsoleState.STOP_SCREEN,
    "Automatic Repair couldn't repair your PC": ConsoleState.RECOVERY_ENVIRONMENT,
    "Choose an option\nContinue\nTroubleshoot": ConsoleState.RECOVERY_ENVIRONMENT,
    "You are in emergency mode. After logging in, type": ConsoleState.EMERGENCY_SHELL,
    "Cinitramfs) _": ConsoleState.EMERGENCY_SHELL,
    "(initramfs) _": ConsoleState.EMERGENCY_SHELL,
    "error: file `/vmlinuz' not found.\nerror: you need to load the kernel first.": ConsoleState.BOOT_LOADER_STUCK,
    "error: no such device.\nEntering rescue mode...\ngrub rescue> _": ConsoleState.BOOT_LOADER_STUCK,
    "grub> _": ConsoleState.BOOT_LOADER_STUCK,
    "BOOTMGR is missing\nPress Ctrl+Alt+Del to restart": ConsoleState.BOOT_LOADER_STUCK,
    "The Boot Configuration Data for your PC is missing or contains errors": ConsoleState.BOOT_LOADER_STUCK,
    "SeaBIOS (version 1.16.2)\nBooting from Hard Disk...\nNo bootable device.": ConsoleState.NO_BOOT_DEVICE,
    "BdsDxe: No bootable option or device was found.": ConsoleState.NO_BOOT_DEVICE,
    "UEFI Interactive Shell v2.2\nShell> _": ConsoleState.NO_BOOT_DEVICE,
    "Operating System not found": ConsoleState.NO_BOOT_DEVICE,
    "Getting devices ready 35%": ConsoleState.BOOTING,
    "Working on updates 30% complete. Don't turn off your computer": ConsoleState.BOOTING,
    "[    1.234567] ACPI: bus type\n[    1.334567] pci 0000:00": ConsoleState.BOOTING,
    "C OK J] Started getty@ttyl.service": ConsoleState.BOOTING,
    "Booting `Debian GNU/Linux'\nroot: clean, 5640/108416 files, 65818/433664 blocks": ConsoleState.BOOTING,
    "GNU GRUB version 2.06-13+debi2u2": ConsoleState.BOOT_LOADER,
    "SeaBIOS (version 1.16.2-debian)\nBooting from Hard Disk...": ConsoleState.BOOT_LOADER,
    "SeaBIOS (version 1.16.2-debian)": ConsoleState.FIRMWARE,
    "BdsDxe: loading Boot0001 from PciRoot": ConsoleState.FIRMWARE,
    "Guest has not initialized the display (yet).": ConsoleState.BLANK,
    "": ConsoleState.BLANK,
    " \n\u202e \x00": ConsoleState.BLANK,
    "42 apples": ConsoleState.ACTIVE,
}


@pytest.mark.parametrize(("text", "state"), SCREENS.items())
def test_a_screen_is_recognised(text: str, state: ConsoleState) -> None:
    assert classify(text).state is state


NO_SIGN_IN = (
    "Last login: Sun Nov 22 14:05:11 UTC 2026 on tty1",
    "web01 login: root\nPassword:",
    "web01 login: _\nThe system is going down for reboot NOW!",
    "Starting login: service",
    "[    2.1] Kernel panic - not syncing\nweb01 login: _",
    "You are in emergency mode\nGive root password for maintenance",
    "login successful for nobody",
)


@pytest.mark.parametrize("text", NO_SIGN_IN)
def test_what_only_speaks_of_a_sign_in_is_none(text: str) -> None:
    assert classify(text).state is not ConsoleState.SIGN_IN


def test_a_root_prompt_in_emergency_mode_is_no_ordinary_console() -> None:
    reading = classify("You are in emergency mode. After logging in, type\nroot@web01:~# _")
    assert reading.state is ConsoleState.EMERGENCY_SHELL


def test_the_evidence_is_the_line_that_says_so() -> None:
    reading = classify("SeaBIOS\n[    2.1] Kernel panic - not syncing: VFS\n[    2.2] Call Trace:")
    assert reading.evidence == "[    2.1] Kernel panic - not syncing: VFS".replace("    ", " ")


def test_text_and_evidence_carry_no_control_or_direction_characters() -> None:
    reading = classify("web\u202e01\x1b[31m login: _\x07\u200b")
    assert reading.text.isprintable()
    assert reading.evidence.isprintable()


def test_a_flood_of_text_is_cut() -> None:
    reading = classify(("x" * 5000 + "\n") * 5000)
    assert len(reading.text) <= 81 * 200


def test_a_long_phrase_forgives_one_wrong_letter_in_ten_and_no_more() -> None:
    phrase = skeleton("No bootable device")
    assert contains_phrase(skeleton("xx No b0otab1e devlce xx"), phrase)
    assert contains_phrase(skeleton("No bootxble device"), phrase)
    assert not contains_phrase(skeleton("No brutable devise"), phrase)


def test_a_short_phrase_forgives_nothing() -> None:
    assert not contains_phrase(skeleton("Reading"), skeleton("Ready"))


def test_cleaned_line_is_one_bounded_line() -> None:
    assert cleaned_line("a\r\nb\tc\u2028d\x00" + "e" * 50, 12) == "a b cdeeeee…"


def test_cleaned_lines_keeps_lines_apart() -> None:
    assert cleaned_lines("a\r\n  b\u200f\n") == "a\n  b"
