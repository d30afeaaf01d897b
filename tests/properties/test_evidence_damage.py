"""Whatever single byte of a bundle or of a member is changed, the verifier says so, and never falls over."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.evidence.archive import archive_of
from adapters.evidence.report_page import EvidenceReport
from domain.content.evidence import EvidenceRange
from domain.workflows.evidence_bundle import make_evidence
from tests.doubles.sealed_history import ORIGIN, START, PaintedPictures, a_month
from verification.independent.verify_evidence import main

HISTORY = a_month()
MEMBERS = dict(
    make_evidence(
        EvidenceRange(origin=ORIGIN, since=START, until=HISTORY.now, machine_id=None, targets={}),
        HISTORY,
        EvidenceReport(),
        PaintedPictures(),
    ).members
)
NAMES = [name for name in MEMBERS if name != "manifest.sig"]


def _code(path: Path, content: bytes) -> int:
    path.write_bytes(content)
    return main([str(path), "--key", HISTORY.verifier_key()])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(name=st.sampled_from(NAMES), place=st.integers(0, 1 << 24), mask=st.integers(1, 255))
def test_a_changed_byte_of_a_member_is_found(
    name: str, place: int, mask: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    changed = bytearray(MEMBERS[name])
    changed[place % len(changed)] ^= mask

    assert _code(tmp_path / "bundle.zip", archive_of({**MEMBERS, name: bytes(changed)})) in (1, 3)
    capsys.readouterr()


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 1 << 24), mask=st.integers(1, 255), cut=st.booleans())
def test_a_changed_or_cut_archive_never_makes_it_fall_over(
    place: int, mask: int, cut: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    content = bytearray(archive_of(MEMBERS))
    place %= len(content)
    content[place] ^= mask

    # A byte of the archive's own fields, such as a date, may be changed without changing any member: then all holds.
    assert _code(tmp_path / "bundle.zip", bytes(content[:place] if cut else content)) in ((1, 3) if cut else (0, 1, 3))
    capsys.readouterr()


def test_without_damage_it_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert _code(tmp_path / "bundle.zip", archive_of(MEMBERS)) == 0
    capsys.readouterr()
