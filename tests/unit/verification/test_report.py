"""The report's subject, its two bodies, and what redaction keeps out."""

from __future__ import annotations

from dataclasses import replace

import pytest

from domain.errors import BadInputError
from domain.model.sizes import size
from domain.model.verdicts import ConsoleState, Grade, VerdictWord
from domain.ports.mail import OutgoingMail
from tests.unit.verification.report_world import BOOTED, PANICKED, a_report
from verification.report import VerificationReport, outcome, report_mails, report_subject
from verification.wording import duration


def mail_of(report: VerificationReport) -> OutgoingMail:
    (mail,) = report_mails(report, key="verification-1", sender="atesta@example.org", recipients=["ops@example.org"])
    return mail


def test_the_subject_of_a_machine_that_booted() -> None:
    assert report_subject(a_report()) == "[BOOTED] web01 - 22 Nov 14:05 point, 38 s to sign-in"


def test_the_subject_of_a_machine_that_did_not() -> None:
    assert report_subject(a_report(PANICKED, name="web02")) == "[FAILED] web02 - 22 Nov 14:05 point, kernel panic"


def test_the_outcome_of_a_boot_beside_something_broken_does_not_sound_like_a_success() -> None:
    assert outcome(replace(BOOTED, word=VerdictWord.UNDECIDED)) == "booted, but not all of it is sound"
    assert outcome(replace(PANICKED, console_state=ConsoleState.BLANK)) == "not booted"
    assert outcome(replace(PANICKED, grade=Grade.NOTHING)) == "stored data is damaged"
    assert outcome(replace(BOOTED, console_state=ConsoleState.CONSOLE)) == "38 s to command prompt"


@pytest.mark.parametrize("body", ["html", "text"])
@pytest.mark.parametrize(
    "words",
    [
        "BOOTED", "web01", "38 s to sign-in", "22 Nov 2026 14:05 UTC", "12 s", "124 GiB", "asks for a sign-in",
        "web01 login: _", "no uplink", "file systems", "heartbeat", "GPT partition table", "ext4, 1.0 GiB, readable",
        "not examined", "already stored", "512 MiB", "7f3a9c21", "main", "tcg", "ccddeeff\n1842\n",
        "Console of the recovered machine: sign-in",
    ],
)  # fmt: skip
def test_both_bodies_say_everything(body: str, words: str) -> None:
    assert words in getattr(mail_of(a_report()), body)


def test_the_html_refers_to_each_picture_by_its_content_id() -> None:
    mail = mail_of(replace(a_report(), reel_gif=b"GIF89a"))
    assert [picture.subtype for picture in mail.pictures] == ["png", "gif"]
    for picture in mail.pictures:
        assert mail.html.count(f'src="cid:{picture.content_id}"') == 1


def test_a_report_without_a_picture_says_so() -> None:
    mail = mail_of(replace(a_report(), picture_png=None))
    assert mail.pictures == ()
    assert "<img" not in mail.html
    assert "no picture" in mail.text


def test_a_redacted_report_quotes_nothing_from_the_console() -> None:
    mail = mail_of(replace(a_report(redacted=True, guest_text="top secret"), disks=()))
    assert "top secret" not in mail.html + mail.text
    assert "unreadable on purpose" in mail.text


def test_each_recipient_gets_a_mail_of_their_own_with_a_key_that_stays() -> None:
    wanted = ["ops@example.org", "audit@example.org", "ops@example.org"]
    first = report_mails(a_report(), key="v1", sender="a@example.org", recipients=wanted)
    again = report_mails(a_report(), key="v1", sender="a@example.org", recipients=wanted)
    assert [mail.recipient for mail in first] == wanted[:2]
    assert len({mail.key for mail in first}) == 2
    assert first == again


def test_a_key_that_is_no_file_name_is_refused() -> None:
    with pytest.raises(BadInputError):
        report_mails(a_report(), key="../v1", sender="a@example.org", recipients=["ops@example.org"])


def test_the_html_adapts_to_dark_mode_and_narrow_screens() -> None:
    html = mail_of(a_report()).html
    assert '<meta name="color-scheme" content="light dark">' in html
    assert "prefers-color-scheme: dark" in html
    assert "max-width:640px" in html
    assert "http://" not in html.replace("http://www.w3.org/1999/xhtml", "")
    assert "https://" not in html


@pytest.mark.parametrize(
    ("seconds", "words"), [(0.44, "0.4 s"), (38.2, "38 s"), (119.4, "119 s"), (245, "4 min 05 s"), (7400, "2 h 03 min")]
)
def test_durations_read_well(seconds: float, words: str) -> None:
    assert duration(seconds) == words


@pytest.mark.parametrize(
    ("size_bytes", "words"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (1000 << 20, "1.0 GiB"),
        (120 << 30, "120 GiB"),
        (64 << 40, "64.0 TiB"),
    ],
)
def test_sizes_read_well(size_bytes: int, words: str) -> None:
    assert size(size_bytes) == words
