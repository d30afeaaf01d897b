"""benchmarks/growth.py: exponents, table and chart; and each step does what is measured."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks import growth, growth_steps
from benchmarks.incremental import write_disk
from benchmarks.stepping import stepped
from benchmarks.trial_repository import TrialRepository
from domain.errors import EnvironmentTroubleError
from tests.unit.benchmarks.comparisons import comparison

ROWS = {100.0: {"seconds": 2.0, "memory": 50.0}, 1000.0: {"seconds": 20.0, "memory": 50.0}}


def test_what_doubles_with_the_axis_is_linear_and_what_stays_is_flat() -> None:
    assert growth.exponent(ROWS, "seconds") == pytest.approx(1.0)
    assert growth.exponent(ROWS, "memory") == 0.0
    assert growth.exponent({1.0: {"seconds": 1.0}}, "seconds") == 0.0


def test_the_table_says_how_it_grows_and_what_the_design_says() -> None:
    text = growth.as_markdown(growth.AXES["size"], ROWS, "the command", comparison().machine)

    assert "| 1,000 | 20 | 50 |" in text
    assert "| *grows by the power* | 1.00, designed linear | 0.00, designed flat |" in text
    assert "`the command`" in text


@pytest.mark.parametrize("axis", growth.AXES.values(), ids=growth.AXES)
def test_every_axis_has_a_chart_of_its_figures(axis: growth.Axis) -> None:
    rows = {10.0: dict.fromkeys(axis.columns, 1.0), 100.0: dict.fromkeys(axis.columns, 2.0)}

    texts = {one.text for one in ET.fromstring(growth.chart(axis, rows)).iter() if one.tag.endswith("text")}

    assert {axis.columns[key].label for key in axis.charted} <= texts
    assert axis.title in texts


def test_the_steps_for_chunks_find_what_is_there_and_not_what_is_not(tmp_path: Path) -> None:
    growth_steps.make_index(tmp_path, 50_000)
    sample = [bytes.fromhex(one) for one in json.loads((tmp_path / "sample.json").read_text())]
    costs = growth_steps.look_up(tmp_path, 50_000)

    assert len(sample) == len(set(sample)) == growth_steps._BATCH * growth_steps._BATCHES
    assert min(costs["known_us"], costs["unknown_us"], costs["insert_ms"]) > 0
    with pytest.raises(AssertionError, match="not stored"):
        growth_steps._median_us(lambda ids: set(), sample, expected=True)


def test_the_steps_for_points_make_a_chain_that_can_be_listed_and_walked(tmp_path: Path) -> None:
    write_disk(tmp_path / "disk.raw", 2 << 20)

    assert growth_steps.make_points(tmp_path, 4) > 0
    assert growth_steps.list_points(tmp_path, 4) > 0
    assert growth_steps.forecast_prune(tmp_path, 4) > 0


def test_the_step_for_changes_takes_in_what_changed(tmp_path: Path) -> None:
    write_disk(tmp_path / "disk.raw", 4 << 20)

    assert growth_steps.ingest_changes(tmp_path, 3) > 0
    with TrialRepository(tmp_path / "repository", existing=True) as repository:
        repository.index.catch_up()
        assert len(list(repository.index.packs())) >= 4, "data and maps of both times"


def failing_step(_folder: Path, _number: int) -> None:
    raise SystemExit(3)


def light_step(_folder: Path, number: int) -> int:
    return number + 1


@pytest.mark.process
def test_the_memory_of_a_step_is_its_own_and_not_its_parents(tmp_path: Path) -> None:
    held = bytearray(b"x") * (300 << 20)
    found = stepped(light_step, tmp_path, 41)

    assert found.returned == 42
    assert 0 < found.peak_rss_bytes < len(held)


@pytest.mark.process
def test_a_step_that_dies_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentTroubleError, match="failing_step ended with 3"):
        stepped(failing_step, tmp_path, 0)
