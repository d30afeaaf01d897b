"""Moments as an auditor names them: a day, a time of day, or a position in the history."""

from __future__ import annotations

from datetime import date, datetime, timedelta

from adapters.clock import local_zone
from domain.errors import BadInputError
from domain.ports.event_log import EventLog


def start_of(text: str) -> datetime:
    """The moment that ``text`` begins at: a day begins at its midnight here. Raises BadInputError."""
    return _moment(text, timedelta(0))


def end_of(text: str) -> datetime:
    """The moment that ``text`` ends at: a day ends just before the next one here. Raises BadInputError."""
    return _moment(text, timedelta(days=1) - timedelta(microseconds=1))


def position_of(log: EventLog, text: str) -> int:
    """The number of the event that stands for a moment: itself, or the last event that is not later than a time.

    Events are taken in their order; a time is only looked at to find the last of them. Raises BadInputError when there
    is no event so early, or no such position yet.
    """
    last = log.last_number()
    if text.isdigit():
        if not 1 <= int(text) <= last:
            raise BadInputError(
                "There is no such position.", where=text, next_step=f"Name one between 1 and {last}, or a date."
            )
        return int(text)
    until = end_of(text)
    found = 0
    for numbered in log.events_after(0):
        if numbered.event.at <= until:
            found = numbered.number
    if not found:
        raise BadInputError("Nothing had happened by then.", where=text, next_step="Name a later date.")
    return found


def _moment(text: str, within_day: timedelta) -> datetime:
    try:
        day = date.fromisoformat(text)
    except ValueError:
        pass
    else:
        return datetime(day.year, day.month, day.day, tzinfo=local_zone()) + within_day
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(
            "This is no date.", where=repr(text), next_step="Write 2026-11-22, or 2026-11-22T14:30."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=local_zone())
