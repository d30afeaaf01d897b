"""What benchmarks/suite.py makes of a report: steps, a comparison with the run before, a table and a chart."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import msgspec

from benchmarks.suite import Step, SuiteRun, as_markdown, chart, last_run, readable, save, steps_of
from tests.unit.benchmarks.comparisons import comparison

HASHING = Step(
    name="hashing chunks",
    median_s=0.010,
    low_s=0.009,
    high_s=0.011,
    rounds=5,
    noted={"bytes_per_s": 5e9, "cpu_s": 0.01, "peak_rss_bytes": 100 << 20, "duplicate_share": 0.25},
)
INSERTING = Step(
    name="inserting", median_s=0.002, low_s=0.002, high_s=0.002, rounds=5, noted={"chunks_per_s": 258_508.0}
)


def run_of(*steps: Step, at: str = "2026-11-24T10:00:00+00:00") -> SuiteRun:
    return SuiteRun(measured_at=at, command="python -m benchmarks.suite", machine=comparison().machine, steps=steps)


def slower(step: Step, factor: float) -> Step:
    return msgspec.structs.replace(
        step, median_s=step.median_s * factor, low_s=step.low_s * factor, high_s=step.high_s * factor
    )


def test_the_steps_of_a_report_have_their_names_times_and_notes() -> None:
    stats = {"median": 1.0, "min": 0.5, "max": 2.0, "rounds": 3}
    report = {
        "benchmarks": [{"name": "bench_scrub[names]", "stats": stats, "extra_info": {"bytes_per_s": 7, "a": "b"}}]
    }

    (step,) = steps_of(report)

    assert (step.name, step.median_s, step.low_s, step.high_s) == ("scrub: names", 1.0, 0.5, 2.0)
    assert step.noted == {"bytes_per_s": 7}
    assert readable("bench_cutting_a_segment") == "cutting a segment"


def test_the_table_shows_rates_and_ratios_and_that_a_step_is_new() -> None:
    text = as_markdown(run_of(HASHING, INSERTING), None)

    assert (
        "| hashing chunks | 10.0 ms (9.0 ms-11.0 ms) | 5,000 MB/s | 10.0 ms | 100 MiB |  | duplicate 25.00% | new |"
        in text
    )
    assert "| 258,508 chunks/s |" in text
    assert "There was no saved run to compare with." in text


def test_a_change_beyond_the_spreads_stands_out_and_noise_does_not() -> None:
    before = run_of(HASHING, INSERTING, at="2026-11-23T10:00:00+00:00")

    text = as_markdown(run_of(slower(HASHING, 2.0), slower(INSERTING, 1.05)), before)

    assert "| **+100% time** |" in text
    assert "| +5% time |" in text
    assert "The last run was 2026-11-23" in text


def test_the_last_saved_run_is_found_and_a_broken_file_passed_over(tmp_path: Path) -> None:
    assert last_run(tmp_path) is None
    save(run_of(HASHING, at="2026-11-23T10:00:00+00:00"), tmp_path)
    newer = run_of(INSERTING)
    save(newer, tmp_path)
    (tmp_path / "suite-2099.json").write_text("{")

    assert last_run(tmp_path) == newer


def test_the_chart_has_a_bar_for_each_step_that_works_through_bytes() -> None:
    before = run_of(slower(HASHING, 2.0))
    drawn = chart(run_of(HASHING, INSERTING), before)

    texts = [one.text for one in ET.fromstring(drawn).iter() if one.tag.endswith("text")]
    assert "hashing chunks" in texts
    assert "inserting" not in texts
    assert {"now", "last run", "5,000"} <= set(texts)
