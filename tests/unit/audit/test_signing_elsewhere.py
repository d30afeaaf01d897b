"""Heads that are signed on another machine: nothing that was rolled back or forked is, and what was comes home."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from domain.content.head_request import parse_request
from domain.content.signed_note import SigningKey, TreeHead, parse_head, parse_note
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from tests.doubles.audited_repository import audited_repository, back_up, failing, head, size_of
from tests.doubles.exported_folder import CommandLine

DAMAGED, BAD_INPUT = DamagedDataError.exit_code, BadInputError.exit_code
TROUBLE = EnvironmentTroubleError.exit_code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return audited_repository(tmp_path_factory.mktemp("made") / "here")


@pytest.fixture
def line(made: CommandLine, tmp_path: Path) -> CommandLine:
    return made.copied(tmp_path / "here")


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
