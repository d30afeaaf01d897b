from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.comparison import ingest_seconds, load, save, stored
from tests.unit.benchmarks.comparisons import comparison


def test_figures_are_the_same_after_saving_and_loading(tmp_path: Path) -> None:
    file = tmp_path / "results" / "peers.json"
    save(comparison(), file)
    assert load(file) == comparison()


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "peers.json"
    file.write_text('{"size": "small"}')
    with pytest.raises(msgspec.ValidationError):
        load(file)


def test_the_median_is_not_moved_by_one_slow_round() -> None:
    atesta = comparison().tools[0]
    assert atesta.median(ingest_seconds) == 2.0
    assert atesta.spread(ingest_seconds) == (1.0, 9.0)
    assert atesta.median(stored) == 80_000_000


def test_rates_are_of_allocated_bytes_not_of_holes() -> None:
    assert comparison().allocated_bytes == 300_000_000
    assert comparison().restored_bytes == 200_000_000
