"""The metrics file, read by Prometheus' own parser."""

from __future__ import annotations

import re
import stat
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from adapters.metrics_file import exposition, write_metrics
from domain.errors import EnvironmentTroubleError
from domain.model.condition import Condition
from domain.model.due import JobKind, LastRuns, Subject
from domain.model.metrics import MACHINES_MAX, metrics_of
from domain.model.verdicts import VerdictWord
from tests.doubles.conditions import HOUR, NOW, condition, machine, verification

_NAME = re.compile(r"atesta_[a-z0-9_]+")
_UNITS = ("_seconds", "_bytes", "_total")
_HOSTILE = 'a"b\\c\nd|e{f}=\N{SNOWMAN}'


def parsed(found: Condition) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels, as the parser reads it."""
    samples = {}
    for family in text_string_to_metric_families(exposition(metrics_of(found))):
        for sample in family.samples:
            key = (sample.name, tuple(sorted(sample.labels.items())))
            assert key not in samples, "a series must occur once"
            samples[key] = float(sample.value)
    return samples


def of_web(name: str, **labels: str) -> tuple[str, tuple[tuple[str, str], ...]]:
    return name, tuple(sorted({"machine": "web", "id": "m-1", **labels}.items()))


def test_the_figures_of_the_repository_and_of_a_machine_are_there() -> None:
    runs = {
        Subject(JobKind.PRUNE): LastRuns(succeeded_at=NOW - HOUR),
        Subject(JobKind.BACKUP, "a"): LastRuns(succeeded_at=NOW, failed_at=NOW, error="x"),
        Subject(JobKind.BACKUP, "b"): LastRuns(failed_at=NOW, error="x"),
    }
    samples = parsed(condition(last_runs=runs, events_unshipped=7))

    assert samples["atesta_stored_bytes", ()] == 98765
    assert samples["atesta_events_total", ()] == 1234
    assert samples["atesta_events_unshipped", ()] == 7
    assert samples["atesta_restore_points", ()] == 4
    assert samples["atesta_job_failures", (("job", "backup"),)] == 2
    assert samples["atesta_job_failures", (("job", "prune"),)] == 0
    assert samples["atesta_job_last_success_timestamp_seconds", (("job", "prune"),)] == (NOW - HOUR).timestamp()
    assert samples[of_web("atesta_machine_last_backup_timestamp_seconds")] == (NOW - 5 * HOUR).timestamp()
    assert samples[of_web("atesta_machine_last_backup_duration_seconds")] == 12.5
    assert samples[of_web("atesta_machine_last_backup_stored_bytes")] == 1000
    assert samples[of_web("atesta_machine_last_boot_seconds")] == 38.25
    assert samples[of_web("atesta_machine_last_verdict", verdict="BOOTED")] == 1
    assert samples[of_web("atesta_machine_last_verdict", verdict="FAILED")] == 0


def test_what_a_machine_does_not_have_is_left_out() -> None:
    names = {name for name, _ in parsed(condition(machine(last_backup=None, last_verification=None)))}

    assert "atesta_machine_restore_points" in names
    assert not {name for name in names if "last_backup" in name or "verdict" in name or "boot" in name}


def test_names_and_types_follow_the_rules() -> None:
    families = list(text_string_to_metric_families(exposition(metrics_of(condition()))))

    assert len(families) > 20
    for family in families:
        name = family.name + ("_total" if family.type == "counter" else "")
        assert _NAME.fullmatch(name)
        assert family.documentation.endswith(".")
        assert family.type in ("gauge", "counter")
        if re.search("bytes|seconds|timestamp|duration", name):
            assert name.endswith(_UNITS)


def test_a_hostile_name_is_read_back_as_it_is() -> None:
    samples = parsed(condition(machine(_HOSTILE)))

    assert ("atesta_machine_restore_points", (("id", "m-1"), ("machine", _HOSTILE))) in samples


@given(st.text(alphabet=st.characters(exclude_categories=[]), max_size=300), st.text(max_size=20))
def test_no_name_breaks_the_file(name: str, machine_id: str) -> None:
    """Control characters, line separators, lone surrogates of a name that is not UTF-8: all of them."""
    found = condition(machine(name, machine_id))
    text = exposition(metrics_of(found))

    assert len(parsed(found)) == len(parsed(condition(machine("web", "m"))))
    text.encode("utf-8")
    assert len(text.splitlines()) == len(exposition(metrics_of(condition())).splitlines())


def test_the_number_of_series_is_bounded() -> None:
    many = condition(*(machine(f"vm{number}", f"id-{number}") for number in range(MACHINES_MAX + 5)))
    samples = parsed(many)

    assert samples["atesta_machines", ()] == MACHINES_MAX + 5
    assert samples["atesta_machines_omitted", ()] == 5
    assert sum(name == "atesta_machine_restore_points" for name, _ in samples) == MACHINES_MAX


def test_two_machines_of_one_name_keep_apart() -> None:
    samples = parsed(condition(machine(), machine(machine_id="m-2", points=9)))

    assert samples["atesta_machine_restore_points", (("id", "m-2"), ("machine", "web"))] == 9


def test_a_changed_verdict_changes_the_file() -> None:
    failed = replace(machine(), last_verification=verification(word=VerdictWord.FAILED))

    assert parsed(condition(failed))[of_web("atesta_machine_last_verdict", verdict="BOOTED")] == 0


def test_the_file_is_replaced_whole_and_readable_by_all(tmp_path: Path) -> None:
    file = tmp_path / "atesta.prom"
    file.write_text("old")

    write_metrics(file, metrics_of(condition()))

    assert list(tmp_path.iterdir()) == [file]
    assert stat.S_IMODE(file.stat().st_mode) == 0o644
    assert file.read_text() == exposition(metrics_of(condition()))


def test_a_folder_that_is_missing_is_said_and_nothing_is_left_behind(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentTroubleError, match="metrics cannot be written"):
        write_metrics(tmp_path / "none" / "atesta.prom", metrics_of(condition()))
    (tmp_path / "folder").mkdir()
    with pytest.raises(EnvironmentTroubleError):
        write_metrics(tmp_path / "folder", metrics_of(condition()))
    assert [path.name for path in tmp_path.iterdir()] == ["folder"]
