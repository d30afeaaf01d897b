"""Heads, witnesses and attacks through the command line: what notices a history that was rewritten."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from adapters.audit.signing_key_file import load_signing_key
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_mapper import DIGEST_BYTES, state_digest
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash
from domain.content.signed_note import parse_head, parse_note, verified_head
from domain.errors import BadInputError, DamagedDataError
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import MACHINE_ID, CommandLine

INTERRUPTED = 130
DAMAGED, BAD_INPUT = DamagedDataError.exit_code, BadInputError.exit_code
HOLDS_BY_ITS_OWN_KEYS = 4
VERIFIER = Path("verification/independent/verify_evidence.py").absolute()


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    cheap_secrets(monkeypatch)
    line = CommandLine(tmp_path / "here")
    line.folder.mkdir()
    line.init()
    line.configuration.write_text(line.configuration.read_text().replace("verify = true", "verify = false"))
    line.add_machine("web", hashlib.sha256(b"1").digest() * 4096)
    assert line.run("backup").exit_code == 0
    return line


def head(line: CommandLine) -> str:
    done = line.run("audit", "head")
    assert done.exit_code == 0, done.output
    return done.stdout


def events(line: CommandLine) -> Path:
    return line.repository / "state" / "events.sqlite"


def tree(line: CommandLine) -> Path:
    return line.repository / "state" / "transparency-log.sqlite"


def rewrite_an_event(line: CommandLine) -> int:
    """Change the first event that names the machine and make its row's digest anew; returns its number."""
    with SQLiteEventLog(events(line)) as log:
        rows = [row for portion in log.rows_after(0) for row in portion]
    row = next(row for row in rows if b"\xa3web" in row.state)
    payload = row.state[:-DIGEST_BYTES].replace(b"\xa3web", b"\xa3wob")
    state = payload + state_digest(row.topic, UUID(bytes=row.stream), row.version, payload)
    with closing(sqlite3.connect(events(line))) as connection, connection:
        connection.execute("UPDATE stored_events SET state = ? WHERE notification_id = ?", (state, row.number))
    return row.number


def test_a_backup_seals_and_the_check_says_so(line: CommandLine) -> None:
    origin, size, *_ = head(line).split("\n")
    assert origin.startswith("atesta/")
    checked = line.run("audit", "check", "--json")
    assert checked.exit_code == 0, checked.output
    assert json.loads(checked.stdout) == {"entries": int(size), "heads": 2, "troubles": []}


def test_a_run_of_what_is_due_ends_with_a_head(line: CommandLine) -> None:
    line.add_machine("db", hashlib.sha256(b"3").digest() * 4096, machine_id=MACHINE_ID.replace("6", "7"))
    before = int(head(line).split("\n")[1])
    done = line.run("run", "--only", "backup")
    assert done.exit_code == 0, done.output
    assert "head" in done.output
    assert int(head(line).split("\n")[1]) > before
    assert "No signed head covers" not in line.run("points").output


def test_points_tell_what_no_head_covers(line: CommandLine) -> None:
    (line.folder / "atesta-signing.key").rename(line.folder / "elsewhere")
    line.add_machine("web", hashlib.sha256(b"2").digest() * 4096)
    assert line.run("backup").exit_code == 0
    newest = line.points()[-1]["short_id"]
    assert f"No signed head covers {newest} yet" in line.run("points").output


@pytest.mark.parametrize("recorded", [False, True])
def test_a_rotation_that_was_killed_is_taken_up(
    line: CommandLine, recorded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = "adapters.auditing.put_in_place" if recorded else "adapters.auditing.EventStream.append"

    def killed(*_arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(place, killed)
    assert line.run("audit", "rotate-key").exit_code == INTERRUPTED
    monkeypatch.undo()
    waiting = (line.folder / "atesta-signing.key.new").read_bytes()

    assert line.run("audit", "rotate-key").exit_code == 0
    assert (line.folder / "atesta-signing.key").read_bytes() == waiting
    assert len(json.loads(line.run("audit", "keys", "--json").stdout)) == 2
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert line.run("audit", "check").exit_code == 0


def test_without_the_key_nothing_is_signed_and_the_next_step_is_told(line: CommandLine) -> None:
    before = head(line)
    (line.folder / "atesta-signing.key").rename(line.folder / "elsewhere")
    line.add_machine("web", hashlib.sha256(b"2").digest() * 4096)
    assert line.run("backup").exit_code == 0
    assert head(line) == before
    refused = line.run("audit", "head", "--sign")
    assert refused.exit_code == BAD_INPUT
    assert "rotate-key" in refused.output


def test_a_key_that_others_can_read_is_refused(line: CommandLine) -> None:
    (line.folder / "atesta-signing.key").chmod(0o644)
    refused = line.run("audit", "head", "--sign")
    assert refused.exit_code == BAD_INPUT
    assert "chmod 600" in refused.output


def test_heads_of_a_key_before_stay_valid(line: CommandLine) -> None:
    old = head(line)
    rotated = line.run("audit", "rotate-key")
    assert rotated.exit_code == 0, rotated.output
    assert line.run("audit", "head", "--sign").exit_code == 0
    (line.folder / "old.txt").write_text(old)
    (line.folder / "new.txt").write_text(head(line))
    assert len(json.loads(line.run("audit", "keys", "--json").stdout)) == 2
    witnessed = line.run("audit", "witness", str(line.folder / "old.txt"), str(line.folder / "new.txt"), "--json")
    assert witnessed.exit_code == 0, witnessed.output
    assert [one["holds"] for one in json.loads(witnessed.stdout)] == [True, True]
    assert line.run("audit", "check").exit_code == 0


def test_a_rewritten_event_is_found_by_the_check(line: CommandLine) -> None:
    number = rewrite_an_event(line)
    checked = line.run("audit", "check")
    assert checked.exit_code == DAMAGED
    assert f"event {number} is not the one that was recorded" in checked.output


def test_who_makes_the_tree_anew_as_well_is_found_by_a_signed_head(line: CommandLine) -> None:
    rewrite_an_event(line)
    with SQLiteEventLog(events(line)) as log, closing(sqlite3.connect(tree(line))) as connection, connection:
        rows = [row for portion in log.rows_after(0) for row in portion]
        leaves = b"".join(leaf_hash(encode_entry(entry_of(row))) for row in rows)
        connection.execute("UPDATE tiles SET hashes = ? WHERE level = 0", (leaves,))
    checked = line.run("audit", "check")
    assert checked.exit_code == DAMAGED
    assert "another root over these" in checked.output


def test_who_has_the_key_too_is_found_by_a_witness_only(line: CommandLine) -> None:
    """The events, the tree and the heads are made anew with the key; an old mail still tells."""
    mail = an_old_mail(line)
    rewrite_an_event(line)
    tree(line).unlink()
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert line.run("audit", "check").exit_code == 0
    witnessed = line.run("audit", "witness", str(mail))
    assert witnessed.exit_code == DAMAGED
    assert "one of them was rewritten" in witnessed.output


def test_removed_events_are_noticed_at_once(line: CommandLine) -> None:
    mail = an_old_mail(line)
    with closing(sqlite3.connect(events(line))) as connection, connection:
        connection.execute(
            "DELETE FROM stored_events WHERE notification_id > (SELECT max(notification_id) - 3 FROM stored_events)"
        )
    checked = line.run("audit", "check")
    assert checked.exit_code == DAMAGED
    assert "their events are gone" in checked.output
    assert line.run("audit", "head", "--sign").exit_code == DAMAGED
    tree(line).unlink()
    assert line.run("audit", "head", "--sign").exit_code == 0
    witnessed = line.run("audit", "witness", str(mail))
    assert witnessed.exit_code == DAMAGED
    assert "3 were removed from its end" in witnessed.output


def test_an_old_copy_of_the_repository_is_found_by_a_witness_only(line: CommandLine) -> None:
    shutil.copytree(line.repository, line.folder / "old")
    line.add_machine("web", hashlib.sha256(b"2").digest() * 4096)
    assert line.run("backup").exit_code == 0
    mail = an_old_mail(line)
    shutil.rmtree(line.repository)
    (line.folder / "old").rename(line.repository)
    assert line.run("audit", "check").exit_code == 0
    witnessed = line.run("audit", "witness", str(mail))
    assert witnessed.exit_code == DAMAGED
    assert "removed from its end" in witnessed.output


def test_a_head_of_another_repository_says_nothing_of_this_one(line: CommandLine, tmp_path: Path) -> None:
    other = CommandLine(tmp_path / "other")
    other.folder.mkdir()
    shutil.copy(line.folder / "atesta-signing.key", other.folder)
    other.init()
    theirs = line.folder / "other.txt"
    theirs.write_text(head(other))
    refused = line.run("audit", "witness", str(theirs))
    assert refused.exit_code == BAD_INPUT
    assert "of other repositories" in refused.output

    theirs.write_text(f"{head(other)}\n{head(line)}")
    witnessed = line.run("audit", "witness", str(theirs))
    assert witnessed.exit_code == 0
    assert "1 heads of other repositories were left out" in witnessed.output

    renamed = head(other).replace(head(other).split("\n")[0], head(line).split("\n")[0])
    theirs.write_text(renamed)
    forged = line.run("audit", "witness", str(theirs))
    assert forged.exit_code == DAMAGED
    assert "none of the known keys signed it" in forged.output


def test_a_head_that_cannot_be_read_is_told_and_the_others_are_held_against_the_log(line: CommandLine) -> None:
    broken = head(line).replace(f"\n{head(line).split(chr(10))[1]}\n", "\n007\n")
    (line.folder / "mail").write_text(f"{broken}\n{head(line)}")
    witnessed = line.run("audit", "witness", str(line.folder / "mail"), "--json")
    assert witnessed.exit_code == DAMAGED
    assert [one["holds"] for one in json.loads(witnessed.stdout)] == [False, True]


def test_a_split_view_is_found_by_whoever_has_both_heads(line: CommandLine) -> None:
    """Two heads of one size, both signed with the key: one belongs to a log that was shown to somebody else."""
    ours = parse_head(parse_note(head(line)).text)
    key = load_signing_key(line.folder / "atesta-signing.key", ours.origin)
    assert key is not None
    (line.folder / "theirs.txt").write_text(key.sign(replace(ours, root=bytes(32))))
    witnessed = line.run("audit", "witness", str(line.folder / "theirs.txt"))
    assert witnessed.exit_code == DAMAGED
    assert "another root over these" in witnessed.output


def an_old_mail(line: CommandLine) -> Path:
    """A mail that somebody quoted and forwarded, with a head below other words."""
    message = EmailMessage()
    message["Subject"] = "Fwd: [BOOTED] web"
    quoted = "\n".join(f"> {row}" for row in f"words\n\n{head(line)}".split("\n"))
    message.set_content(f"Look:\n\n{quoted}\n\nregards\n", cte="quoted-printable")
    file = line.folder / "old.eml"
    file.write_bytes(message.as_bytes())
    return file


@pytest.mark.parametrize("form", ["folder", "mbox"])
def test_whole_mailboxes_are_read(line: CommandLine, form: str) -> None:
    content = an_old_mail(line).read_bytes()
    place = line.folder / "mailbox"
    if form == "folder":
        place.mkdir()
        (place / "1").write_bytes(content)
        (place / "2").write_bytes(b"\xff\xfe no mail at all")
    else:
        place.write_bytes(b"From a@example.org Thu Jan  1 00:00:00 2026\n" + content)
    witnessed = line.run("audit", "witness", str(place))
    assert witnessed.exit_code == 0, witnessed.output
    assert "today's log begins with them" in witnessed.output


@pytest.mark.parametrize(
    "content", [b"", b"no head here", b"\x00\xff" * 500, b"Content-Type: text/plain; charset=x\n\nhm"]
)
def test_files_without_a_head_are_refused(line: CommandLine, content: bytes) -> None:
    (line.folder / "mail").write_bytes(content)
    refused = line.run("audit", "witness", str(line.folder / "mail"))
    assert refused.exit_code == BAD_INPUT
    assert "no signed head" in refused.output


def test_evidence_over_a_key_rotation_holds_by_both_keys(line: CommandLine) -> None:
    """Heads from before the rotation are those of the old key; the new one seals the bundle."""
    old_key = json.loads(line.run("audit", "keys", "--json").stdout)[0]
    old_head = line.folder / "january.txt"
    old_head.write_text(head(line))
    assert line.run("audit", "rotate-key").exit_code == 0
    line.add_machine("web", hashlib.sha256(b"2").digest() * 4096)
    assert line.run("backup").exit_code == 0
    bundle = line.folder / "evidence.zip"
    made = line.run("audit", "evidence", "--from", "2000-01-01", "--to", "2100-01-01", "-o", str(bundle))
    assert made.exit_code == 0, made.output
    new_key = json.loads(line.run("audit", "keys", "--json").stdout)[1]

    def checked(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-I", str(VERIFIER), *arguments, "--head", str(old_head), str(bundle)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    both = checked("--key", old_key, "--key", new_key)
    assert (both.returncode, "FAILS" in both.stdout) == (0, False), both.stdout
    assert "HOLDS      the log goes on from your head january.txt" in both.stdout
    for key in (old_key, new_key):
        alone = checked("--key", key)
        assert (alone.returncode, "has not signed it" in alone.stdout) == (1, True), alone.stdout
    assert checked().returncode == HOLDS_BY_ITS_OWN_KEYS


def test_the_key_before_signs_a_head_over_the_adoption_of_the_next(line: CommandLine) -> None:
    assert line.run("audit", "rotate-key").exit_code == 0
    newest = json.loads(line.run("audit", "head", "--json").stdout)
    origin = parse_head(parse_note(newest["head"]).text).origin
    before = load_signing_key(line.folder / "atesta-signing.key.old", origin)
    assert before is not None
    assert newest["last_event"] == json.loads(line.run("status", "--json").stdout)["events"]
    assert verified_head(newest["head"], [before.verifier]).size == newest["entries"]


def test_evidence_of_the_repository_holds_for_who_has_only_the_key_and_the_file(line: CommandLine) -> None:
    bundle = line.folder / "evidence.zip"
    made = line.run("audit", "evidence", "--from", "2000-01-01", "--to", "2100-01-01", "-o", str(bundle), "--json")
    assert made.exit_code == 0, made.output
    (line.folder / "log.key").write_text(json.loads(line.run("audit", "keys", "--json").stdout)[0])
    arguments = [sys.executable, "-I", str(VERIFIER), "--key", str(line.folder / "log.key"), str(bundle)]
    checked = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert "FAILS" not in checked.stdout

    assert made.stderr == ""
    again = line.run("audit", "evidence", "--from", "2000-01-01", "--to", "2100-01-01", "-o", str(bundle))
    assert again.exit_code == BAD_INPUT

    content = bytearray(bundle.read_bytes())
    content[len(content) // 2] ^= 1
    bundle.write_bytes(content)
    assert subprocess.run(arguments, capture_output=True, check=False).returncode in {1, 3}
