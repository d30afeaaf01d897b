"""An auditor asks the history; an administrator edits what stands beside it, and is noticed."""

from __future__ import annotations

import csv
import io
import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.eventstore.row_values import encoded
from tests.journeys.command import answer, atesta

pytestmark = pytest.mark.process

_NO_PASSPHRASE = {"ATESTA_PASSPHRASE": ""}


@pytest.fixture
def home(tmp_path: Path, exports: Path) -> Path:
    """A repository with two points of one machine."""
    atesta(tmp_path, "init", "--exports", str(exports))
    atesta(tmp_path, "backup", "--no-verify")
    with (exports / "files.raw").open("r+b") as disk:
        disk.seek(40 << 20)
        disk.write(b"\x01" * 100_000)
    atesta(tmp_path, "backup", "--no-verify")
    return tmp_path


def edit(home: Path, file: str, statement: str, *values: object) -> None:
    """What an administrator of the database can do."""
    path = next(home.rglob(file))
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute(statement, values).rowcount
        connection.commit()


def test_the_history_of_a_point_can_be_asked_for_in_every_form(home: Path) -> None:
    first, second = [point["short_id"] for point in answer(home, "points")]
    before = len(atesta(home, "events").stdout.splitlines())
    atesta(home, "hold", first, "--reason", "legal hold 7")
    atesta(home, "release", first, "--reason", "=case closed")
    configuration = home / "atesta.toml"
    configuration.write_text(configuration.read_text() + "\n[retention]\nkeep_last = 1\n")
    atesta(home, "expire")

    story = answer(home, "audit", "explain", first)["story"]
    sentences = [line["what"] for line in story]
    assert "Backup of files began: full, because the first backup of this machine" in sentences[0]
    assert "It was held: legal hold 7" in sentences
    assert any(sentence.startswith("It expired by last 1") for sentence in sentences)
    assert [line["position"] for line in story] == sorted(line["position"] for line in story)
    assert {line["actor"]["command"] for line in story} == {
        "atesta backup", "atesta hold", "atesta release", "atesta expire"
    }  # fmt: skip
    assert "It was held: legal hold 7" in atesta(home, "audit", "explain", first).stdout
    assert "no such restore point" in atesta(home, "audit", "explain", "ffff0000", expected=3).stderr

    then, now = answer(home, "audit", "as-of", str(before)), answer(home, "audit", "as-of", "2999-01-01")
    assert [point["id"][:8] for point in then["points"]] == [first, second]
    assert [point["id"][:8] for point in now["points"]] == [second]
    assert then["machines"][0]["policy"] is None
    assert now["machines"][0]["policy"] == "last 1"
    assert "Nothing had happened" in atesta(home, "audit", "as-of", "1999-01-01", expected=3).stderr

    lines = atesta(home, "audit", "log", "--kind", "restore-point-*", "--actor", "atesta h*", "--json").stdout
    (held,) = map(json.loads, lines.splitlines())
    assert (held["name"], held["number"], held["reason"]) == ("restore-point-held:1", before + 1, "legal hold 7")
    all_of_machine = atesta(home, "audit", "log", "--machine", "files", "--json").stdout.splitlines()
    assert 10 < len(all_of_machine) < len(atesta(home, "events").stdout.splitlines())
    assert not atesta(home, "audit", "log", "--until", "1999-01-01").stdout
    rows = list(csv.DictReader(io.StringIO(atesta(home, "audit", "log", "--kind", "*released", "--csv", "-").stdout)))
    assert [(row["command"], json.loads(row["fields"])) for row in rows] == [
        ("atesta release", {"reason": "=case closed"})
    ]
    assert "no events of this kind" in atesta(home, "audit", "log", "--kind", "nonsense", expected=3).stderr


def test_an_honest_repository_replays_to_what_is_live(home: Path) -> None:
    found = answer(home, "audit", "replay")
    assert (found["points"], found["points_walked"], found["differences"], found["troubles"]) == (2, 2, [], [])
    assert found["compared"]
    assert "row by row" in atesta(home, "audit", "replay").stdout
    past = answer(home, "audit", "replay", "--until", "12")
    assert (past["position"], past["compared"]) == (12, False)
    assert answer(home, "audit", "replay")["root"] == found["root"] != past["root"]

    # There is no fold cache that could be forged, and a foreign table is never read.
    with closing(sqlite3.connect(next(home.rglob("events.sqlite")))) as connection:
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        assert tables == {"stored_events", "sqlite_sequence"}
        connection.execute("CREATE TABLE snapshots (originator_id TEXT, originator_version INTEGER, state BLOB)")
        connection.execute("INSERT INTO snapshots VALUES (?, 99, ?)", ("0" * 32, encoded({"word": "BOOTED"})))
        connection.commit()
    assert answer(home, "audit", "replay")["differences"] == []


def test_an_edited_projection_is_told_row_by_row(home: Path) -> None:
    point = answer(home, "points")[0]
    edit(home, "catalog.sqlite", "UPDATE point SET word = 'BOOTED', grade = 4 WHERE number = ?", point["sequence"])
    edit(home, "chunk-index.sqlite", "DELETE FROM chunk WHERE id = (SELECT MIN(id) FROM chunk)")
    edit(home, "chunk-index.sqlite", "INSERT INTO gone VALUES (?)", b"\x01" * 32)

    found = answer(home, "audit", "replay", expected=4)

    told = [(one["table"], one["what"]) for one in found["differences"]]
    assert told == [("point", "changed"), ("chunk", "missing"), ("gone", "not from any event")]
    assert found["differences"][0]["key"] == str(point["sequence"])
    assert "point" in atesta(home, "audit", "replay", expected=4, environment=_NO_PASSPHRASE).stdout
    atesta(home, "check", expected=4)
    atesta(home, "rebuild")
    assert answer(home, "audit", "replay")["differences"] == []


def test_an_edited_event_row_is_named_and_so_is_one_that_was_taken_out(home: Path) -> None:
    edit(home, "events.sqlite", "DELETE FROM stored_events WHERE notification_id = 9")
    assert "of a stream is missing" in atesta(home, "audit", "replay", expected=4).stderr
    append = "UPDATE stored_events SET state = CAST(state || x'00' AS BLOB) WHERE notification_id = 5"
    edit(home, "events.sqlite", append)
    assert "event 5" in atesta(home, "audit", "replay", expected=4).stderr
