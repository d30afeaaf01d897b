"""Which clocks to believe: the order of commits is certain, what a wall clock said is not.

A moment contradicts another one when it is earlier although it was recorded later; one of the two is wrong. There are
two plausible readings of such a history. *Earlier wins*: what is recorded later never takes belief away from what was
there before. *Most agree*: the largest set of moments that do not contradict each other, which finds out a clock that
ran ahead once more moments contradict it than agree with it. In neither is a moment believed that is still to come.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta

Reading = frozenset[int]
"""The places of the moments that are believed."""

_GAP_MAX = timedelta(days=35)
_SLACK = timedelta(minutes=5)


def plausible_readings(moments: Sequence[datetime], now: datetime) -> tuple[Reading, ...]:
    """The readings of ``moments``, which are in the order of their commits: one when no clock is in doubt, or two."""
    return tuple(dict.fromkeys((_earlier_wins(moments, now), _most_agree(moments, now))))


def clock_doubt(recorded: Sequence[datetime], now: datetime) -> str:
    """Why ``now`` cannot be relied upon after what was ``recorded`` last, in order; empty when it can.

    Back-dated moments in between do no harm; a jump ahead of more than 35 days does, and so does a clock that is
    behind the last moment.
    """
    newest: datetime | None = None
    for moment in (*recorded, now):
        if newest is not None and moment - newest > _GAP_MAX:
            return f"The wall clock jumped from {newest:%Y-%m-%d %H:%M} to {moment:%Y-%m-%d %H:%M} UTC."
        newest = moment if newest is None else max(newest, moment)
    if recorded and now < recorded[-1] - _SLACK:
        return (
            f"The wall clock says {now:%Y-%m-%d %H:%M} UTC, but the newest event was recorded at "
            f"{recorded[-1]:%Y-%m-%d %H:%M} UTC."
        )
    return ""


def _earlier_wins(moments: Sequence[datetime], now: datetime) -> Reading:
    believed: list[int] = []
    for place, moment in enumerate(moments):
        if moment <= now and (not believed or moment >= moments[believed[-1]]):
            believed.append(place)
    return frozenset(believed)


def _most_agree(moments: Sequence[datetime], now: datetime) -> Reading:
    """The longest subsequence that never descends, by patience sorting."""
    ends: list[datetime] = []
    places: list[int] = []
    before: dict[int, int | None] = {}
    for place, moment in enumerate(moments):
        if moment > now:
            continue
        length = bisect_right(ends, moment)
        before[place] = places[length - 1] if length else None
        ends[length : length + 1] = [moment]
        places[length : length + 1] = [place]
    believed: list[int] = []
    at = places[-1] if places else None
    while at is not None:
        believed.append(at)
        at = before[at]
    return frozenset(believed)
