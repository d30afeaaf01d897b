"""Whatever a machine is called and whatever its console says, a mail stays one mail and its HTML stays Atesta's."""

from __future__ import annotations

import email
import email.policy
import unicodedata
from html.parser import HTMLParser

from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.mail.mime import mime_message
from tests.unit.verification.report_world import BOOTED, PANICKED, a_report
from verification.report import report_mails, report_subject
from verification.screen_reading import classify

HOSTILE = st.one_of(
    st.text(max_size=300),
    st.sampled_from(
        [
            "../../etc/passwd",
            "a\r\nBcc: evil@example.org",
            "\u202egnp.exe\u2066",
            '"><script>alert(1)</script>',
            "</title><script>alert(1)</script>",
            "{{ 7 * 7 }}{% for x in y %}",
            "' onerror='alert(1)",
            "<img src=cid:console.v1@atesta.invalid>",
            "\ud800 lone surrogate",
            "\x00\x07\x1b[2J",
            "x" * 300,
            "́" * 300,
        ]
    ),
)


class Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.text += data


def elements(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    return parser


@settings(deadline=None, max_examples=150)
@given(name=HOSTILE)
def test_a_subject_is_one_short_printable_line(name: str) -> None:
    for verdict in (BOOTED, PANICKED):
        subject = report_subject(a_report(verdict, name=name))
        assert len(subject) <= 110
        assert subject.startswith(f"[{verdict.word.value}] ")
        assert subject.endswith(("38 s to sign-in", "kernel panic"))
        assert not any(unicodedata.category(letter).startswith("C") for letter in subject)


@settings(deadline=None, max_examples=150)
@given(name=HOSTILE, guest_text=HOSTILE)
def test_hostile_text_adds_no_element_to_the_html(name: str, guest_text: str) -> None:
    (mail,) = report_mails(
        a_report(name=name, guest_text="x" + guest_text), key="v1", sender="a@example.org", recipients=["b@example.org"]
    )
    (plain,) = report_mails(
        a_report(name="web01", guest_text="x"), key="v1", sender="a@example.org", recipients=["b@example.org"]
    )
    assert elements(mail.html).seen == elements(plain.html).seen
    assert not any(unicodedata.category(letter) in ("Cf", "Cs") for letter in mail.html + mail.text)


@settings(deadline=None, max_examples=100)
@given(name=HOSTILE, guest_text=HOSTILE)
def test_a_hostile_report_comes_back_from_mime_with_its_headers_alone(name: str, guest_text: str) -> None:
    (mail,) = report_mails(
        a_report(name=name, guest_text=guest_text), key="v1", sender="a@example.org", recipients=["b@example.org"]
    )
    message = email.message_from_bytes(mime_message(mail).as_bytes(), policy=email.policy.default)
    assert sorted(message.keys()) == sorted(
        ["From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]
    )
    assert message["Subject"] == mail.subject
    html = message.get_body(("html",))
    assert html is not None
    assert html.get_content().splitlines() == mail.html.splitlines()
    assert [part["Content-ID"] for part in message.walk() if part.get_content_maintype() == "image"] == [
        f"<{mail.pictures[0].content_id}>"
    ]


@settings(deadline=None, max_examples=300)
@given(text=st.text(max_size=2000))
def test_any_text_on_a_console_is_classified_and_bounded(text: str) -> None:
    reading = classify(text)
    assert len(reading.evidence) <= 160
    assert "\n" not in reading.evidence
    assert not any(unicodedata.category(letter).startswith("C") for letter in reading.text.replace("\n", ""))
