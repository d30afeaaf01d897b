"""The transition table is complete, ends are ends, and the documentation shows it as it is."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.model.verdicts import ConsoleState
from verification.boot_table import (
    ENDS,
    HELD_SIGN_OF,
    SIGN_OF_STATE_ON_THE_WAY,
    STATES_ON_THE_WAY,
    TRANSITIONS,
    Sign,
    next_state,
    table_as_markdown,
)

DOCUMENT = Path(__file__).parents[3] / "docs" / "verdicts.md"


def test_every_state_on_the_way_has_an_answer_to_every_sign() -> None:
    for state in STATES_ON_THE_WAY:
        assert set(TRANSITIONS[state]) == set(Sign)


def test_every_console_state_is_either_on_the_way_or_an_end() -> None:
    assert set(STATES_ON_THE_WAY) | set(ENDS) == set(ConsoleState)
    assert not set(STATES_ON_THE_WAY) & set(ENDS)


def test_every_end_can_be_reached_from_a_machine_that_was_just_powered_on() -> None:
    reachable = {ConsoleState.BLANK}
    for _ in ConsoleState:
        reachable |= {next_state(state, sign) for state in reachable for sign in Sign}
    assert reachable == set(ConsoleState)


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("sign", Sign)
def test_an_end_is_never_left(end: ConsoleState, sign: Sign) -> None:
    assert next_state(end, sign) is end


@pytest.mark.parametrize("state", STATES_ON_THE_WAY)
def test_only_a_held_sign_settles_a_boot(state: ConsoleState) -> None:
    settled = {ConsoleState.SIGN_IN, ConsoleState.DESKTOP, ConsoleState.CONSOLE}
    settling = {sign for sign in Sign if next_state(state, sign) in settled}
    assert settling == {HELD_SIGN_OF[end] for end in settled}


def test_a_state_on_the_way_is_kept_by_its_own_sign() -> None:
    for state, sign in SIGN_OF_STATE_ON_THE_WAY.items():
        assert next_state(state, sign) is state


def test_the_documentation_holds_the_table_that_the_code_runs() -> None:
    assert table_as_markdown() in DOCUMENT.read_text(encoding="utf-8")
