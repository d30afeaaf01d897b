"""The verifier refuses each of a list of doctored bundles.

Each doctor makes his bundle with the program itself, so every digest that needs no key is right. One who has no key
seals it with another one; one who has the log's key seals it rightly, and then the log alone must give him away.
"""

from __future__ import annotations

import hashlib
import html
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID

import pytest
from blake3 import blake3

from adapters.eventstore.event_mapper import EventMapper
from adapters.evidence.archive import archive_of
from adapters.evidence.report_page import EvidenceReport
from domain.content.evidence import EvidenceRange, encode_json, encode_record, seal_text
from domain.content.signed_note import SigningKey
from domain.events.restore_point import VerdictOverridden
from domain.events.verification import VerdictReached, VerificationFailed
from domain.model.verdicts import VerdictWord
from domain.workflows.evidence_bundle import make_evidence
from tests.doubles.sealed_history import ORIGIN, START, PaintedPictures, SealedHistory, a_month
from verification.independent.verify_evidence import main

SINCE, UNTIL = datetime(2026, 3, 10, tzinfo=UTC), datetime(2026, 3, 20, tzinfo=UTC)
LEAVES = "the events are those of the log"
WHOLE = "all that was recorded from"
SEALED = "the log's key sealed the bundle"
REPORT = "the report says what the events say"
Doctor = Callable[[SealedHistory], None]
Members = dict[str, bytes]


class DoctoredHistory(SealedHistory):
    """A history that was rewritten behind a head that cannot be signed anew."""

    true_head = ""

    def head(self) -> str:
        """The head of the true log, the only one that there is."""
        return self.true_head


def _made(history: SealedHistory, since: datetime = SINCE, until: datetime = UNTIL) -> Members:
    about = EvidenceRange(origin=ORIGIN, since=since, until=until, machine_id=None, targets={})
    return dict(make_evidence(about, history, EvidenceReport(), PaintedPictures()).members)


def _resealed(members: Members, key: SigningKey, **changes: object) -> Members:
    """The members with all digests right again, sealed by ``key``."""
    manifest = {**json.loads(members["manifest.json"]), **changes}
    manifest["members"] = {
        name: hashlib.sha256(content).hexdigest()
        for name, content in members.items()
        if name not in ("manifest.json", "manifest.sig")
    }
    encoded = encode_json(manifest)
    seal = key.sign_text(seal_text(ORIGIN, encoded)).encode()
    return {**members, "manifest.json": encoded, "manifest.sig": seal}


@pytest.fixture(scope="module")
def history() -> SealedHistory:
    return a_month()


@pytest.fixture
def verdict(
    history: SealedHistory, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., tuple[int, list[str]]]:
    def check(members: Members, *arguments: str) -> tuple[int, list[str]]:
        path = tmp_path / "bundle.zip"
        path.write_bytes(archive_of(members))
        code = main([str(path), "--key", history.verifier_key(), *arguments])
        return code, [line for line in capsys.readouterr().out.splitlines() if line.startswith("FAILS")]

    return check


def _place(history: SealedHistory, kind: type[object], after: int = 0) -> int:
    return next(
        place
        for place, event in enumerate(history.events)
        if isinstance(event, kind) and SINCE <= event.at < UNTIL and place > after
    )


def _failed_verdict(history: SealedHistory) -> int:
    return next(
        place
        for place, event in enumerate(history.events)
        if isinstance(event, VerdictReached) and event.word is VerdictWord.FAILED
    )


def _change(history: SealedHistory) -> None:
    place = _failed_verdict(history)
    event = history.events[place]
    assert isinstance(event, VerdictReached)
    _put(history, place, replace(event, word=VerdictWord.BOOTED, boot_s=20.0))


def _put(history: SealedHistory, place: int, event: VerdictReached) -> None:
    stored = EventMapper().to_stored_event(event)
    history.events[place] = event
    history._stored[place] = replace(history._stored[place], topic=stored.topic, state=stored.state)


def _drop(history: SealedHistory) -> None:
    place = _place(history, VerificationFailed)
    del history.events[place], history._stored[place]


def _swap(history: SealedHistory) -> None:
    first = _failed_verdict(history)
    second = _place(history, VerdictReached, after=first)
    one, other = history.events[first], history.events[second]
    assert isinstance(one, VerdictReached)
    assert isinstance(other, VerdictReached)
    _put(history, first, replace(other, originator_id=one.originator_id, originator_version=one.originator_version))
    _put(history, second, replace(one, originator_id=other.originator_id, originator_version=other.originator_version))


def _reorder(history: SealedHistory) -> None:
    place = _failed_verdict(history)
    rows, events = history._stored, history.events
    events[place], events[place - 1] = events[place - 1], events[place]
    early, late = rows[place - 1].number, rows[place].number
    rows[place - 1], rows[place] = replace(rows[place], number=early), replace(rows[place - 1], number=late)


def _insert(history: SealedHistory) -> None:
    place = _place(history, VerificationFailed)
    number = history._stored[place].number + 1
    history.now = history.events[place].at
    history.append(VerificationFailed, UUID(int=99), error="it was ever so")
    history.events.insert(place + 1, history.events.pop())
    history._stored.insert(place + 1, replace(history._stored.pop(), number=number))


REWRITES = {"changed": _change, "dropped": _drop, "swapped": _swap, "re-ordered": _reorder, "inserted": _insert}


@pytest.mark.parametrize("doctor", REWRITES.values(), ids=REWRITES)
@pytest.mark.parametrize("has_key", [False, True], ids=["without the key", "with the key"])
def test_a_rewritten_event_is_found(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], doctor: Doctor, has_key: bool
) -> None:
    forged = DoctoredHistory()
    forged.true_head, forged.key = history.head(), history.key if has_key else SigningKey(ORIGIN, b"x" * 32)
    forged.events, forged._stored = list(history.events), history.stored()
    doctor(forged)
    size = len(history.events)
    while len(forged.events) < size:
        forged.append(VerificationFailed, UUID(int=97), error="filling")

    members = _made(forged)

    code, failures = verdict(members)
    assert code == 1
    assert any(LEAVES in line for line in failures)
    assert any(SEALED in line for line in failures) is not has_key


def test_the_same_bundle_undoctored_holds(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]]
) -> None:
    assert verdict(_resealed(_made(history), history.key)) == (0, [])


@pytest.mark.parametrize("name", ["pictures/", "report.html", "report.json", "events", "heads/", "checkpoint"])
def test_a_member_that_is_replaced_without_the_key_is_found(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], name: str
) -> None:
    members = _made(history)
    chosen = next(one for one in members if one.startswith(name))
    others = [content for one, content in members.items() if one.startswith(name) and one != chosen]
    members[chosen] = others[0] + b"\n" if others else members[chosen].replace(b"1", b"2")

    for one in (members, _resealed(members, SigningKey(ORIGIN, b"x" * 32))):
        code, _failures = verdict(one)
        assert code in (1, 3)


def test_a_replaced_picture_is_found(history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]]) -> None:
    members = _made(history)
    picture = next(name for name in members if name.startswith("pictures/"))
    members[picture] = b"another picture"

    code, failures = verdict(members)
    assert (code, len(failures)) == (1, 1)
    assert picture in failures[0]


def test_a_picture_of_no_verification_is_found_even_with_the_key(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]]
) -> None:
    members = _made(history) | {f"pictures/{'ab' * 32}.webp": b"a picture"}

    code, failures = verdict(_resealed(members, history.key))
    assert code == 1
    assert "is of no verification" in failures[0]


@pytest.mark.parametrize("replaced", [False, True])
def test_an_original_picture_that_is_replaced_is_found_even_with_the_key(
    verdict: Callable[..., tuple[int, list[str]]], replaced: bool
) -> None:
    history = SealedHistory()
    captured = b"the console as it was"
    history.verified("web", history.backed_up("web"), picture=blake3(captured).digest())
    name = f"pictures/{blake3(captured).hexdigest()}"
    members = _made(history, START, UNTIL)
    members |= {f"{name}.png": b"a login prompt" if replaced else captured}

    code, failures = verdict(_resealed(members, history.key))
    assert code == int(replaced)
    assert [f"{name}.png is not what was captured" in line for line in failures] == [True] * replaced


def test_a_report_that_leaves_an_override_out_is_found_even_with_the_key(
    verdict: Callable[..., tuple[int, list[str]]],
) -> None:
    history = SealedHistory()
    point = history.backed_up("web")
    history.verified("web", point, VerdictWord.FAILED)
    said = "<i>the lab</i> has no such card"
    history.append(VerdictOverridden, point, judged=VerdictWord.FAILED, word=VerdictWord.BOOTED, reason=said)
    members = _made(history, START, UNTIL)
    assert verdict(_resealed(members, history.key)) == (0, [])
    page = members["report.html"].decode()
    assert html.escape(said) in page
    assert said not in page
    assert "1 FAILED" in page

    members["report.html"] = page.replace(f"FAILED is taken as BOOTED: {html.escape(said)}", "").encode()
    code, failures = verdict(_resealed(members, history.key))
    assert (code, len(failures)) == (1, 1)
    assert REPORT in failures[0]


def test_a_forged_head_is_found(history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]]) -> None:
    forger = SealedHistory(b"x" * 32)
    forger.events, forger._stored = list(history.events), history.stored()
    _change(forger)

    code, failures = verdict(_made(forger))
    assert code == 1
    assert any(LEAVES in line and "has not signed it" in line for line in failures)

    members = _made(forger) | {"key": history.verifier_key().encode()}
    signature = history.head().rpartition("\n\n")[2]
    members["checkpoint"] = (forger.head().rpartition("\n\n")[0] + "\n\n" + signature).encode()
    code, failures = verdict(_resealed(members, history.key))
    assert any(LEAVES in line and "forged" in line for line in failures)


def test_a_log_that_was_rolled_back_is_found_by_a_newer_head(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    old = SealedHistory()
    kept = len(history.events) - 100
    old.events, old._stored = history.events[:kept], history.stored()[:kept]
    newer = tmp_path / "head"
    newer.write_text(history.head())

    assert verdict(_made(old))[0] == 0
    code, failures = verdict(_made(old), "--head", str(newer))
    assert code == 1
    assert any("rolled back" in line for line in failures)


def _forked(history: SealedHistory) -> SealedHistory:
    """A copy in which one event is another one, signed by the same key."""
    fork = SealedHistory()
    fork.events, fork._stored = list(history.events), history.stored()
    _change(fork)
    return fork


def test_a_fork_is_found_by_a_head_of_the_other_branch(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    fork = _forked(history)
    mailed = tmp_path / "head"
    mailed.write_text(history.head())

    assert verdict(_made(fork))[0] == 0
    code, failures = verdict(_made(fork), "--head", str(mailed))
    assert code == 1
    assert any("not those that were signed" in line for line in failures)


def test_a_head_from_before_the_rewriting_gives_it_away(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], tmp_path: Path
) -> None:
    fork = _forked(history)
    mailed = tmp_path / "head"
    mailed.write_text(history.head_at(_failed_verdict(history) + 2))

    assert verdict(_made(history), "--head", str(mailed))[0] == 0
    assert verdict(_made(fork), "--head", str(mailed))[0] == 1


@pytest.mark.parametrize("days", [(1, 0), (0, 1)], ids=["beginning", "end"])
def test_a_range_that_is_cut_short_is_found_even_with_the_key(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], days: tuple[int, int]
) -> None:
    members = _made(history, SINCE + timedelta(days=days[0]), UNTIL - timedelta(days=days[1]))
    told = {"from": "2026-03-10T00:00:00.000000Z", "to": "2026-03-20T00:00:00.000000Z"}
    members["report.json"] = encode_json({**json.loads(members["report.json"]), **told})

    code, failures = verdict(_resealed(members, history.key, **told))
    assert (code, len(failures)) == (1, 1)
    assert WHOLE in failures[0]
    assert ("beginning" if days[0] else "end") in failures[0]


@pytest.mark.parametrize("figure", [b"1 FAILED", b"web: verification FAILED", b"not remedied"])
def test_a_report_whose_words_differ_from_the_events_is_found_even_with_the_key(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]], figure: bytes
) -> None:
    members = _made(history)
    assert figure in members["report.html"]
    members["report.html"] = members["report.html"].replace(figure, b"all is well")

    code, failures = verdict(_resealed(members, history.key))
    assert (code, len(failures)) == (1, 1)
    assert REPORT in failures[0]


def test_facts_that_differ_from_the_events_are_found_even_with_the_key(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]]
) -> None:
    members = _made(history)
    facts = json.loads(members["report.json"])
    facts["runs"] = [run for run in facts["runs"] if run["result"] != "FAILED"]
    members["report.json"] = encode_json(facts)

    code, failures = verdict(_resealed(members, history.key))
    assert (code, len(failures)) == (1, 1)
    assert "report.json says something else" in failures[0]


def test_a_failure_whose_state_is_withheld_is_found_even_with_the_key(
    history: SealedHistory, verdict: Callable[..., tuple[int, list[str]]]
) -> None:
    members = _made(history)
    row = history.stored()[_failed_verdict(history)]
    whole, digest = encode_record(row, whole=True), encode_record(row, whole=False)
    assert whole in members["events"]
    members["events"] = members["events"].replace(whole, digest)

    code, failures = verdict(_resealed(members, history.key))
    assert code == 1
    assert any("is withheld" in line for line in failures)
    assert not any(LEAVES in line for line in failures)
