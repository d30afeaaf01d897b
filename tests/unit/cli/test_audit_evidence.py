from __future__ import annotations

import json
from pathlib import Path

import pytest
from rich.console import Console

from adapters.cli.audit_evidence import moment_in, write_evidence
from adapters.cli.session import Session
from adapters.composition import Atesta
from adapters.configuration import load_configuration
from domain.errors import BadInputError
from tests.doubles.sealed_history import a_month
from verification.independent.verify_evidence import main


@pytest.fixture
def atesta(tmp_path: Path) -> Atesta:
    configuration = tmp_path / "atesta.toml"
    configuration.write_text("")
    made = Atesta(load_configuration(configuration))
    made.create("a passphrase of some length")
    return made


def _write(atesta: Atesta, target: Path, *, overwrite: bool = False, as_json: bool = False) -> None:
    write_evidence(
        Session(configuration_file=None, out=Console(width=200), err=Console(stderr=True)),
        atesta,
        a_month(),
        since="2026-03-10",
        until="2026-03-20",
        machine=None,
        target=target,
        overwrite=overwrite,
        json=as_json,
    )


def test_the_file_that_is_written_holds_and_what_is_in_it_is_told(
    atesta: Atesta, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _write(atesta, tmp_path / "evidence.zip")
    said = capsys.readouterr().out

    assert "20 verifications: 18 BOOTED, 1 FAILED" in said
    assert main([str(tmp_path / "evidence.zip"), "--key", a_month().verifier_key()]) == 0


def test_scripts_get_json(atesta: Atesta, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write(atesta, tmp_path / "evidence.zip", as_json=True)
    said = json.loads(capsys.readouterr().out)

    assert (said["from"], said["pictures"], said["reaches_end_of_log"]) == ("2026-03-10T00:00:00.000000Z", 0, False)
    assert said["bytes"] == (tmp_path / "evidence.zip").stat().st_size


def test_a_file_in_the_way_is_refused_and_replaced_only_when_told(atesta: Atesta, tmp_path: Path) -> None:
    target = tmp_path / "evidence.zip"
    target.write_bytes(b"mine")

    with pytest.raises(BadInputError, match="there already"):
        _write(atesta, target)
    assert target.read_bytes() == b"mine"
    _write(atesta, target, overwrite=True)
    assert target.read_bytes()[:2] == b"PK"


@pytest.mark.parametrize("text", ["", "yesterday", "2026-13-01", "01.02.2026"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="no day"):
        moment_in(text)
