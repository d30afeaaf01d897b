"""The log leaves the machine: published heads and tiles for an auditor, and a key that lies on another machine."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.journeys.command import answer, atesta

pytestmark = pytest.mark.process

VERIFIER = Path("verification/independent/verify_evidence.py").absolute()
DAMAGED = 4


def test_an_auditor_with_a_share_and_a_key_elsewhere(tmp_path: Path, exports: Path) -> None:
    home, there = tmp_path, tmp_path / "there"
    share = home / "share"
    share.mkdir()
    there.mkdir()
    atesta(home, "init", "--exports", str(exports))
    with (home / "atesta.toml").open("a") as configuration:
        configuration.write('\n[audit]\nsign_elsewhere = true\n\n[audit.publish]\nfolder = "share"\n')
    log = atesta(home, "audit", "head").stdout.split("\n")[0]
    public = atesta(there, "audit", "new-key", log, "-o", "key").stdout.strip()
    atesta(home, "audit", "rotate-key", "--to", public)

    atesta(home, "backup", "--no-verify")
    sign_there(home, there, "--first")
    assert len(list(share.iterdir())) == 2  # the head of init, and this one

    atesta(home, "audit", "export-tiles", "--to", "tiles")
    checked = subprocess.run(
        [sys.executable, "-I", str(VERIFIER), "--key", public, "--head", str(max(share.iterdir())), "tiles"],
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (checked.returncode, checked.stderr) == (0, "")

    shutil.copytree(home / "repository", home / "old")
    grow(exports)
    atesta(home, "backup", "--no-verify")
    sign_there(home, there)
    assert [one["holds"] for one in answer(home, "audit", "witness", "share")] == [True, True, True]

    shutil.rmtree(home / "repository")
    (home / "old").rename(home / "repository")
    atesta(home, "audit", "head", "--unsigned", "-o", "request.txt")
    assert "rolled back" in atesta(there, "audit", "sign", "../request.txt", "--key", "key", expected=DAMAGED).stderr
    assert "removed from its end" in atesta(home, "audit", "witness", "share", expected=DAMAGED).stdout


def sign_there(home: Path, there: Path, *options: str) -> None:
    """Carry what the last run left to the other machine, and the signed head back."""
    shutil.copy(next(home.rglob("head-request.txt")), there / "request.txt")
    atesta(there, "audit", "sign", "request.txt", "--key", "key", "-o", "signed.txt", *options)
    atesta(home, "audit", "head", "--add", "there/signed.txt")


def grow(exports: Path) -> None:
    with (exports / "files.raw").open("r+b") as disk:
        disk.seek(40 << 20)
        disk.write(b"\x01" * 100_000)
