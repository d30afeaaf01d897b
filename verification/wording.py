"""Times and moments as people read them, whatever the machine's language settings."""

from __future__ import annotations

from datetime import datetime

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


def moment(when: datetime, *, with_year: bool = True) -> str:
    """``22 Nov 2026 14:05 UTC`` in the zone that ``when`` carries; ``22 Nov 14:05`` without the year."""
    day = f"{when.day} {_MONTHS[when.month - 1]}"
    if not with_year:
        return f"{day} {when:%H:%M}"
    return f"{day} {when.year} {when:%H:%M} {when.tzname() or ''}".rstrip()


def duration(seconds: float) -> str:
    """``0.4 s``, ``38 s``, ``4 min 05 s`` or ``2 h 03 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 120:
        return f"{whole} s"
    minutes, rest = divmod(whole, 60)
    return f"{minutes} min {rest:02d} s" if minutes < 120 else f"{minutes // 60} h {minutes % 60:02d} min"
