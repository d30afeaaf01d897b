"""What every recorded event has, and how a class becomes one.

Names are ``kebab-case:version`` and are what the event store keeps; classes may move. A changed event gets a new
``class_version`` with an upcast; a changed meaning gets a new name. Golden files of every version: tests/golden/events.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, TypeVar, dataclass_transform
from uuid import UUID

from eventsourcing.utils import register_topic

_REGISTERED: dict[str, type[RecordedEvent]] = {}
EventT = TypeVar("EventT", bound="RecordedEvent")


@dataclass(frozen=True, kw_only=True)
class RecordedEvent:
    """An event of the stream ``originator_id`` at place ``originator_version`` (1, 2, ...), at wall-clock ``at``."""

    TOPIC: ClassVar[str] = ""
    class_version: ClassVar[int] = 1

    originator_id: UUID
    originator_version: int
    at: datetime


@dataclass_transform(frozen_default=True, kw_only_default=True)
def named(topic: str) -> Callable[[type[EventT]], type[EventT]]:
    """Make a class a frozen event that is stored under ``topic``."""

    def decorate(cls: type[EventT]) -> type[EventT]:
        event_class = dataclass(frozen=True, kw_only=True)(cls)
        event_class.TOPIC = topic
        register_topic(topic, event_class)
        _REGISTERED[topic] = event_class
        return event_class

    return decorate


def registered_events() -> dict[str, type[RecordedEvent]]:
    """Every event class by its stored name."""
    return dict(_REGISTERED)
