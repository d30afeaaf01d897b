"""The machine's clock."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_ZONE_OF_THIS_MACHINE = Path("/etc/localtime")


class SystemClock:
    """Implements the clock port."""

    def now(self) -> datetime:
        """The wall clock in UTC."""
        return datetime.now(UTC)

    def monotonic_s(self) -> float:
        """Seconds that never go backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


def local_zone() -> tzinfo:
    """The time zone of this machine with its summer times, as ``TZ`` or the system says; UTC if neither does."""
    name = os.environ.get("TZ")
    if name:
        with suppress(OSError, ValueError, ZoneInfoNotFoundError):
            return ZoneInfo(name)
    with suppress(OSError, ValueError), _ZONE_OF_THIS_MACHINE.open("rb") as file:
        return ZoneInfo.from_file(file, key="local")
    return UTC
