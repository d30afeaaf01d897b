"""How a guest's boot is followed: one table of (what the console showed last, what is seen now) -> what it shows.

The table drives the watching (boot_watch) and the documentation (docs/verdicts.md is made from it; a test compares).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

from domain.model.verdicts import ConsoleState


class Sign(StrEnum):
    """What one look at the machine says. A sign that is *held* stood on the console long enough to be believed."""

    DARK = "nothing but a cursor"
    FIRMWARE = "firmware's text"
    BOOT_LOADER = "boot loader's text or menu"
    BOOTING = "an operating system's progress"
    OTHER = "something else, or an end not yet held"
    HELD_SIGN_IN = "sign-in, held"
    HELD_DESKTOP = "desktop, held"
    HELD_CONSOLE = "command prompt, held"
    HELD_STOP_SCREEN = "stop screen, held"
    HELD_PANIC = "kernel panic, held"
    HELD_NO_BOOT_DEVICE = "complaint of no boot device, held"
    HELD_BOOT_LOADER_ERROR = "boot loader's error, held"
    HELD_EMERGENCY_SHELL = "emergency shell, held"
    HELD_RECOVERY = "recovery environment, held"
    RESET = "a reset"
    RESETS_REPEATED = "one reset too many"
    SWITCHED_OFF = "the machine is off"
    STALLED = "no progress for too long"
    OUT_OF_TIME = "the hard time limit"


HELD_SIGN_OF: Mapping[ConsoleState, Sign] = MappingProxyType(
    {
        ConsoleState.SIGN_IN: Sign.HELD_SIGN_IN,
        ConsoleState.DESKTOP: Sign.HELD_DESKTOP,
        ConsoleState.CONSOLE: Sign.HELD_CONSOLE,
        ConsoleState.STOP_SCREEN: Sign.HELD_STOP_SCREEN,
        ConsoleState.PANIC: Sign.HELD_PANIC,
        ConsoleState.NO_BOOT_DEVICE: Sign.HELD_NO_BOOT_DEVICE,
        ConsoleState.BOOT_LOADER_STUCK: Sign.HELD_BOOT_LOADER_ERROR,
        ConsoleState.EMERGENCY_SHELL: Sign.HELD_EMERGENCY_SHELL,
        ConsoleState.RECOVERY_ENVIRONMENT: Sign.HELD_RECOVERY,
    }
)

SIGN_OF_STATE_ON_THE_WAY: Mapping[ConsoleState, Sign] = MappingProxyType(
    {
        ConsoleState.BLANK: Sign.DARK,
        ConsoleState.FIRMWARE: Sign.FIRMWARE,
        ConsoleState.BOOT_LOADER: Sign.BOOT_LOADER,
        ConsoleState.BOOTING: Sign.BOOTING,
        ConsoleState.ACTIVE: Sign.OTHER,
    }
)

_FROM_ANYWHERE: Mapping[Sign, ConsoleState] = MappingProxyType(
    {
        Sign.DARK: ConsoleState.BLANK,
        Sign.FIRMWARE: ConsoleState.FIRMWARE,
        Sign.BOOT_LOADER: ConsoleState.BOOT_LOADER,
        Sign.BOOTING: ConsoleState.BOOTING,
        Sign.OTHER: ConsoleState.ACTIVE,
        Sign.HELD_SIGN_IN: ConsoleState.SIGN_IN,
        Sign.HELD_DESKTOP: ConsoleState.DESKTOP,
        Sign.HELD_CONSOLE: ConsoleState.CONSOLE,
        Sign.HELD_STOP_SCREEN: ConsoleState.STOP_SCREEN,
        Sign.HELD_PANIC: ConsoleState.PANIC,
        Sign.HELD_NO_BOOT_DEVICE: ConsoleState.NO_BOOT_DEVICE,
        Sign.HELD_BOOT_LOADER_ERROR: ConsoleState.BOOT_LOADER_STUCK,
        Sign.HELD_EMERGENCY_SHELL: ConsoleState.EMERGENCY_SHELL,
        Sign.HELD_RECOVERY: ConsoleState.RECOVERY_ENVIRONMENT,
        Sign.RESET: ConsoleState.BLANK,
        Sign.RESETS_REPEATED: ConsoleState.RESET_LOOP,
        Sign.SWITCHED_OFF: ConsoleState.POWERED_OFF,
        Sign.OUT_OF_TIME: ConsoleState.TIMED_OUT,
    }
)

# Where a guest came to a standstill says what went wrong; each state on the way has its own end.
_AFTER_A_STALL: Mapping[ConsoleState, ConsoleState] = MappingProxyType(
    {
        ConsoleState.BLANK: ConsoleState.STAYED_BLANK,
        ConsoleState.FIRMWARE: ConsoleState.TIMED_OUT,
        ConsoleState.BOOT_LOADER: ConsoleState.BOOT_LOADER_STUCK,
        ConsoleState.BOOTING: ConsoleState.TIMED_OUT,
        ConsoleState.ACTIVE: ConsoleState.TIMED_OUT,
    }
)

TRANSITIONS: Mapping[ConsoleState, Mapping[Sign, ConsoleState]] = MappingProxyType(
    {state: MappingProxyType({**_FROM_ANYWHERE, Sign.STALLED: end}) for state, end in _AFTER_A_STALL.items()}
)

STATES_ON_THE_WAY = tuple(TRANSITIONS)
ENDS = tuple(state for state in ConsoleState if state not in TRANSITIONS)


def next_state(state: ConsoleState, sign: Sign) -> ConsoleState:
    """What the console shows after ``sign``; an end is never left."""
    row = TRANSITIONS.get(state)
    return state if row is None else row[sign]


def table_as_markdown() -> str:
    """The table for docs/verdicts.md: a row for each sign, a column for each state on the way."""
    header = "| Seen now | " + " | ".join(f"after *{state.value}*" for state in STATES_ON_THE_WAY) + " |"
    ruler = "|---" * (len(STATES_ON_THE_WAY) + 1) + "|"
    rows = [
        f"| {sign.value} | " + " | ".join(_cell(TRANSITIONS[state][sign]) for state in STATES_ON_THE_WAY) + " |"
        for sign in Sign
    ]
    return "\n".join([header, ruler, *rows]) + "\n"


def _cell(state: ConsoleState) -> str:
    return f"**{state.value}**" if state in ENDS else state.value
