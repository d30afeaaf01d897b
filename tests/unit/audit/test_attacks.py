"""What somebody does to the files behind the program's back, and which command notices (docs/threat-model.md).

Rewritten events, old copies, heads of other repositories and split views are in test_audit_commands; rows of
projections one by one in tests/journeys/test_audit_replay.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.event_log import SQLiteEventLog
from domain.errors import DamagedDataError
from domain.events.running import DueRunEnded, DueRunStarted
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import CommandLine
from tests.doubles.sweeps import noise

DAMAGED = DamagedDataError.exit_code
CRITICAL = 2
DELETED = 100
AT = datetime(2026, 11, 24, tzinfo=UTC)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A repository whose history ends with 120 events of runs and a sealed backup."""
    cheap_secrets(monkeypatch)
    line = CommandLine(tmp_path / "here")
    line.folder.mkdir()
    line.init()
    with SQLiteEventLog(state(line) / "events.sqlite") as log:
        for number in range(1, 61):
            run = UUID(int=number)
            started = DueRunStarted(originator_id=run, originator_version=1, at=AT, host="hv", jobs=())
            ended = DueRunEnded(
                originator_id=run, originator_version=2, at=AT, result="done", jobs=0, jobs_failed=0, seconds=1.0
            )
            log.append([started, ended])
    line.add_machine("web", noise(1, 1 << 18))
    assert line.run("backup", "--no-verify").exit_code == 0
    return line


def state(line: CommandLine) -> Path:
    return line.repository / "state"


def edit(line: CommandLine, database: str, *statements: str) -> None:
    with closing(sqlite3.connect(state(line) / database)) as connection, connection:
        for statement in statements:
            connection.execute(statement)


def deleted(line: CommandLine) -> None:
    """The database administrator deletes the last hundred events."""
    edit(
        line,
        "events.sqlite",
        "DELETE FROM stored_events "
        f"WHERE notification_id > (SELECT max(notification_id) - {DELETED} FROM stored_events)",
    )


def test_the_last_hundred_events_are_missed_by_check_by_the_next_head_and_by_health(line: CommandLine) -> None:
    deleted(line)
    checked = line.run("audit", "check")
    assert (checked.exit_code, "their events are gone" in checked.output) == (DAMAGED, True)
    assert line.run("audit", "head", "--sign").exit_code == DAMAGED
    judged = line.run("health")
    assert (judged.exit_code, "lost" in judged.output) == (CRITICAL, True)
    assert line.run("backup", "--no-verify").exit_code == DAMAGED


def test_who_deletes_the_tree_as_well_is_found_by_the_heads_in_the_repository(line: CommandLine) -> None:
    deleted(line)
    shutil.rmtree(line.repository / "log")
    (state(line) / "transparency-log.sqlite").unlink()
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert line.run("audit", "check").exit_code == 0
    checked = line.run("check")
    assert checked.exit_code == DAMAGED
    assert "A signed head does not fit the history" in checked.output


def test_who_deletes_those_heads_too_is_found_by_a_witness_only(line: CommandLine) -> None:
    mail = line.folder / "old.txt"
    mail.write_text(line.run("audit", "head").stdout)
    deleted(line)
    for folder in ("log", "heads"):
        shutil.rmtree(line.repository / folder)
    (state(line) / "transparency-log.sqlite").unlink()
    assert line.run("audit", "head", "--sign").exit_code == 0
    line.run("rebuild")
    assert line.run("check").exit_code == 0
    witnessed = line.run("audit", "witness", str(mail))
    assert witnessed.exit_code == DAMAGED
    assert f"{DELETED} were removed from its end" in witnessed.output


def test_an_edited_projection_is_found_by_replay_and_by_check(line: CommandLine) -> None:
    edit(line, "catalog.sqlite", "UPDATE point SET word = 'BOOTED', grade = 4")
    assert line.points()[0]["verdict"] == "BOOTED"
    replayed = line.run("audit", "replay", "--json")
    assert replayed.exit_code == DAMAGED
    assert [one["table"] for one in json.loads(replayed.stdout)["differences"]] == ["point"]
    assert line.run("check").exit_code == DAMAGED
    assert line.run("audit", "check").exit_code == 0
    assert line.run("rebuild").exit_code == 0
    assert line.points()[0]["verdict"] is None


def test_a_forged_fold_cache_changes_nothing_because_none_is_read(line: CommandLine) -> None:
    before = {command: line.run(*command.split()).stdout for command in ("points --json", "history --json")}
    edit(
        line,
        "events.sqlite",
        "CREATE TABLE snapshots (originator_id TEXT, originator_version INTEGER, topic TEXT, state BLOB)",
        "INSERT INTO snapshots SELECT originator_id, 99, topic, state FROM stored_events",
    )
    assert line.run("rebuild").exit_code == 0
    assert {command: line.run(*command.split()).stdout for command in before} == before
    assert line.run("audit", "replay").exit_code == 0
    assert line.run("audit", "check").exit_code == 0
    assert line.run("check").exit_code == 0


def test_a_head_of_another_repository_put_beside_the_history_is_found_by_check(
    line: CommandLine, tmp_path: Path
) -> None:
    other = CommandLine(tmp_path / "other")
    other.folder.mkdir()
    shutil.copy(line.folder / "atesta-signing.key", other.folder)
    other.init()
    theirs = other.run("audit", "head", "--json")
    head = json.loads(theirs.stdout)
    (line.repository / "heads" / f"{head['entries']:016x}.head").write_text(head["head"])
    checked = line.run("check")
    assert checked.exit_code == DAMAGED
    assert "none of the known keys signed it" in checked.output
    edit(line, "transparency-log.sqlite", f"INSERT INTO heads VALUES (9999, 9999, '{head['head']}')")
    assert line.run("audit", "check").exit_code == DAMAGED
    assert [point["sealed"] for point in line.points()] == [True]


def test_a_split_view_is_found_when_the_other_head_of_that_size_is_seen(line: CommandLine, tmp_path: Path) -> None:
    """A copy goes on differently to the same size: each is whole in itself, its heads give it away to the other."""
    other = line.copied(tmp_path / "copy")
    for one, reason in ((line, "for the court"), (other, "for the auditor")):
        assert one.run("hold", "web@latest", "--reason", reason).exit_code == 0
        assert one.run("audit", "check").exit_code == 0
    theirs = other.folder / "theirs.txt"
    theirs.write_text(other.run("audit", "head").stdout)
    assert theirs.read_text().split("\n")[:2] == line.run("audit", "head").stdout.split("\n")[:2]
    witnessed = line.run("audit", "witness", str(theirs))
    assert witnessed.exit_code == DAMAGED
    assert "another root over these" in witnessed.output
