"""Where days begin when nothing is configured."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters import clock
from adapters.clock import local_zone

SUMMER, WINTER = datetime(2026, 7, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC)


def offsets() -> list[timedelta | None]:
    return [moment.astimezone(local_zone()).utcoffset() for moment in (WINTER, SUMMER)]


def test_the_environment_names_a_zone_with_its_summer_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Europe/Berlin")

    assert offsets() == [timedelta(hours=1), timedelta(hours=2)]


@pytest.mark.parametrize("name", ["", "Middle/Earth", ":/etc/localtime", "../x"])
def test_the_system_s_zone_is_next(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", name)
    monkeypatch.setattr(clock, "_ZONE_OF_THIS_MACHINE", Path("/usr/share/zoneinfo/Asia/Tokyo"))

    assert offsets() == [timedelta(hours=9)] * 2


def test_without_either_it_is_utc(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("TZ", raising=False)
    monkeypatch.setattr(clock, "_ZONE_OF_THIS_MACHINE", tmp_path / "none")

    assert local_zone() is UTC
