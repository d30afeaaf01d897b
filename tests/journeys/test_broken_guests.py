"""Negative controls: real guests that do not come back, and two more that do, judged through the whole program."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.guests.build import build_guest
from tests.guests.catalog import GuestName
from tests.journeys.command import answer, atesta

pytestmark = [pytest.mark.guest, pytest.mark.timeout(900)]

_FAILED = 8


@pytest.mark.parametrize(
    ("guest", "states"),
    [
        (GuestName.NO_BOOT_LOADER_BIOS, {"no boot device", "boot loader stuck"}),
        (GuestName.NO_BOOT_LOADER_UEFI, {"no boot device"}),
        (GuestName.ROOT_DESTROYED_BIOS, {"emergency shell", "kernel panic"}),
        (GuestName.RESET_LOOP, {"reset loop"}),
        (GuestName.BLANK_CONSOLE, {"stayed blank"}),
        (GuestName.POWERS_OFF, {"powered off"}),
    ],
)
def test_a_guest_that_does_not_come_back_is_failed_with_the_reason(
    tmp_path: Path, guest: GuestName, states: set[str]
) -> None:
    (result,) = _verified(tmp_path, guest, expected=_FAILED)
    assert result["verdict"] == "FAILED"
    assert result["console_state"] in states
    assert result["reasons"]
    assert result["not_proven"]
    assert not list((tmp_path / "repository" / "state" / "lab").glob("bench-*"))


def test_a_generation_2_guest_comes_back(tmp_path: Path) -> None:
    (result,) = _verified(tmp_path, GuestName.DEBIAN_UEFI, expected=0)
    assert result["verdict"] == "BOOTED"
    assert result["console_state"] == "sign-in"
    assert result["grade"] == "boot"


def _verified(folder: Path, guest: GuestName, expected: int) -> list[dict[str, object]]:
    build_guest(guest, folder / "exports").raw.unlink()
    atesta(folder, "init", "--exports", "exports")
    atesta(folder, "backup", "--no-verify")
    results: list[dict[str, object]] = answer(folder, "verify", "--latest", expected=expected)
    return results
