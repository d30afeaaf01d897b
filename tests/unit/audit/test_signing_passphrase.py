"""A passphrase on the signing key: from the environment, a file or a prompt, and what happens without the right one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from adapters.cli.main import app
from domain.errors import BadInputError, WrongKeyError
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import PASSPHRASE, CommandLine
from tests.doubles.sweeps import noise

SECRET, OTHER = "a signing secret", "another secret"
VARIABLE = "ATESTA_SIGNING_KEY_PASSPHRASE"
BAD_INPUT, WRONG_KEY = BadInputError.exit_code, WrongKeyError.exit_code


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A folder with a machine, before ``atesta init``."""
    cheap_secrets(monkeypatch)
    line = CommandLine(tmp_path / "here")
    line.exports.mkdir(parents=True)
    line.add_machine("web", noise(1, 1 << 18))
    return line


def run(line: CommandLine, *arguments: str, secret: str | None = None) -> Result:
    environment = {"ATESTA_PASSPHRASE": PASSPHRASE, "COLUMNS": "400", VARIABLE: secret}
    return CliRunner().invoke(app, ["--config", str(line.configuration), *arguments], env=environment)


def initialised(line: CommandLine, *arguments: str, secret: str | None = None) -> None:
    made = run(line, "init", str(line.repository), "--exports", str(line.exports), *arguments, secret=secret)
    assert made.exit_code == 0, made.output


def key(line: CommandLine) -> Path:
    return line.folder / "atesta-signing.key"


def secret_file(line: CommandLine, text: str = SECRET) -> Path:
    file = line.folder / "signing-secret"
    file.write_text(f"{text}\n")
    file.chmod(0o600)
    return file


def sealed(line: CommandLine) -> list[bool]:
    return [point["sealed"] for point in json.loads(run(line, "points", "--json").stdout)]


def opens_with(file: Path, secret: str) -> bool:
    """Whether OpenSSL opens the key."""
    arguments = ["openssl", "pkey", "-in", str(file), "-passin", "env:S", "-noout"]
    return subprocess.run(arguments, env={**os.environ, "S": secret}, capture_output=True, check=False).returncode == 0


@pytest.mark.parametrize("source", ["environment", "file", "prompt"])
def test_init_encrypts_the_key_and_backups_are_sealed_with_the_passphrase(
    line: CommandLine, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if source == "file":
        initialised(line, "--signing-key-passphrase-file", str(secret_file(line)))
    elif source == "environment":
        initialised(line, "--encrypt-signing-key", secret=SECRET)
    else:
        monkeypatch.setattr("adapters.cli.passphrase._prompted", lambda *_words: SECRET)
        initialised(line, "--encrypt-signing-key")
    assert opens_with(key(line), SECRET)
    assert not opens_with(key(line), OTHER)

    backed_up = run(line, "backup", "--no-verify", secret=None if source == "file" else SECRET)
    assert backed_up.exit_code == 0, backed_up.output
    assert sealed(line) == [True]
    assert VARIABLE not in os.environ


@pytest.mark.parametrize("secret", [None, OTHER])
def test_without_the_right_passphrase_a_backup_completes_unsealed_with_a_warning(
    line: CommandLine, secret: str | None
) -> None:
    initialised(line, "--encrypt-signing-key", secret=SECRET)

    backed_up = run(line, "backup", "--no-verify", secret=secret)
    assert backed_up.exit_code == 0, backed_up.output
    assert "No head was signed over what was done" in backed_up.stderr
    assert (
        "passphrase, which is not known" if secret is None else "not the signing key's passphrase"
    ) in backed_up.stderr
    assert VARIABLE in backed_up.stderr
    assert sealed(line) == [False]
    assert json.loads(run(line, "status", "--json").stdout)["events_unshipped"] == 0

    signed = run(line, "audit", "head", "--sign", secret=secret)
    assert signed.exit_code == (BAD_INPUT if secret is None else WRONG_KEY)
    assert run(line, "audit", "head", "--sign", secret=SECRET).exit_code == 0
    assert sealed(line) == [True]


def test_a_file_with_the_passphrase_that_others_can_read_is_refused(line: CommandLine) -> None:
    file = secret_file(line)
    initialised(line, "--signing-key-passphrase-file", str(file))
    file.chmod(0o644)
    refused = run(line, "audit", "head", "--sign")
    assert refused.exit_code == BAD_INPUT
    assert f"chmod 600 {file}" in refused.output


def test_short_passphrases_and_no_terminal_are_refused_before_anything_is_made(line: CommandLine) -> None:
    for secret in ("short", None):
        refused = run(
            line, "init", str(line.repository), "--exports", str(line.exports), "--encrypt-signing-key", secret=secret
        )
        assert refused.exit_code == BAD_INPUT
    assert not line.configuration.exists()
    assert not key(line).exists()


def test_a_rotation_keeps_the_passphrase_unless_told_otherwise(line: CommandLine) -> None:
    initialised(line, "--encrypt-signing-key", secret=SECRET)

    refused = run(line, "audit", "rotate-key")
    assert refused.exit_code == BAD_INPUT
    assert "--plain" in refused.output
    assert len(run(line, "audit", "keys").stdout.splitlines()) == 1

    assert run(line, "audit", "rotate-key", secret=OTHER).exit_code == 0
    assert opens_with(key(line), OTHER)
    assert opens_with(key(line).with_name("atesta-signing.key.old"), SECRET)
    assert run(line, "audit", "head", "--sign", secret=OTHER).exit_code == 0

    assert run(line, "audit", "rotate-key", "--plain", secret=OTHER).exit_code == 0
    assert run(line, "audit", "head", "--sign").exit_code == 0
    assert run(line, "audit", "rotate-key", "--encrypt", "--plain").exit_code == BAD_INPUT
    assert run(line, "audit", "rotate-key", "--encrypt", secret=SECRET).exit_code == 0
    assert opens_with(key(line), SECRET)
    assert run(line, "audit", "check").exit_code == 0


def test_a_passphrase_is_never_taken_from_the_command_line(line: CommandLine) -> None:
    helps = run(line, "init", "--help").output + run(line, "audit", "rotate-key", "--help").output
    assert "--signing-key-passphrase " not in helps
    assert "--passphrase " not in helps


@pytest.mark.process
def test_programs_that_are_started_do_not_inherit_it(line: CommandLine) -> None:
    code = (
        "import os; from pathlib import Path; from adapters.composition import Atesta; "
        "from adapters.configuration import load_configuration; "
        f"Atesta(load_configuration(Path({str(line.configuration)!r}))); print({VARIABLE!r} in os.environ)"
    )
    line.configuration.write_text("")
    told = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, VARIABLE: SECRET}, capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"
