"""Events to stored bytes and back (docs/formats/events.md): MessagePack and a digest that binds it to its row."""

from __future__ import annotations

from dataclasses import fields
from datetime import datetime
from typing import Any
from uuid import UUID

import blake3
import msgspec
from eventsourcing.domain import DomainEventProtocol
from eventsourcing.persistence import Mapper, Notification, StoredEvent, Transcoder

import domain.events.backup
import domain.events.machine
import domain.events.prune
import domain.events.recovery
import domain.events.repository
import domain.events.restore_point
import domain.events.retention
import domain.events.running
import domain.events.scrub
import domain.events.verification  # noqa: F401 - each import registers the names of its events
from domain.errors import BadInputError, DamagedDataError
from domain.events.recorded import RecordedEvent, registered_events
from domain.model.actor import Actor
from domain.ports.event_log import Envelope

DIGEST_BYTES = 16
_DIGEST_CONTEXT = "Atesta 2026 stored event digest 1"
_NATIVE = (bytes, datetime)
_ENVELOPE = "envelope"
_EnvelopeParts = tuple[datetime, str, str, str, str]
_RECOVER = "Move the state folder aside and run `atesta recover`; restore points in the packs are untouched."


class MsgpackTranscoder(Transcoder):
    """MessagePack with ids as 16 bytes and times as UTC timestamps; what it decodes is untyped."""

    def __init__(self) -> None:
        self._encoder = msgspec.msgpack.Encoder(uuid_format="bytes")
        self._decoder = msgspec.msgpack.Decoder()

    def encode(self, obj: object) -> bytes:
        """The bytes of an event's state."""
        return self._encoder.encode(obj)

    def decode(self, data: bytes) -> Any:
        """An event's state as plain dicts, lists and scalars."""
        return self._decoder.decode(data)


class EventMapper(Mapper[UUID]):
    """Maps events both ways, strictly.

    Unlike the library's mapper it never imports a module that a stored topic names, and it checks every field.
    """

    def __init__(self) -> None:
        super().__init__(MsgpackTranscoder())
        self._classes = registered_events()
        self._fields: dict[str, frozenset[str]] = {}

    def to_stored_event(self, domain_event: DomainEventProtocol[UUID], envelope: Envelope | None = None) -> StoredEvent:
        """The row of an event. Raises BadInputError for an event that would not be read back equal."""
        assert isinstance(domain_event, RecordedEvent)
        place = domain_event.originator_id, domain_event.originator_version
        try:
            payload = self._payload(domain_event, envelope)
            digest = state_digest(domain_event.TOPIC, *place, payload)
        except (TypeError, ValueError, OverflowError, AttributeError) as error:
            raise _refused(domain_event, str(error)) from error
        stored = StoredEvent(*place, domain_event.TOPIC, payload + digest)
        try:
            read_back, envelope_back = self.opened(stored)
        except DamagedDataError as error:
            raise _refused(domain_event, error.what) from error
        # Python holds times in the hour that a zone repeats to be equal to nothing; their bytes are.
        if envelope_back != envelope or (read_back != domain_event and self._payload(read_back, envelope) != payload):
            raise _refused(domain_event, "it would be read back differently")
        return stored

    def to_domain_event(self, stored_event: StoredEvent) -> RecordedEvent:
        """The event of a row. Raises DamagedDataError."""
        return self.opened(stored_event)[0]

    def opened(self, stored_event: StoredEvent) -> tuple[RecordedEvent, Envelope | None]:
        """The event of a row, and what the log added to it. Raises DamagedDataError."""
        payload = checked_payload(stored_event)
        event_class = self._class_of(stored_event)
        try:
            state = self.transcoder.decode(payload)
            envelope = _envelope(state)
            _upcast(event_class, state)
            unknown = state.keys() - self._fields_of(event_class)
            if unknown:
                raise _damaged(stored_event, f"it has unknown fields {sorted(unknown)}", _newer_program())
            state["originator_id"] = stored_event.originator_id.bytes  # type: ignore[union-attr]
            state["originator_version"] = stored_event.originator_version
            return msgspec.convert(state, event_class, builtin_types=_NATIVE), envelope
        except (msgspec.MsgspecError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise _damaged(stored_event, str(error), _newer_program()) from error

    def _payload(self, event: RecordedEvent, envelope: Envelope | None) -> bytes:
        state = dict(vars(event))
        del state["originator_id"], state["originator_version"]
        if event.class_version > 1:
            state["class_version"] = event.class_version
        if envelope is not None:
            by = envelope.actor
            state[_ENVELOPE] = (envelope.appended_at, by.user, by.host, by.command, by.version)
        return self.transcoder.encode(state)

    def _fields_of(self, event_class: type[RecordedEvent]) -> frozenset[str]:
        """Looked up once a class: this is done for every event that is read."""
        found = self._fields.get(event_class.TOPIC)
        if found is None:
            found = self._fields[event_class.TOPIC] = frozenset(field.name for field in fields(event_class))
        return found

    def _class_of(self, stored: StoredEvent) -> type[RecordedEvent]:
        if stored.topic not in self._classes:
            self._classes = registered_events()
        try:
            return self._classes[stored.topic]
        except KeyError as error:
            raise _damaged(stored, f"its name {stored.topic!r} is unknown", _newer_program()) from error


def state_digest(topic: str, originator_id: UUID, version: int, payload: bytes) -> bytes:
    """16 bytes of BLAKE3 over name, stream, version and payload, each at a fixed place or with its length."""
    name = topic.encode()
    hasher = blake3.blake3(derive_key_context=_DIGEST_CONTEXT)
    hasher.update(len(name).to_bytes(4, "little") + name + originator_id.bytes + version.to_bytes(8, "little"))
    hasher.update(payload)
    return hasher.digest(length=DIGEST_BYTES)


class _Moment(msgspec.Struct):
    at: datetime


_MOMENTS = msgspec.msgpack.Decoder(_Moment)


def moment_of(state: bytes) -> datetime:
    """The time in the state of a row whose digest was found right; nothing else of it is decoded.

    Raises DamagedDataError.
    """
    try:
        return _MOMENTS.decode(state[:-DIGEST_BYTES]).at
    except msgspec.MsgspecError as error:
        raise DamagedDataError(f"An event has no time: {error}.", next_step=_newer_program()) from error


def checked_payload(stored: StoredEvent) -> bytes:
    """The payload of a row whose digest is right; it is looked at before anything in the row is believed."""
    try:
        assert isinstance(stored.originator_id, UUID)
        payload, digest = stored.state[:-DIGEST_BYTES], stored.state[-DIGEST_BYTES:]
        right = digest == state_digest(stored.topic, stored.originator_id, stored.originator_version, payload)
    except (TypeError, ValueError, OverflowError, AttributeError) as error:
        raise _damaged(stored, f"its row is malformed: {error}", _RECOVER) from error
    if not right:
        raise _damaged(stored, "its digest is wrong", _RECOVER)
    return payload


def _envelope(state: dict[str, Any]) -> Envelope | None:
    parts = state.pop(_ENVELOPE, None)
    if parts is None:
        return None
    at, user, host, command, version = msgspec.convert(parts, _EnvelopeParts, builtin_types=_NATIVE)
    return Envelope(at, Actor(user=user, host=host, command=command, version=version))


def _upcast(event_class: type[RecordedEvent], state: dict[str, Any]) -> None:
    version = state.pop("class_version", 1)
    if not isinstance(version, int) or not 1 <= version <= event_class.class_version:
        raise ValueError(f"its class version {version} is unknown")
    for step in range(version, event_class.class_version):
        getattr(event_class, f"upcast_v{step}_v{step + 1}")(state)


def _newer_program() -> str:
    return "Was it written by a newer version of Atesta? Then use that one. Otherwise: " + _RECOVER


def _damaged(stored: StoredEvent, why: str, next_step: str) -> DamagedDataError:
    place = f"event {stored.id}, " if isinstance(stored, Notification) else ""
    return DamagedDataError(
        f"An event cannot be read: {why}.",
        where=f"{place}stream {stored.originator_id}, version {stored.originator_version}",
        next_step=next_step,
    )


def _refused(event: RecordedEvent, why: str) -> BadInputError:
    return BadInputError(
        f"An event cannot be stored: {why}.",
        where=f"{event.TOPIC or type(event).__name__}, stream {event.originator_id}",
        next_step="Report this as a bug; nothing was stored.",
    )
