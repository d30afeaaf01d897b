"""``make demo``: the main job on real guests, played as a user plays it."""

from __future__ import annotations

import email
import email.policy
from pathlib import Path

import pytest

from tests.journeys import demo
from tests.journeys.command import answer, atesta


@pytest.mark.guest
@pytest.mark.timeout(900)
def test_the_demo_ends_with_a_picture_in_the_mailbox(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    previews = demo.play(folder)

    verdicts = {point["machine"]: point["verdict"] for point in answer(folder, "points")}
    assert verdicts == {"web01": "BOOTED", "mail01": "FAILED"}
    assert len(previews) == 2
    mails = [
        email.message_from_bytes(path.read_bytes(), policy=email.policy.default)
        for path in (folder / "mail").glob("*.eml")
    ]
    subjects = sorted(mail["Subject"] for mail in mails)
    assert subjects[0].startswith("[BOOTED] web01 - ")
    assert "to sign-in" in subjects[0]
    assert subjects[1].startswith("[FAILED] mail01 - ")
    for mail in mails:
        pictures = [part for part in mail.walk() if part.get_content_type() == "image/png"]
        assert len(pictures) == 1
        assert pictures[0].get_content().startswith(b"\x89PNG")
    names = {line.split()[3] for line in atesta(folder, "events").stdout.splitlines()}
    expected = {
        "prepare-for-snapshot",
        "snapshot-taken",
        "post-snapshot",
        "ranges-excluded",
        "chunks-written",
        "synthetic-full-merged",
        "restore-point-committed",
        "data-verified",
        "file-systems-checked",
        "lab-booted",
        "console-captured",
        "verdict-reached",
        "lab-torn-down",
        "report-mailed",
    }
    assert expected <= names
    assert not list((folder / "repository" / "state" / "lab").glob("bench-*"))
