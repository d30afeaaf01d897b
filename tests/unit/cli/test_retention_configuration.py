"""The retention rules as they stand in atesta.toml."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from adapters.configuration import load_configuration, parse_span
from domain.errors import BadInputError
from domain.model.retention import KEEP_EVERYTHING
from tests.doubles.scripted_source import machine_with


def written(folder: Path, text: str) -> Path:
    file = folder / "atesta.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_the_section_everything_is_kept(tmp_path: Path) -> None:
    retention = load_configuration(written(tmp_path, "")).content.retention

    assert retention.policies().of(machine_with([])) == KEEP_EVERYTHING
    assert retention.zone() is None


def test_rules_and_overrides_are_read(tmp_path: Path) -> None:
    text = """
    [retention]
    keep_last = 3
    daily = 7
    time_zone = "Europe/Berlin"
    [[retention.machines]]
    match = "sql*"
    within = "8 w"
    [[retention.machines]]
    match = "*"
    """
    retention = load_configuration(written(tmp_path, text)).content.retention
    policies = retention.policies()

    assert str(policies.default) == "last 3, daily 7"
    assert str(policies.of(machine_with([], name="SQL01"))) == "within 56 d"
    assert policies.of(machine_with([], name="web")) == KEEP_EVERYTHING
    assert retention.zone() == ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize(
    "line",
    [
        "keep_last = -1",
        "daily = 1.5",
        'within = "a month"',
        'within = "0 d"',
        'time_zone = "Middle/Earth"',
        'time_zone = "../secret"',
        "keep_daily = 7",
        '[[retention.machines]]\nwithin = "3 d"',
        '[[retention.machines]]\nmatch = "x"\nwithin = "3 m"',
    ],
)
def test_a_rule_that_makes_no_sense_is_refused(tmp_path: Path, line: str) -> None:
    with pytest.raises(BadInputError, match="configuration is wrong"):
        load_configuration(written(tmp_path, f"[retention]\n{line}\n"))


def test_spans_are_hours_days_or_weeks() -> None:
    assert [parse_span(text) for text in ("36 h", "30d", " 2 W ")] == [
        timedelta(hours=36),
        timedelta(days=30),
        timedelta(weeks=2),
    ]
