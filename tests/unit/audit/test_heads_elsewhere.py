"""Heads that are published, and heads that are signed on another machine, through the command line."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.audit import head_folder
from domain.content.head_request import parse_request
from domain.content.signed_note import SigningKey, TreeHead, parse_head, parse_note
from domain.errors import BadInputError, BusyError, DamagedDataError, EnvironmentTroubleError
from domain.ports.transparency import KeptHead
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import MACHINE_ID, CommandLine
from verification.independent import verify_evidence

DAMAGED, BAD_INPUT = DamagedDataError.exit_code, BadInputError.exit_code
BUSY, TROUBLE = BusyError.exit_code, EnvironmentTroubleError.exit_code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    with pytest.MonkeyPatch.context() as patch:
        cheap_secrets(patch)
        line = CommandLine(tmp_path_factory.mktemp("made") / "here")
        line.folder.mkdir()
        line.init()
        text = line.configuration.read_text().replace("verify = true", "verify = false")
        line.configuration.write_text(text)
        back_up(line, 1)
    return line


@pytest.fixture
def line(made: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    cheap_secrets(monkeypatch)
    return made.copied(tmp_path / "here")


def back_up(line: CommandLine, number: int) -> str:
    """Back up another content; returns all that was said."""
    line.add_machine("web", hashlib.sha256(b"%d" % number).digest() * 4096)
    done = line.run("backup")
    assert done.exit_code == 0, done.output
    return done.output


def configured(line: CommandLine, text: str) -> None:
    line.configuration.write_text(f"{line.configuration.read_text()}\n{text}\n")


def head(line: CommandLine) -> str:
    return line.run("audit", "head").stdout


def size_of(note: str) -> int:
    return parse_head(parse_note(note).text).size


def rewrite_an_early_event(line: CommandLine) -> None:
    """Make the history anew with another second event, tree and heads included."""
    state = line.repository / "state"
    with closing(sqlite3.connect(state / "events.sqlite")) as connection, connection:
        connection.execute("DELETE FROM stored_events WHERE notification_id = 3")
    (state / "transparency-log.sqlite").unlink()


# Tiles


def test_the_log_of_a_repository_is_exported_and_the_export_goes_on(line: CommandLine) -> None:
    folder = line.folder / "tiles"
    for number in (2, 3):
        done = line.run("audit", "export-tiles", "--to", str(folder), "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["entries"] == size_of((folder / "checkpoint").read_text())
        key = json.loads(line.run("audit", "keys", "--json").stdout)[0]
        assert verify_evidence.main([str(folder), "--key", key]) == 0
        back_up(line, number)


def test_an_export_brings_all_keys_of_the_log(line: CommandLine) -> None:
    nobody_vouches = 4
    assert line.run("audit", "rotate-key").exit_code == 0
    assert line.run("audit", "export-tiles", "--to", str(line.folder / "tiles")).exit_code == 0
    assert verify_evidence.main([str(line.folder / "tiles")]) == nobody_vouches


def test_a_folder_of_a_history_before_it_was_rewritten_is_not_exported_to(line: CommandLine) -> None:
    folder = line.folder / "tiles"
    assert line.run("audit", "export-tiles", "--to", str(folder)).exit_code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rewrite_an_early_event(line)
    refused = line.run("audit", "export-tiles", "--to", str(folder))
    assert refused.exit_code == DAMAGED
    assert "does not extend the checkpoint" in refused.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_log_without_a_head_is_not_exported(line: CommandLine) -> None:
    (line.folder / "atesta-signing.key").unlink()
    (line.repository / "state" / "transparency-log.sqlite").unlink()
    refused = line.run("audit", "export-tiles", "--to", str(line.folder / "tiles"))
    assert refused.exit_code == BAD_INPUT


# Publishing


def published(line: CommandLine) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((line.folder / "share").iterdir())}


@pytest.fixture
def shared(line: CommandLine) -> CommandLine:
    (line.folder / "share").mkdir()
    configured(line, '[audit.publish]\nfolder = "share"')
    return line


def test_each_run_publishes_its_head_as_a_file_of_its_own(shared: CommandLine) -> None:
    back_up(shared, 2)
    first = published(shared)
    assert list(first.values()) == [head(shared)]
    back_up(shared, 3)
    assert list(published(shared).values()) == [*first.values(), head(shared)]
    done = shared.run("audit", "witness", str(shared.folder / "share"))
    assert done.exit_code == 0, done.output


def test_a_run_of_what_is_due_publishes_too_and_says_so(shared: CommandLine) -> None:
    shared.add_machine("db", bytes(4096), machine_id=MACHINE_ID.replace("6", "7"))
    done = shared.run("run", "--only", "backup")
    assert done.exit_code == 0, done.output
    assert "heads: 1 published to a folder" in done.output
    assert list(published(shared).values()) == [head(shared)]


def test_a_run_of_what_is_due_warns_and_its_backup_is_done(shared: CommandLine) -> None:
    (shared.folder / "share").rmdir()
    shared.add_machine("db", bytes(4096), machine_id=MACHINE_ID.replace("6", "7"))
    done = shared.run("run", "--only", "backup")
    assert done.exit_code == 0, done.output
    assert "WARNING: not published" in done.output
    assert len(shared.points()) == 2


@pytest.mark.parametrize("fault", ["missing", "full", "read-only", "no folder"])
def test_a_fault_is_a_warning_and_the_next_run_publishes_what_is_missing(
    shared: CommandLine, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(shared, 2)
    share = shared.folder / "share"
    with monkeypatch.context() as patch:
        if fault == "missing":
            share.rename(shared.folder / "away")
        elif fault == "no folder":
            share.rename(shared.folder / "away")
            share.write_text("a file")
        else:
            code = 28 if fault == "full" else 30
            patch.setattr(head_folder, "write_durably", failing(OSError(code, os.strerror(code))))
        for number in (3, 4):
            said = back_up(shared, number)
            assert "Warning: the signed head was not published" in said
    if fault in {"missing", "no folder"}:
        share.unlink(missing_ok=True)
        (shared.folder / "away").rename(share)
    assert len(published(shared)) == 1
    assert "Warning" not in back_up(shared, 5)
    assert len(published(shared)) == 4
    assert list(published(shared).values())[-1] == head(shared)


def failing(error: OSError) -> object:
    def call(*_arguments: object, **_named: object) -> None:
        raise error

    return call


def test_a_share_without_hard_links_is_written_to(shared: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_folder, "write_durably", writing_without_links)
    back_up(shared, 2)
    assert list(published(shared).values()) == [head(shared)]


def writing_without_links(path: Path, content: bytes, *, replace: bool = True) -> None:
    if not replace:
        raise PermissionError(1, "Operation not permitted")
    path.write_bytes(content)


def test_what_was_published_tells_on_a_history_that_was_rewritten(shared: CommandLine) -> None:
    back_up(shared, 2)
    before = published(shared)
    rewrite_an_early_event(shared)
    done = shared.run("audit", "head", "--sign")
    assert done.exit_code == 0
    assert "does not extend the newest published head" in done.output
    assert published(shared) == before


def test_another_head_of_one_size_is_told_and_not_overwritten(shared: CommandLine) -> None:
    place = head_folder.HeadFolder(shared.folder / "share", f"atesta/{'5' * 32}")
    key = SigningKey(f"atesta/{'5' * 32}", b"k" * 32)
    heads = [KeptHead(7, 9, key.sign(TreeHead(f"atesta/{'5' * 32}", 7, root))) for root in (bytes(32), b"r" * 32)]
    place.publish(heads[0])
    place.publish(heads[0])
    with pytest.raises(DamagedDataError, match="two histories"):
        place.publish(heads[1])
    assert place.newest() == heads[0].note


def test_heads_are_mailed_outside_once_each(line: CommandLine) -> None:
    configured(line, '[audit.publish]\nmail = ["outside@example.org"]')
    for number in (2, 3):
        back_up(line, number)
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert line.run("outbox").exit_code == 0
    mails = sorted((line.folder / "mail").glob("head-*.eml"))
    assert len(mails) == 2
    assert all("outside@example.org" in mail.read_text() for mail in mails)
    done = line.run("audit", "witness", *map(str, mails), "--json")
    assert done.exit_code == 0, done.output
    assert size_of(head(line)) in {one["entries"] for one in json.loads(done.stdout)}


def test_an_address_that_is_none_is_refused(line: CommandLine) -> None:
    configured(line, '[audit.publish]\nmail = ["nobody"]')
    refused = line.run("audit", "head")
    assert refused.exit_code == BAD_INPUT
    assert "no mail address" in refused.output


# Signing on another machine


@pytest.fixture
def elsewhere(line: CommandLine) -> CommandLine:
    """The key is in another folder, as on another machine."""
    line.configuration.write_text(f"{line.configuration.read_text()}\n[audit]\nsign_elsewhere = true\n")
    (line.folder / "safe").mkdir()
    (line.folder / "atesta-signing.key").rename(line.folder / "safe" / "key")
    return line


def request(line: CommandLine, *options: str) -> Path:
    file = line.folder / "request.txt"
    done = line.run("audit", "head", "--unsigned", "-o", str(file), *options)
    assert done.exit_code == 0, done.output
    return file


def sign(line: CommandLine, file: Path, *options: str, key: str = "safe/key") -> tuple[int, str]:
    """The exit code of `atesta audit sign` on the other machine, which has no configuration, and what it said."""
    signed = line.folder / "signed.txt"
    there = CommandLine(line.folder / "safe")
    done = there.run("audit", "sign", str(file), "--key", str(line.folder / key), "-o", str(signed), *options)
    return done.exit_code, done.output


def brought_home(line: CommandLine) -> None:
    done = line.run("audit", "head", "--add", str(line.folder / "signed.txt"))
    assert done.exit_code == 0, done.output


def test_a_head_that_is_signed_elsewhere_seals_at_home(elsewhere: CommandLine) -> None:
    back_up(elsewhere, 2)
    assert sign(elsewhere, request(elsewhere), "--first")[0] == 0
    brought_home(elsewhere)
    assert head(elsewhere) == (elsewhere.folder / "signed.txt").read_text()
    assert elsewhere.run("audit", "check").exit_code == 0
    assert "No signed head covers" not in elsewhere.run("points").output
    back_up(elsewhere, 3)
    assert "No signed head covers" in elsewhere.run("points").output
    assert sign(elsewhere, request(elsewhere))[0] == 0
    brought_home(elsewhere)
    assert "No signed head covers" not in elsewhere.run("points").output


def test_each_run_leaves_a_request(elsewhere: CommandLine) -> None:
    back_up(elsewhere, 2)
    left = elsewhere.repository / "state" / "head-request.txt"
    before = parse_request(left.read_text()).head.size
    back_up(elsewhere, 3)
    assert parse_request(left.read_text()).head.size > before
    assert sign(elsewhere, left, "--first")[0] == 0
    brought_home(elsewhere)


def test_a_head_that_came_home_goes_with_the_history(elsewhere: CommandLine) -> None:
    assert sign(elsewhere, request(elsewhere), "--first")[0] == 0
    brought_home(elsewhere)
    back_up(elsewhere, 2)
    signed = (elsewhere.folder / "signed.txt").read_bytes()
    assert signed in [path.read_bytes() for path in elsewhere.repository.rglob("*") if path.is_file()]


def test_the_same_request_again_gets_the_same_head(elsewhere: CommandLine) -> None:
    file = request(elsewhere)
    assert sign(elsewhere, file, "--first")[0] == 0
    first = (elsewhere.folder / "signed.txt").read_text()
    assert sign(elsewhere, file)[0] == 0
    assert (elsewhere.folder / "signed.txt").read_text() == first


def test_without_a_head_that_was_signed_before_one_has_to_say_so(elsewhere: CommandLine) -> None:
    code, said = sign(elsewhere, request(elsewhere))
    assert code == BAD_INPUT
    assert "--first" in said
    (elsewhere.folder / "last.txt").write_text(head(elsewhere))
    back_up(elsewhere, 2)
    assert sign(elsewhere, request(elsewhere), "--last", str(elsewhere.folder / "last.txt"))[0] == 0


def test_a_rollback_is_not_signed(elsewhere: CommandLine) -> None:
    shutil.copytree(elsewhere.repository, elsewhere.folder / "old")
    back_up(elsewhere, 2)
    assert sign(elsewhere, request(elsewhere), "--first")[0] == 0
    kept = (elsewhere.folder / "safe" / "key.signed").read_text()
    shutil.rmtree(elsewhere.repository)
    (elsewhere.folder / "old").rename(elsewhere.repository)
    code, said = sign(elsewhere, request(elsewhere))
    assert code == DAMAGED
    assert "rolled back" in said
    assert (elsewhere.folder / "safe" / "key.signed").read_text() == kept


@pytest.mark.parametrize("grown", [False, True])
def test_a_fork_is_not_signed(elsewhere: CommandLine, grown: bool) -> None:
    shutil.copytree(elsewhere.repository, elsewhere.folder / "old")
    back_up(elsewhere, 2)
    assert sign(elsewhere, request(elsewhere), "--first")[0] == 0
    size = size_of((elsewhere.folder / "signed.txt").read_text())
    shutil.rmtree(elsewhere.repository)
    (elsewhere.folder / "old").rename(elsewhere.repository)
    back_up(elsewhere, 3)
    if grown:
        back_up(elsewhere, 4)
    code, said = sign(elsewhere, request(elsewhere, "--since", str(size)))
    assert code == DAMAGED
    assert "does not extend the head that was signed before" in said


def test_a_request_that_is_proven_from_another_head_says_what_to_ask_for(elsewhere: CommandLine) -> None:
    back_up(elsewhere, 2)
    assert sign(elsewhere, request(elsewhere), "--first")[0] == 0
    size = size_of((elsewhere.folder / "signed.txt").read_text())
    back_up(elsewhere, 3)
    code, said = sign(elsewhere, request(elsewhere))
    assert code == BAD_INPUT
    assert f"--since {size}" in said
    assert sign(elsewhere, request(elsewhere, "--since", str(size)))[0] == 0


def test_a_head_that_was_given_and_contradicts_the_kept_one_is_told(elsewhere: CommandLine) -> None:
    file = request(elsewhere)
    assert sign(elsewhere, file, "--first")[0] == 0
    signed = parse_head(parse_note((elsewhere.folder / "signed.txt").read_text()).text)
    forged = SigningKey(signed.origin, b"k" * 32).sign(TreeHead(signed.origin, signed.size, bytes(32)))
    (elsewhere.folder / "last.txt").write_text(forged)
    code, said = sign(elsewhere, file, "--last", str(elsewhere.folder / "last.txt"))
    assert code == DAMAGED
    assert "another history" in said


@pytest.mark.parametrize("content", ["", "old 1\n", "old 1\nx\n\natesta/1\n2\n3\n", "old 0\n\nnonsense\n"])
def test_what_is_no_request_is_refused(elsewhere: CommandLine, content: str) -> None:
    file = elsewhere.folder / "request.txt"
    file.write_text(content)
    assert sign(elsewhere, file, "--first")[0] == DAMAGED
    assert not (elsewhere.folder / "safe" / "key.signed").exists()


def test_the_key_of_another_log_is_told_by_what_it_signed(elsewhere: CommandLine, tmp_path: Path) -> None:
    assert sign(elsewhere, request(elsewhere), "--first")[0] == 0
    text = request(elsewhere).read_text().replace(head(elsewhere).split("\n")[0], f"atesta/{'5' * 32}")
    (elsewhere.folder / "request.txt").write_text(text)
    code, said = sign(elsewhere, elsewhere.folder / "request.txt")
    assert code == BAD_INPUT
    assert "another log" in said


def test_a_key_with_a_passphrase_signs_when_it_is_given(
    elsewhere: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, log = CommandLine(elsewhere.folder / "safe"), log_of(elsewhere)
    monkeypatch.setenv("ATESTA_SIGNING_KEY_PASSPHRASE", "correct horse")
    made = there.run("audit", "new-key", log, "-o", str(elsewhere.folder / "safe" / "new"), "--encrypt")
    assert made.exit_code == 0, made.output
    assert b"ENCRYPTED" in (elsewhere.folder / "safe" / "new").read_bytes()
    assert elsewhere.run("audit", "rotate-key", "--to", made.stdout).exit_code == 0
    file = request(elsewhere)
    monkeypatch.delenv("ATESTA_SIGNING_KEY_PASSPHRASE", raising=False)
    code, said = sign(elsewhere, file, "--first", key="safe/new")
    assert code == BAD_INPUT
    assert "ATESTA_SIGNING_KEY_PASSPHRASE" in said
    monkeypatch.setenv("ATESTA_SIGNING_KEY_PASSPHRASE", "correct horse")
    assert sign(elsewhere, file, "--first", key="safe/new")[0] == 0
    brought_home(elsewhere)


def log_of(line: CommandLine) -> str:
    return head(line).split("\n")[0]


def test_what_cannot_be_kept_is_not_signed(elsewhere: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    file = request(elsewhere)
    monkeypatch.setattr("adapters.audit.signing_place.write_durably", failing(OSError(28, "No space left on device")))
    assert sign(elsewhere, file, "--first")[0] == TROUBLE
    assert not (elsewhere.folder / "signed.txt").exists()


def test_a_head_that_nobody_signed_or_of_another_history_is_not_taken_home(elsewhere: CommandLine) -> None:
    asked = parse_request(request(elsewhere).read_text()).head
    file = elsewhere.folder / "signed.txt"
    file.write_text(SigningKey(asked.origin, b"o" * 32).sign(asked))
    refused = elsewhere.run("audit", "head", "--add", str(file))
    assert refused.exit_code == DAMAGED
    assert "none of the known keys" in refused.output
    file.write_text("words")
    assert elsewhere.run("audit", "head", "--add", str(file)).exit_code == BAD_INPUT


def test_signing_here_says_that_it_is_done_elsewhere(elsewhere: CommandLine) -> None:
    for arguments in (("audit", "head", "--sign"), ("audit", "rotate-key")):
        refused = elsewhere.run(*arguments)
        assert refused.exit_code == BAD_INPUT
        assert "another machine" in refused.output


def test_a_key_that_was_never_here_is_adopted(elsewhere: CommandLine) -> None:
    log = log_of(elsewhere)
    there = CommandLine(elsewhere.folder / "safe")
    made = there.run("audit", "new-key", log, "-o", str(elsewhere.folder / "safe" / "new"))
    assert made.exit_code == 0, made.output
    adopted = elsewhere.run("audit", "rotate-key", "--to", made.stdout)
    assert adopted.exit_code == 0, adopted.output
    assert sign(elsewhere, request(elsewhere), "--first", key="safe/new")[0] == 0
    brought_home(elsewhere)
    assert made.stdout.strip() in elsewhere.run("audit", "keys").stdout

    other = there.run("audit", "new-key", f"atesta/{'5' * 32}", "-o", str(elsewhere.folder / "safe" / "other"))
    assert elsewhere.run("audit", "rotate-key", "--to", other.stdout).exit_code == BAD_INPUT
    assert there.run("audit", "new-key", "nonsense", "-o", str(elsewhere.folder / "n")).exit_code == BAD_INPUT
