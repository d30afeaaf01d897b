"""The verifier is one short file that needs Python and one library, and nothing of this project."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.evidence.archive import archive_of
from adapters.evidence.report_page import EvidenceReport
from domain.content.evidence import EvidenceRange
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash, root_of
from domain.workflows.evidence_bundle import make_evidence
from tests.doubles.sealed_history import ORIGIN, START, PaintedPictures, SealedHistory, a_month
from verification.independent import verify_evidence, verify_proof

SOURCE = Path(verify_evidence.__file__)
PROGRAMS = (SOURCE, Path(verify_proof.__file__))


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_it_has_less_than_400_lines_and_imports_the_standard_library_and_cryptography_only(program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    tree = ast.walk(ast.parse(text))
    names = {name for node in tree for name in _imported(node)}

    assert len(text.splitlines()) < 400
    assert {name.partition(".")[0] for name in names} - sys.stdlib_module_names == {"cryptography"}
    assert set(re.findall(r'import_module\("(\w+)"\)', text)) <= {"blake3"}, "what it uses where it is installed"
    assert len(re.findall(r"import_module\(|__import__|exec\(|eval\(", text)) == text.count('import_module("blake3")')


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [one.name for one in node.names]
    return [node.module or "."] if isinstance(node, ast.ImportFrom) else []


@pytest.mark.process
@pytest.mark.parametrize(("spoil", "code"), [(False, 0), (True, 1)])
def test_it_runs_alone_in_an_isolated_interpreter(tmp_path: Path, spoil: bool, code: int) -> None:
    history = a_month()
    about = EvidenceRange(origin=ORIGIN, since=START, until=history.now, machine_id=None, targets={})
    members = dict(make_evidence(about, history, EvidenceReport(), PaintedPictures()).members)
    if spoil:
        members["report.pdf"] = b"another report"
    (tmp_path / "bundle.zip").write_bytes(archive_of(members))
    (tmp_path / "key").write_text(history.verifier_key())
    shutil.copy(SOURCE, tmp_path / "verifier.py")

    ended = subprocess.run(
        [sys.executable, "-I", "verifier.py", "--key", "key", "bundle.zip"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert (ended.returncode, ended.stderr) == (code, "")
    assert ("FAILS" in ended.stdout) is spoil


@pytest.mark.parametrize("content", [b"", b"no archive", b"PK\x05\x06" + bytes(18)])
def test_what_is_no_bundle_is_refused(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bundle.zip").write_bytes(content)

    assert verify_evidence.main([str(tmp_path / "bundle.zip")]) == 3
    assert "cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("events", [1, 255, 256, 257, 600])
def test_tiles_hold_until_one_is_touched(tmp_path: Path, events: int, capsys: pytest.CaptureFixture[str]) -> None:
    history = _long_history(events)
    _write_tiles(tmp_path, history)
    arguments = [str(tmp_path), "--key", history.verifier_key()]
    assert verify_evidence.main(arguments) == 0
    for path in sorted(one for one in tmp_path.rglob("*") if one.is_file() and one.name != "key"):
        kept = path.read_bytes()
        path.write_bytes(kept[:-5] + bytes([kept[-5] ^ 1]) + kept[-4:])
        assert verify_evidence.main(arguments) in (1, 3), path
        path.write_bytes(kept)
    assert verify_evidence.main(arguments) == 0
    capsys.readouterr()


def _long_history(events: int) -> SealedHistory:
    history = SealedHistory()
    once = a_month()
    rows = [row for _ in range(events // len(once.events) + 1) for row in once.stored()]
    history._stored = rows[:events]
    history.events = [once.events[0]] * events
    return history


def _write_tiles(folder: Path, history: SealedHistory) -> None:
    """The layout of C2SP tlog-tiles, for at most 1000 tiles of a level."""
    (folder / "checkpoint").write_text(history.head())
    (folder / "key").write_text(history.verifier_key())
    entries = [encode_entry(entry_of(row)) for row in history.stored()]
    _write_level(folder / "tile" / "entries", [len(one).to_bytes(2, "big") + one for one in entries])
    hashes, level = [leaf_hash(one) for one in entries], 0
    while hashes:
        _write_level(folder / "tile" / str(level), hashes)
        hashes = [root_of(hashes[start : start + 256]) for start in range(0, len(hashes) - 255, 256)]
        level += 1


def _write_level(folder: Path, parts: list[bytes]) -> None:
    for start in range(0, len(parts), 256):
        tile = parts[start : start + 256]
        name = f"{start // 256:03d}" + ("" if len(tile) == 256 else f".p/{len(tile)}")
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"".join(tile))
