"""Who did it stands beside each event, bound into its digest, and old events do without."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from eventsourcing.persistence import StoredEvent

from adapters.actor import current_actor
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_mapper import EventMapper, state_digest
from adapters.eventstore.memory import MemoryEventLog
from domain.errors import DamagedDataError
from domain.events.recorded import RecordedEvent
from domain.model.actor import Actor, actor_of
from domain.ports.event_log import Envelope
from tests.golden.events.samples import samples

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
ANNA = Actor(user="anna", host="backup01", command="atesta hold", version="0.1")
HELD = samples()["restore-point-held:1"]


def test_what_the_log_appends_says_who_did_it_and_when(tmp_path: Path) -> None:
    first = replace(HELD, originator_version=1)
    before = datetime.now(UTC)
    with SQLiteEventLog(tmp_path / "events.sqlite", actor=ANNA) as file:
        for log in (file, MemoryEventLog(actor=ANNA)):
            log.append([first])
            (numbered,) = log.events_after(0)
            assert numbered.event == first
            assert numbered.envelope is not None
            assert numbered.envelope.actor == ANNA
            assert before <= numbered.envelope.appended_at <= datetime.now(UTC)


@pytest.mark.parametrize("event", samples().values(), ids=samples())
def test_every_event_is_the_same_with_an_envelope_and_without(event: RecordedEvent) -> None:
    mapper = EventMapper()
    envelope = Envelope(NOW, ANNA)
    assert mapper.opened(mapper.to_stored_event(event, envelope)) == (event, envelope)
    assert mapper.opened(mapper.to_stored_event(event)) == (event, None)


def test_an_envelope_costs_less_than_a_hundred_bytes() -> None:
    mapper = EventMapper()
    with_envelope, without = mapper.to_stored_event(HELD, Envelope(NOW, ANNA)), mapper.to_stored_event(HELD)
    assert 0 < len(with_envelope.state) - len(without.state) < 100


def test_another_actor_is_another_digest() -> None:
    mapper = EventMapper()
    stored = mapper.to_stored_event(HELD, Envelope(NOW, ANNA))
    forged = StoredEvent(
        stored.originator_id, stored.originator_version, stored.topic, stored.state.replace(b"anna", b"otto")
    )
    with pytest.raises(DamagedDataError, match="digest"):
        mapper.opened(forged)


def test_an_envelope_of_another_shape_is_damage() -> None:
    mapper = EventMapper()
    payload = mapper.transcoder.encode({"at": NOW, "reason": "", "envelope": ["x"]})
    place = HELD.originator_id, HELD.originator_version
    state = payload + state_digest(HELD.TOPIC, *place, payload)
    with pytest.raises(DamagedDataError):
        mapper.opened(StoredEvent(*place, HELD.TOPIC, state))


def test_hostile_names_are_bounded_and_visible() -> None:
    actor = actor_of("ev\x1b[31mil\u202e\udcff", "h" * 1000, "", " 1 ")
    assert actor.user == "ev�[31mil��"
    assert len(actor.host) == 64
    assert (actor.command, actor.version) == ("unknown", "1")


def test_a_process_that_systemd_started_says_so_and_its_children_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getpid", lambda: 77)
    monkeypatch.setenv("SYSTEMD_EXEC_PID", "77")
    assert current_actor("atesta run").command == "atesta run (systemd)"
    monkeypatch.setattr("os.getpid", lambda: 78)
    assert current_actor("atesta run").command == "atesta run"
