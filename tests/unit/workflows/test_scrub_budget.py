from __future__ import annotations

from datetime import UTC, datetime

import pytest

from domain.workflows.scrub_budget import ScrubBudget, ScrubLimits

MIB = 1 << 20


class StillClock:
    """A clock that moves only when somebody sleeps or a test says so."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return datetime(2026, 11, 22, tzinfo=UTC)

    def monotonic_s(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.seconds += seconds


def test_without_limits_nothing_is_ever_spent_and_nobody_waits() -> None:
    clock = StillClock()
    budget = ScrubBudget(ScrubLimits(), clock)
    budget.spend(1 << 50)

    assert not budget.is_spent(1 << 50)
    assert clock.slept == []


def test_one_pack_is_read_whatever_the_budget_and_then_none_that_exceeds_it() -> None:
    budget = ScrubBudget(ScrubLimits(bytes_max=10), StillClock())

    first = budget.is_spent(1000)
    budget.spend(4)
    answers = [budget.is_spent(6), budget.is_spent(7)]

    assert (first, answers) == (False, [False, True])


def test_time_ends_a_scrub_between_two_packs() -> None:
    clock = StillClock()
    budget = ScrubBudget(ScrubLimits(seconds_max=60), clock)
    budget.spend(1)
    clock.seconds = 59.9
    before = budget.is_spent(1)
    clock.seconds = 60

    assert (before, budget.is_spent(1)) == (False, True)


@pytest.mark.parametrize("read_s", [0.0, 0.01, 0.02])
def test_a_rate_holds_on_the_whole_however_fast_the_disk_is(read_s: float) -> None:
    clock = StillClock()
    budget = ScrubBudget(ScrubLimits(bytes_per_second=100 * MIB), clock)
    for _ in range(250):
        clock.seconds += read_s
        budget.spend(4 * MIB)

    assert clock.seconds == pytest.approx(10, abs=0.3)
    assert clock.slept


def test_a_disk_that_is_slower_than_the_rate_is_not_slowed_down() -> None:
    clock = StillClock()
    budget = ScrubBudget(ScrubLimits(bytes_per_second=100 * MIB), clock)
    for _ in range(20):
        clock.seconds += 1
        budget.spend(4 * MIB)

    assert clock.slept == []
