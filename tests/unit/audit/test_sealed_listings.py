"""What listings call sealed: what a head that holds covers, also after a recovery, and nothing on anybody's word."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from adapters.audit.signing_key_file import load_signing_key
from domain.content.signed_note import parse_head, parse_note
from domain.errors import DamagedDataError
from domain.workflows.shipped_history import read_history
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import CommandLine
from tests.doubles.sweeps import noise

DAMAGED = DamagedDataError.exit_code
CRITICAL = 2
KEY = "atesta-signing.key"


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A repository with one sealed point."""
    cheap_secrets(monkeypatch)
    line = CommandLine(tmp_path / "here")
    line.folder.mkdir()
    line.init()
    text = line.configuration.read_text().replace("verify = true", "verify = false")
    line.configuration.write_text(f'{text}\n[health]\nverified_age_warning = "never"\n')
    back_up(line, 1)
    return line


def back_up(line: CommandLine, seed: int) -> None:
    line.add_machine("web", noise(seed, 1 << 18))
    done = line.run("backup", "--no-verify")
    assert done.exit_code == 0, done.output


def asked(line: CommandLine, *arguments: str) -> Any:
    return json.loads(line.run(*arguments, "--json").stdout)


def sealed(line: CommandLine) -> list[bool]:
    return [point["sealed"] for point in line.points()]


def tree(line: CommandLine) -> Path:
    return line.repository / "state" / "transparency-log.sqlite"


def recover(line: CommandLine, exit_code: int) -> Any:
    shutil.rmtree(line.repository / "state")
    done = line.run("recover", "--from", str(line.repository), "--json")
    assert done.exit_code == exit_code, done.output
    return json.loads(done.stdout)


def take_the_key_away(line: CommandLine) -> None:
    (line.folder / KEY).rename(line.folder / "elsewhere")


def test_a_backup_is_sealed_once_a_head_covers_its_last_event(line: CommandLine) -> None:
    take_the_key_away(line)
    back_up(line, 2)

    assert sealed(line) == [True, False]
    assert [one["sealed"] for one in asked(line, "history") if one["kind"] == "backup"] == [False, True]
    assert "No signed head covers 1 of these yet" in line.run("history").output
    status = asked(line, "status")
    assert (status["unsealed"], [one["sealed"] for one in status["latest"]]) == (1, [False])
    assert "No signed head covers 1 backups and verifications, the oldest for" in line.run("status").output

    (line.folder / "elsewhere").rename(line.folder / KEY)
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert sealed(line) == [True, True]
    assert (asked(line, "status")["unsealed"], asked(line, "status")["unsealed_since"]) == (0, None)
    assert "No signed head" not in line.run("points").output + line.run("history").output + line.run("status").output


def test_a_hold_unseals_what_is_said_of_a_point_until_it_is_signed(line: CommandLine) -> None:
    key = (line.folder / KEY).read_bytes()
    take_the_key_away(line)
    assert line.run("hold", "web@latest", "--reason", "court").exit_code == 0
    assert sealed(line) == [False]

    (line.folder / KEY).write_bytes(key)
    (line.folder / KEY).chmod(0o600)
    assert line.run("release", "web@latest", "--reason", "settled").exit_code == 0
    assert sealed(line) == [True]


@pytest.mark.parametrize("forgery", ["number", "nobody's", "another root"])
def test_nothing_is_sealed_on_the_word_of_a_head_that_does_not_hold(line: CommandLine, forgery: str) -> None:
    genuine = load_signing_key(line.folder / KEY, parse_head(parse_note(head(line)).text).origin)
    assert genuine is not None
    take_the_key_away(line)
    back_up(line, 2)
    with closing(sqlite3.connect(tree(line))) as connection, connection:
        newest = connection.execute("SELECT size, number, note FROM heads ORDER BY size DESC").fetchone()
        if forgery == "number":
            connection.execute("UPDATE heads SET number = ? WHERE size = ?", (newest[1] + 3, newest[0]))
        elif forgery == "nobody's":
            note = newest[2].replace(f"\n{newest[0]}\n", f"\n{newest[0] + 1}\n")
            connection.execute("INSERT INTO heads VALUES (?, ?, ?)", (newest[0] + 1, newest[1] + 9, note))
        else:
            old = parse_head(parse_note(newest[2]).text)
            note = genuine.sign(type(old)(old.origin, old.size, bytes(32)))
            connection.execute("UPDATE heads SET note = ? WHERE size = ?", (note, newest[0]))

    assert sealed(line)[-1] is False
    assert "The log is not as it was sealed" in line.run("points").output
    assert asked(line, "status")["seal_trouble"]
    judged = line.run("health")
    assert judged.exit_code == CRITICAL
    assert "transparency log" in judged.output


def head(line: CommandLine) -> str:
    return line.run("audit", "head").stdout


def test_a_recovery_brings_the_heads_back_and_listings_are_equal(line: CommandLine) -> None:
    take_the_key_away(line)
    back_up(line, 2)
    before = line.points()
    assert [point["sealed"] for point in before] == [True, False]

    found = recover(line, 0)

    assert (found["heads"], found["heads_not_fitting"]) == (1, [])
    assert line.points() == before
    checked = asked(line, "audit", "check")
    assert (checked["heads"], checked["troubles"]) == (1, [])


def test_a_recovered_repository_without_heads_claims_nothing_sealed(line: CommandLine) -> None:
    shutil.rmtree(line.repository / "heads")
    found = recover(line, 0)
    assert (found["heads"], sealed(line)) == (0, [False])


def test_a_head_tells_a_recovery_that_the_end_of_the_history_was_taken_away(line: CommandLine) -> None:
    back_up(line, 2)
    max((line.repository / "log").iterdir()).unlink()

    found = recover(line, DAMAGED)

    assert len(found["heads_not_fitting"]) == 1
    assert "that it covers are not here" in found["heads_not_fitting"][0]
    assert sealed(line)[-1] is False


@pytest.mark.parametrize("content", ["nonsense", "another repository's", "of another size"])
def test_a_forged_head_beside_the_history_seals_nothing(line: CommandLine, tmp_path: Path, content: str) -> None:
    (genuine,) = (line.repository / "heads").iterdir()
    forged = line.repository / "heads" / f"{int(genuine.stem, 16) - 1:016x}.head"
    if content == "nonsense":
        forged.write_bytes(b"\xff" * 100)
    elif content == "of another size":
        forged.write_bytes(genuine.read_bytes())
    else:
        other = CommandLine(tmp_path / "other")
        other.folder.mkdir()
        other.init()
        forged.write_text(head(other))
    assert line.run("check").exit_code == DAMAGED

    found = recover(line, DAMAGED)

    assert (found["heads"], len(found["heads_not_fitting"]), sealed(line)) == (1, 1, [True])


def test_a_recovery_leaves_a_transparency_log_that_stands_there(line: CommandLine) -> None:
    before = tree(line).read_bytes()
    for path in (line.repository / "state").glob("*.sqlite*"):
        if path != tree(line):
            path.unlink()
    assert line.run("recover", "--from", str(line.repository)).exit_code == 0
    assert tree(line).read_bytes() == before
    assert sealed(line) == [True]


def test_a_head_that_is_shipped_while_a_recovery_reads_is_no_alarm(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A drill beside a living installation: it ships events and a head after the history was read."""
    back_up(line, 2)
    newest = max((line.repository / "log").iterdir())
    head_file = max((line.repository / "heads").iterdir())
    late = [(file, file.read_bytes()) for file in (newest, head_file)]
    for file, _ in late:
        file.unlink()

    def read_and_go_on(*arguments: Any) -> Any:
        history = read_history(*arguments)
        for file, content in late:
            file.write_bytes(content)
        return history

    monkeypatch.setattr("adapters.recovering.read_history", read_and_go_on)
    beside = line.folder / "beside"
    done = line.run("recover", "--from", str(line.repository), "--state-folder", str(beside), "--json")

    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["heads_not_fitting"] == []
