from __future__ import annotations

import sys
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import blake3
import msgspec
import pytest
from eventsourcing.persistence import StoredEvent

from adapters.eventstore.event_mapper import EventMapper, state_digest
from domain.errors import BadInputError, DamagedDataError
from domain.events.recorded import RecordedEvent, named
from tests.golden.events.samples import AT, STREAM, samples
from tests.unit.eventstore.histories import chunks_written, started


@named("test-renamed-field:1")
class RenamedField(RecordedEvent):
    """Its version 1 called ``amount_bytes`` ``amount`` and counted KiB; version 2 had no ``unit``."""

    class_version = 3

    amount_bytes: int
    unit: str

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        state["amount_bytes"] = state.pop("amount") * 1024

    @staticmethod
    def upcast_v2_v3(state: dict[str, Any]) -> None:
        state["unit"] = "bytes"


def row(topic: str, state: dict[str, Any], version: int = 1) -> StoredEvent:
    payload = msgspec.msgpack.encode(state)
    return StoredEvent(STREAM, version, topic, payload + state_digest(topic, STREAM, version, payload))


def test_the_digest_is_blake3_over_name_stream_version_and_payload() -> None:
    stored = EventMapper().to_stored_event(started(STREAM, 3))
    payload, digest = stored.state[:-16], stored.state[-16:]
    bound = b"\x10\x00\x00\x00backup-started:1" + STREAM.bytes + b"\x03" + bytes(7) + payload

    whole = blake3.blake3(bound, derive_key_context="Atesta 2026 stored event digest 1")

    assert digest == whole.digest(length=16)


@pytest.mark.parametrize(
    "changes",
    [{"originator_id": UUID(int=9)}, {"originator_version": 2}, {"topic": "backup-failed:1"}],
)
def test_a_state_does_not_fit_another_row(changes: dict[str, Any]) -> None:
    stored = EventMapper().to_stored_event(started(STREAM))

    with pytest.raises(DamagedDataError, match="digest is wrong"):
        EventMapper().to_domain_event(replace(stored, **changes))


def test_every_flipped_bit_of_a_state_is_found() -> None:
    stored = EventMapper().to_stored_event(samples()["verification-recorded:1"])

    for position in range(8 * len(stored.state)):
        flipped = bytearray(stored.state)
        flipped[position // 8] ^= 1 << position % 8
        with pytest.raises(DamagedDataError, match="digest is wrong"):
            EventMapper().to_domain_event(replace(stored, state=bytes(flipped)))


@pytest.mark.parametrize("length", [0, 1, 15, 16])
def test_a_state_that_was_cut_off_is_found(length: int) -> None:
    stored = EventMapper().to_stored_event(started(STREAM))

    with pytest.raises(DamagedDataError):
        EventMapper().to_domain_event(replace(stored, state=stored.state[:length]))


def test_an_unknown_name_is_asked_about_and_never_imported() -> None:
    module = "this"
    sys.modules.pop(module, None)

    with pytest.raises(DamagedDataError, match="newer version"):
        EventMapper().to_domain_event(row(f"{module}:s", {"at": AT}))

    assert module not in sys.modules


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"class_version": 4}, "class version 4 is unknown"),
        ({"class_version": 0}, "class version 0 is unknown"),
        ({"class_version": "2"}, "class version 2 is unknown"),
        ({"class_version": 3, "unit": "bytes", "more": 1}, "unknown fields"),
        ({"class_version": 3}, "unit"),
        ({"class_version": 3, "unit": 5}, "unit"),
        ({"class_version": 3, "unit": "bytes", "at": "2026-01-01T00:00:00Z"}, "datetime"),
        ({}, "amount"),
    ],
)
def test_a_state_of_another_shape_is_damage(changes: dict[str, Any], why: str) -> None:
    state = {"at": AT, "amount_bytes": 1, **changes}

    with pytest.raises(DamagedDataError, match=why):
        EventMapper().to_domain_event(row(RenamedField.TOPIC, state))


@pytest.mark.parametrize(
    "state",
    [
        {"at": AT, "amount": 2},
        {"at": AT, "amount_bytes": 2048, "class_version": 2},
        {"at": AT, "amount_bytes": 2048, "unit": "bytes", "class_version": 3},
    ],
)
def test_every_older_version_is_brought_up_to_the_newest(state: dict[str, Any]) -> None:
    event = EventMapper().to_domain_event(row(RenamedField.TOPIC, state))

    assert event == RenamedField(originator_id=STREAM, originator_version=1, at=AT, amount_bytes=2048, unit="bytes")


def test_a_new_event_says_its_class_version_from_the_second_on() -> None:
    event = RenamedField(originator_id=STREAM, originator_version=1, at=AT, amount_bytes=1, unit="bytes")

    newest = msgspec.msgpack.decode(EventMapper().to_stored_event(event).state[:-16])
    first = msgspec.msgpack.decode(
        EventMapper().to_stored_event(chunks_written(STREAM, 1, bytes(32), [bytes(32)])).state[:-16]
    )

    assert newest["class_version"] == 3
    assert "class_version" not in first


@pytest.mark.parametrize("fold", [0, 1])
def test_a_time_in_the_hour_that_its_zone_repeats_keeps_its_instant(fold: int) -> None:
    at = datetime(2007, 11, 4, 1, 0, fold=fold, tzinfo=ZoneInfo("America/Boise"))

    event = EventMapper().to_domain_event(EventMapper().to_stored_event(replace(started(STREAM), at=at)))

    assert event.at.timestamp() == at.timestamp()


def test_an_event_whose_class_has_no_name_is_refused() -> None:
    with pytest.raises(BadInputError, match="cannot be stored"):
        EventMapper().to_stored_event(RecordedEvent(originator_id=STREAM, originator_version=1, at=AT))
