"""Every event that the classes allow comes back equal from its stored bytes."""

from __future__ import annotations

import types
import typing
from dataclasses import fields, is_dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.eventstore.event_mapper import EventMapper
from domain.model.extents import Extent
from tests.golden.events.samples import atesta_events

MAPPER = EventMapper()
ZONES = st.just(UTC) | st.integers(-720, 840).map(lambda minutes: timezone(timedelta(minutes=minutes)))
SCALARS: dict[object, st.SearchStrategy[Any]] = {
    str: st.text(max_size=20),
    bytes: st.binary(max_size=80),
    int: st.integers(-(1 << 63), (1 << 64) - 1),
    float: st.floats(allow_nan=False) | st.integers(0, 1 << 50),
    bool: st.booleans(),
    UUID: st.uuids(),
    datetime: st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=ZONES),  # noqa: DTZ001
    types.NoneType: st.none(),
    Extent: st.builds(Extent, st.integers(0, 1 << 50), st.integers(1, 1 << 50)),
}


def values_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation, within what is promised to be storable."""
    if kind in SCALARS:
        return SCALARS[kind]
    if is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        chosen = {field.name: values_of(hints[field.name]) for field in fields(kind)}
        if "originator_version" in chosen:
            chosen["originator_version"] = st.integers(1, (1 << 63) - 1)
        return st.builds(typing.cast("type[Any]", kind), **chosen)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if typing.get_origin(kind) is tuple:
        return st.lists(values_of(typing.get_args(kind)[0]), max_size=3).map(tuple)
    return st.one_of([values_of(one) for one in typing.get_args(kind)])


@pytest.mark.parametrize("topic", sorted(atesta_events()))
@given(data=st.data())
@settings(max_examples=25, deadline=None)
def test_an_event_comes_back_equal(topic: str, data: st.DataObject) -> None:
    event = data.draw(values_of(atesta_events()[topic]))

    assert MAPPER.to_domain_event(MAPPER.to_stored_event(event)) == event
