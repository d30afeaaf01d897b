"""What a verification found out, and what it did not."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum


class VerdictWord(StrEnum):
    """The one word that a mail's subject starts with."""

    BOOTED = "BOOTED"
    FAILED = "FAILED"
    UNDECIDED = "UNDECIDED"


class Grade(IntEnum):
    """How far the proof reaches; each grade includes the ones before it."""

    NOTHING = 0
    DATA = 1
    STRUCTURE = 2
    FILE_SYSTEMS = 3
    BOOT = 4
    HEARTBEAT = 5
    SERVICE = 6
    APPLICATION = 7


class ConsoleState(StrEnum):
    """What the console of a booting guest shows. The first five are on the way, the others are ends."""

    BLANK = "blank"
    FIRMWARE = "firmware"
    BOOT_LOADER = "boot loader"
    BOOTING = "booting"
    ACTIVE = "active"
    SIGN_IN = "sign-in"
    DESKTOP = "desktop"
    CONSOLE = "console"
    STOP_SCREEN = "stop screen"
    PANIC = "kernel panic"
    NO_BOOT_DEVICE = "no boot device"
    BOOT_LOADER_STUCK = "boot loader stuck"
    EMERGENCY_SHELL = "emergency shell"
    RECOVERY_ENVIRONMENT = "recovery environment"
    RESET_LOOP = "reset loop"
    POWERED_OFF = "powered off"
    STAYED_BLANK = "stayed blank"
    TIMED_OUT = "timed out"


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The judgement of one verification.

    ``reasons`` say why this word, most important first. ``not_proven`` lists what the verification did not look at:
    never empty. ``boot_s`` is the time from power-on to the settled console, when it settled.
    """

    word: VerdictWord
    grade: Grade
    console_state: ConsoleState
    reasons: tuple[str, ...]
    not_proven: tuple[str, ...]
    boot_s: float | None
