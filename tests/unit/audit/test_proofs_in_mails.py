"""The proof in a report mail: it holds for who has the mail alone, and tells on who rewrites the verdict."""

from __future__ import annotations

import email
import email.policy
import hashlib
import json
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC
from email.message import EmailMessage
from pathlib import Path
from uuid import UUID

import pytest

from adapters.audit.signing_key_file import make_signing_key
from adapters.auditing import Auditing
from adapters.clock import SystemClock
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_mapper import DIGEST_BYTES, state_digest
from adapters.mail.outbox import FolderOutbox
from domain.content.entry_proof import EntryProof, parse_proof, proof_text
from domain.content.found_heads import heads_in, proofs_in
from domain.content.log_entry import decode_entry
from domain.content.signed_note import parse_verifier_key
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from domain.events.verification import VerdictReached
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.dark_lab import NOT_BOOTED, use_dark_lab
from tests.doubles.exported_folder import CommandLine

VERIFIER = Path("verification/independent/verify_proof.py").absolute()
DAMAGED, BAD_INPUT, INTERRUPTED = DamagedDataError.exit_code, BadInputError.exit_code, 130
KILLED = 9


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A repository with two mails, from which each test gets a copy."""
    with pytest.MonkeyPatch.context() as patch:
        cheap_secrets(patch)
        use_quick_lab(patch)
        line = a_line(tmp_path_factory.mktemp("made") / "here")
        for name in ("first", "second"):
            (line.folder / name).write_text(verified(line).name)
    return line


@pytest.fixture
def line(made: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    cheap_secrets(monkeypatch)
    use_quick_lab(monkeypatch)
    return made.copied(tmp_path / "here")


def use_quick_lab(patch: pytest.MonkeyPatch) -> None:
    """Nobody waits between two looks at a machine that is off."""
    use_dark_lab(patch)
    patch.setattr(SystemClock, "sleep", lambda _clock, _seconds: None)


def first_mail(line: CommandLine) -> Path:
    return line.folder / "mail" / (line.folder / "first").read_text()


def second_mail(line: CommandLine) -> Path:
    return line.folder / "mail" / (line.folder / "second").read_text()


def a_line(folder: Path) -> CommandLine:
    """A repository with one point, not verified yet."""
    line = CommandLine(folder)
    line.folder.mkdir()
    line.init()
    line.configuration.write_text(line.configuration.read_text().replace("verify = true", "verify = false"))
    line.add_machine("web", hashlib.sha256(b"1").digest() * 4096)
    assert line.run("backup").exit_code == 0
    return line


def verified(line: CommandLine) -> Path:
    """The mail of a new verification of the latest point."""
    before = mails(line)
    done = line.run("verify", "--latest")
    assert done.exit_code == NOT_BOOTED, done.output
    (mail,) = mails(line) - before
    return mail


def mails(line: CommandLine) -> set[Path]:
    return set((line.folder / "mail").glob("*.eml"))


def opened(mail: Path) -> tuple[str, str]:
    """The plain text of a mail, and the proof of the verdict that is attached, as text."""
    message = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    (attachment,) = message.iter_attachments()
    assert attachment.get_filename() == "proof.txt"
    body = message.get_body(("plain",))
    assert body is not None
    text, proof = (part.get_content().replace("\r\n", "\n") for part in (body, attachment))
    return text, list(proofs_in(proof))[-1]


def keys(line: CommandLine) -> list[str]:
    found: list[str] = json.loads(line.run("audit", "keys", "--json").stdout)
    return found


def witnessed(line: CommandLine, *files: Path) -> tuple[int, list[dict[str, object]]]:
    """The exit code of `atesta audit witness`, and what it says of proofs of verdicts, or of others that fail."""
    done = line.run("audit", "witness", *map(str, files), "--json")
    return done.exit_code, [one for one in json.loads(done.stdout or "[]") if one.get("kind") == VerdictReached.TOPIC]


def pasted(line: CommandLine, proof: EntryProof) -> Path:
    file = line.folder / "pasted.txt"
    file.write_text(f"see\n\n{proof_text(proof)}\n")
    return file


def test_a_mail_brings_the_proof_of_its_verdict_in_the_head_that_it_shows(line: CommandLine) -> None:
    body, attached = opened(second_mail(line))
    proof = parse_proof(attached)
    entry = proof.checked([parse_verifier_key(key) for key in keys(line)])
    assert entry.topic == VerdictReached.TOPIC
    assert list(heads_in(body)) == [proof.note]
    assert body.rstrip().endswith(f"proves that this verdict is entry {proof.index} under this head.")


@pytest.mark.process
def test_who_has_only_the_mail_and_the_key_can_check_it_with_the_independent_program(line: CommandLine) -> None:
    (line.folder / "log.key").write_text(keys(line)[0])
    arguments = [sys.executable, "-I", str(VERIFIER), "--key", str(line.folder / "log.key"), str(first_mail(line))]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert first_mail(line).name[:32] in done.stdout
    assert "word: FAILED" in done.stdout
    assert "machine_name: web" in done.stdout
    with SQLiteEventLog(line.repository / "state" / "events.sqlite") as log:
        (verdict, *_) = (
            event for event in log.stream(UUID(first_mail(line).name[:32])) if type(event) is VerdictReached
        )
    assert f"at: {verdict.at.astimezone(UTC).isoformat()}" in done.stdout


def test_the_witness_says_which_verification_a_mail_speaks_of(line: CommandLine) -> None:
    mail = second_mail(line)
    line.add_machine("web", hashlib.sha256(b"2").digest() * 4096)
    assert line.run("backup").exit_code == 0
    code, (found,) = witnessed(line, mail)
    assert code == 0
    assert (found["machine"], found["verdict"], found["kind"]) == ("web", "FAILED", VerdictReached.TOPIC)
    assert str(found["verification_id"]) == mail.name[:32]
    told = line.run("audit", "witness", str(mail)).output
    assert f"the verdict FAILED of verification {mail.name[:8]} of web: the log still has it." in told
    assert f"the beginning of verification {mail.name[:8]} of web: the log still has it." in told


def test_a_rewritten_verdict_is_told_by_its_mail_though_all_hashes_are_made_anew(line: CommandLine) -> None:
    earlier, later = first_mail(line), second_mail(line)
    rewrite_verdict(line, UUID(later.name[:32]))
    (line.repository / "state" / "transparency-log.sqlite").unlink()
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert line.run("audit", "check").exit_code == 0

    code, proofs = witnessed(line, earlier, later)
    assert code == DAMAGED
    assert [one["holds"] for one in proofs] == [True, False]
    assert "the event was rewritten after this mail" in str(proofs[1]["trouble"])
    assert (proofs[1]["machine"], proofs[1]["verification_id"]) == ("web", later.name[:32])


def test_a_row_that_was_rewritten_beside_its_log_is_told_too(line: CommandLine) -> None:
    mail = second_mail(line)
    rewrite_verdict(line, UUID(mail.name[:32]))
    code, (found,) = witnessed(line, mail)
    assert code == DAMAGED
    assert "the event store has another event there today" in str(found["trouble"])


def test_a_damaged_event_accuses_no_other_one(line: CommandLine) -> None:
    with closing(sqlite3.connect(line.repository / "state" / "events.sqlite")) as connection, connection:
        last, state = connection.execute(
            "SELECT MAX(notification_id), state FROM stored_events WHERE topic = ?", (VerdictReached.TOPIC,)
        ).fetchone()
        connection.execute("UPDATE stored_events SET state = ? WHERE notification_id = ?", (state + b"x", last))
    assert witnessed(line, first_mail(line))[0] == 0
    code, proofs = witnessed(line, second_mail(line))
    assert code == DAMAGED
    assert [bool(one["trouble"]) for one in proofs] == [True]


def test_verdicts_that_were_removed_from_the_end_are_told(line: CommandLine) -> None:
    mail = second_mail(line)
    number = decode_entry(parse_proof(opened(mail)[1]).entry).number
    with closing(sqlite3.connect(line.repository / "state" / "events.sqlite")) as connection, connection:
        connection.execute("DELETE FROM stored_events WHERE notification_id >= ?", (number,))
    (line.repository / "state" / "transparency-log.sqlite").unlink()
    assert line.run("audit", "head", "--sign").exit_code == 0
    code, (found,) = witnessed(line, mail)
    assert code == DAMAGED
    assert "removed from its end" in str(found["trouble"])


def another_entry(proof: EntryProof) -> EntryProof:
    entry = bytearray(proof.entry)
    entry[-1] ^= 1
    return replace(proof, entry=bytes(entry))


def another_place(proof: EntryProof) -> EntryProof:
    return replace(proof, index=proof.index - 1)


def another_way(proof: EntryProof) -> EntryProof:
    return replace(proof, hashes=(bytes(32), *proof.hashes[1:]))


def a_shorter_way(proof: EntryProof) -> EntryProof:
    return replace(proof, hashes=proof.hashes[:-1])


def another_verdict(proof: EntryProof) -> EntryProof:
    return replace(proof, state=proof.state.replace(b"FAILED", b"BOOTED"))


@pytest.mark.parametrize("tampered", [another_entry, another_verdict, another_place, another_way, a_shorter_way])
def test_a_tampered_proof_does_not_hold(line: CommandLine, tampered: Callable[[EntryProof], EntryProof]) -> None:
    proof = parse_proof(opened(second_mail(line))[1])
    code, (found,) = witnessed(line, pasted(line, tampered(proof)))
    assert (code, found["holds"]) == (DAMAGED, False)


def test_a_pasted_and_quoted_proof_is_read(line: CommandLine) -> None:
    proof = parse_proof(opened(second_mail(line))[1])
    file = pasted(line, proof)
    file.write_text("\r\n".join(f"> {row}" for row in file.read_text().split("\n")))
    code, (found,) = witnessed(line, file)
    assert (code, found["holds"]) == (0, True)


def test_a_proof_under_a_head_that_nobody_signed_does_not_hold(line: CommandLine) -> None:
    proof = parse_proof(opened(second_mail(line))[1])
    origin = proof.note.split("\n")[0]
    stranger = line.folder / "stranger.key"
    forged = make_signing_key(stranger, origin).sign_text("\n".join(proof.note.split("\n")[:3]) + "\n")
    code, (found,) = witnessed(line, pasted(line, replace(proof, note=forged)))
    assert code == DAMAGED
    assert "none of the known keys" in str(found["trouble"])


def test_a_proof_of_another_verification_in_a_mail_is_told(line: CommandLine) -> None:
    first, second = first_mail(line), second_mail(line)
    mixed = email.message_from_bytes(second.read_bytes(), policy=email.policy.default)
    assert isinstance(mixed, EmailMessage)
    body, _ = opened(first)
    forged = EmailMessage(policy=email.policy.default)
    forged["Message-ID"] = mixed["Message-ID"]
    forged.set_content(body)
    forged.add_attachment(opened(first)[1], filename="proof.txt")
    (line.folder / "forged.eml").write_bytes(forged.as_bytes())
    code, (found,) = witnessed(line, line.folder / "forged.eml")
    assert code == DAMAGED
    assert "about another stream of events" in str(found["trouble"])


def test_a_proof_under_another_head_than_the_mail_shows_is_told(line: CommandLine) -> None:
    first, second = first_mail(line), second_mail(line)
    forged = EmailMessage(policy=email.policy.default)
    forged.set_content(opened(second)[0])
    forged.add_attachment(opened(first)[1], filename="proof.txt")
    (line.folder / "forged.eml").write_bytes(forged.as_bytes())
    code, (found,) = witnessed(line, line.folder / "forged.eml")
    assert code == DAMAGED
    assert "another head than the one" in str(found["trouble"])


def test_the_proof_of_another_repository_says_nothing_of_this_one(line: CommandLine, tmp_path: Path) -> None:
    theirs = verified(a_line(tmp_path / "other"))
    refused = line.run("audit", "witness", str(theirs))
    assert refused.exit_code == BAD_INPUT
    assert "of other repositories" in refused.output
    code, proofs = witnessed(line, theirs, second_mail(line))
    assert (code, len(proofs)) == (0, 1)


def test_without_the_key_the_mail_goes_out_without_a_proof(line: CommandLine) -> None:
    (line.folder / "atesta-signing.key").rename(line.folder / "elsewhere")
    message = email.message_from_bytes(verified(line).read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not list(message.iter_attachments())


@pytest.mark.process
@pytest.mark.parametrize(
    ("place", "proven"),
    [
        ("verification.verify_point.VerificationWorkflow._record_report", False),
        ("adapters.auditing.prove", False),
        ("adapters.mail.outbox.FolderOutbox.complete", False),
        ("adapters.composition.Atesta.deliver_reports", True),
    ],
)
def test_a_process_that_is_killed_there_leaves_one_mail_that_goes_out_once(
    line: CommandLine, place: str, proven: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = mails(line)
    process = os.fork()
    if process == 0:
        monkeypatch.setattr(place, lambda *_arguments, **_named: os._exit(KILLED))
        line.run("verify", "--latest")
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(process, 0)[1]) == KILLED

    for _again in range(2):
        assert line.run("outbox").exit_code == 0
    (mail,) = mails(line) - before
    assert ("proof.txt" in mail.read_text()) is proven
    code, found = witnessed(line, mail)
    assert (code, len(found)) == (0, proven)
    assert line.run("audit", "check").exit_code == 0


@pytest.mark.parametrize(
    "place",
    [
        "verification.verify_point.VerificationWorkflow._record_verdict",
        "verification.verify_point.VerificationWorkflow._record_report",
        "adapters.auditing.seal",
        "adapters.auditing.prove",
        "adapters.mail.outbox.FolderOutbox.complete",
    ],
)
def test_a_kill_before_the_proof_loses_no_mail_and_sends_none_twice(
    line: CommandLine, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_arguments: object, **_named: object) -> None:
        raise KeyboardInterrupt

    before = mails(line)
    with monkeypatch.context() as patch:
        patch.setattr(place, killed)
        assert line.run("verify", "--latest").exit_code == INTERRUPTED
    for _again in range(2):
        assert line.run("outbox").exit_code == 0
    (mail,) = mails(line) - before
    message = email.message_from_bytes(mail.read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not list(message.iter_attachments())
    assert line.run("audit", "witness", str(mail)).exit_code == 0


def test_a_full_disk_costs_the_proof_and_not_the_mail(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_arguments: object) -> None:
        raise EnvironmentTroubleError("A mail cannot be kept on disk: No space left on device.")

    monkeypatch.setattr(FolderOutbox, "complete", full)
    message = email.message_from_bytes(verified(line).read_bytes(), policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not list(message.iter_attachments())


def test_a_mail_that_was_tried_already_stays_as_it_is(line: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process delivers between the verdict and the proof: the mail is out, and is not sent again."""
    original = Auditing.proofs_for_mails

    def late(self: Auditing, topics: Sequence[str], stream: UUID, after: int) -> tuple[EntryProof, ...]:
        assert line.run("outbox").exit_code == 0
        return original(self, topics, stream, after)

    monkeypatch.setattr(Auditing, "proofs_for_mails", late)
    before = mails(line)
    assert line.run("verify", "--latest").exit_code == NOT_BOOTED
    (mail,) = mails(line) - before
    content = mail.read_bytes()
    assert line.run("outbox").exit_code == 0
    assert (mails(line), mail.read_bytes()) == (before | {mail}, content)


def rewrite_verdict(line: CommandLine, verification: UUID) -> None:
    """Turn the verdict's word into another one of the same length, with its row's digest made anew."""
    path = line.repository / "state" / "events.sqlite"
    with SQLiteEventLog(path) as log:
        rows = [row for portion in log.rows_after(0) for row in portion]
    (row,) = (row for row in rows if row.topic == VerdictReached.TOPIC and row.stream == verification.bytes)
    payload = row.state[:-DIGEST_BYTES].replace(b"FAILED", b"BOOTED")
    assert payload != row.state[:-DIGEST_BYTES]
    state = payload + state_digest(row.topic, UUID(bytes=row.stream), row.version, payload)
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("UPDATE stored_events SET state = ? WHERE notification_id = ?", (state, row.number))
