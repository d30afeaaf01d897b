"""Where a person's word against a verdict is seen: everywhere the verdict is, and never in its place."""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.dark_lab import NOT_BOOTED, use_dark_lab
from tests.doubles.exported_folder import CommandLine
from tests.doubles.sweeps import noise

REASON = "<b>the lab</b> has no such card | ticket 7"
CRITICAL = 2


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """A point whose verdict was overridden."""
    cheap_secrets(monkeypatch)
    use_dark_lab(monkeypatch)
    line = CommandLine(tmp_path / "here")
    line.folder.mkdir()
    line.init()
    text = line.configuration.read_text()
    line.configuration.write_text(text.replace("# recipients = []", 'recipients = ["a@example.org"]'))
    line.add_machine("web", noise(1, 1 << 18))
    assert line.run("backup").exit_code == NOT_BOOTED
    done = line.run("override", "web@latest", "--verdict", "booted", "--reason", REASON)
    assert done.exit_code == 0, done.output
    return line


def asked(line: CommandLine, *arguments: str) -> Any:
    return json.loads(line.run(*arguments, "--json").stdout)


def test_points_and_status_show_both_words_and_the_reason(line: CommandLine) -> None:
    for command in ("points", "status"):
        shown = line.run(command).output
        assert "FAILED*" in shown
        assert f"FAILED is taken as BOOTED: {REASON}" in shown
    (point,) = line.points()
    (latest,) = asked(line, "status")["latest"]
    for one in (point, latest):
        assert (one["verdict"], one["overridden"], one["overridden_reason"]) == ("FAILED", "BOOTED", REASON)
        assert one["sealed"]


def test_history_has_an_entry_for_it_and_the_verification_stays_failed(line: CommandLine) -> None:
    newest, failed, *_ = asked(line, "history")
    assert (newest["kind"], newest["machine_name"], newest["said"]) == ("override", "web", REASON)
    assert "FAILED is taken as BOOTED" in newest["what"]
    assert (failed["kind"], failed["word"], failed["sealed"]) == ("verification", "FAILED", True)
    shown = line.run("history").output
    assert f"FAILED is taken as BOOTED: {REASON}" in shown
    assert any("verify" in one and "FAILED" in one for one in shown.splitlines())


def test_health_stays_critical_and_tells_of_it_on_its_one_line(line: CommandLine) -> None:
    judged = line.run("health")
    assert judged.exit_code == CRITICAL
    assert "web: the last verification FAILED; a person takes it as BOOTED: <b>the lab</b>" in judged.output
    assert judged.output.count("|") == 1


def test_the_story_of_the_point_tells_it_after_the_verdict(line: CommandLine) -> None:
    story = [one["what"] for one in asked(line, "audit", "explain", "web@latest")["story"]]
    (verdict,) = [place for place, what in enumerate(story) if what.startswith("Verdict FAILED")]
    (override,) = [place for place, what in enumerate(story) if "takes the verdict FAILED as BOOTED" in what]
    assert verdict < override
    assert REASON in story[override]


def mails(line: CommandLine, suffix: str) -> list[str]:
    return [path.read_text() for path in sorted(line.folder.glob(f"mail/*{suffix}"))]


def test_the_next_mail_of_the_machine_tells_it_once_and_escaped(line: CommandLine) -> None:
    words = "Overridden by a person since the last report"
    assert not any(words in mail for mail in mails(line, ".html"))
    before = set(line.folder.glob("mail/*.html"))

    line.add_machine("other", noise(5, 1 << 18), machine_id="6fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a22")
    assert line.run("backup", "other").exit_code == NOT_BOOTED
    others = set(line.folder.glob("mail/*.html"))
    assert not any(words in path.read_text() for path in others)

    assert line.run("verify", "web@latest").exit_code == NOT_BOOTED
    (mail,) = set(line.folder.glob("mail/*.html")) - others
    assert before < others
    assert words in mail.read_text()
    assert html.escape(REASON) in mail.read_text()
    assert "<b>the lab" not in mail.read_text()

    so_far = set(line.folder.glob("mail/*.html"))
    assert line.run("verify", "web@latest").exit_code == NOT_BOOTED
    (mail,) = set(line.folder.glob("mail/*.html")) - so_far
    assert words not in mail.read_text()
