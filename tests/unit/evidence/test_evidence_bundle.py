"""A bundle that nobody touched holds, says what the events say, and is the same bytes each time."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.evidence.archive import archive_of, write_archive
from adapters.evidence.report_page import EvidenceReport
from domain.content.evidence import EvidenceRange
from domain.errors import BadInputError
from domain.workflows.evidence_bundle import EvidenceBundle, make_evidence
from domain.workflows.evidence_facts import lines_of
from tests.doubles.sealed_history import ORIGIN, PaintedPictures, SealedHistory, a_month
from verification.independent.verify_evidence import main

MARCH_10, MARCH_20 = datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)


def _bundle(history: SealedHistory, since: datetime, until: datetime, machine: str | None = None) -> EvidenceBundle:
    about = EvidenceRange(origin=ORIGIN, since=since, until=until, machine_id=machine, targets={"id-web": 60})
    return make_evidence(about, history, EvidenceReport(), PaintedPictures())


@pytest.fixture(scope="module")
def history() -> SealedHistory:
    return a_month()


@pytest.mark.parametrize(
    ("since", "until"),
    [
        (MARCH_10, MARCH_20),
        (datetime(2020, 1, 1, tzinfo=UTC), MARCH_10),
        (MARCH_20, datetime(2030, 1, 1, tzinfo=UTC)),
        (datetime(2020, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC)),
        (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC)),
        (datetime(2030, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)),
        (datetime(2026, 3, 10, 20, tzinfo=UTC), datetime(2026, 3, 10, 21, tzinfo=UTC)),
        # Bulk stands at the border: after an empty period, before a period, after one.
        (datetime(2026, 3, 10, 0, 2, 30, tzinfo=UTC), datetime(2026, 3, 10, 0, 2, 31, tzinfo=UTC)),
        (datetime(2026, 3, 10, 0, 3, 30, tzinfo=UTC), datetime(2026, 3, 11, tzinfo=UTC)),
        (datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 10, 0, 3, tzinfo=UTC)),
    ],
)
@pytest.mark.parametrize("machine", [None, "id-web", "id-mail", "id-unknown"])
def test_a_bundle_of_any_period_and_machine_holds(
    history: SealedHistory,
    since: datetime,
    until: datetime,
    machine: str | None,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = tmp_path / "bundle.zip"
    bundle = _bundle(history, since, until, machine)
    path.write_bytes(archive_of(bundle.members))

    code = main([str(path), "--key", history.verifier_key()])

    said = capsys.readouterr().out
    assert (code, [line for line in said.splitlines() if line.startswith("FAILS")]) == (0, [])
    assert all(line in said for line in lines_of(bundle.facts))


def test_failures_are_told_with_what_mended_them(history: SealedHistory) -> None:
    lines = list(lines_of(_bundle(history, MARCH_10, MARCH_20).facts))
    web = next(line for line in lines if "web: verification FAILED" in line)

    assert lines[:2] == [
        "21 backups: 20 completed, 1 failed, 0 open",
        "20 verifications: 18 BOOTED, 1 FAILED, 0 UNDECIDED, 1 not carried out, 0 open",
    ]
    assert "remedied by #" in web
    assert any(line.endswith("mail: verification not carried out, not remedied") for line in lines)


def test_the_same_history_gives_the_same_bytes(history: SealedHistory) -> None:
    first, second = (archive_of(_bundle(history, MARCH_10, MARCH_20).members) for _ in range(2))

    assert first == second


def test_a_bundle_of_one_machine_holds_no_detail_of_another(history: SealedHistory) -> None:
    whole, one = (_bundle(history, MARCH_10, MARCH_20, machine) for machine in (None, "id-web"))

    assert b"the host went away" in whole.members["events"]
    assert b"the host went away" not in one.members["events"]
    assert b"mail" not in json.dumps(one.facts).encode()


def test_a_key_that_came_with_the_bundle_is_not_called_proof(
    history: SealedHistory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bundle.zip"
    path.write_bytes(archive_of(_bundle(history, MARCH_10, MARCH_20).members))

    assert main([str(path)]) == 4
    assert "NOT SHOWN  the key is the log's" in capsys.readouterr().out


def test_a_file_that_is_there_is_not_replaced_without_being_told(tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    write_archive(path, b"one", overwrite=False)

    with pytest.raises(BadInputError):
        write_archive(path, b"two", overwrite=False)
    assert path.read_bytes() == b"one"
    write_archive(path, b"two", overwrite=True)
    assert path.read_bytes() == b"two"


def test_a_period_that_ends_before_it_begins_is_refused(history: SealedHistory) -> None:
    with pytest.raises(BadInputError, match="ends before it begins"):
        _bundle(history, MARCH_20, MARCH_10)
