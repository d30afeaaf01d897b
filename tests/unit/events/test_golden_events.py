"""What was stored once is readable for ever."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent

from adapters.eventstore.event_mapper import EventMapper
from tests.golden.events.samples import atesta_events, file_name, readable, samples

FOLDER = Path(__file__).parents[2] / "golden" / "events"
FILES = sorted(FOLDER.glob("*.json"))


def stored_in(content: dict[str, Any]) -> StoredEvent:
    shown = content["content"]
    return StoredEvent(
        UUID(shown["originator_id"]), shown["originator_version"], content["topic"], bytes.fromhex(content["stored"])
    )


def test_every_registered_event_has_a_sample_and_a_golden_file_of_each_class_version() -> None:
    events = atesta_events()
    wanted = {
        file_name(topic, version) for topic, kind in events.items() for version in range(1, kind.class_version + 1)
    }

    assert wanted <= {path.name for path in FILES}
    assert events.keys() == samples().keys()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_golden_file_still_decodes_to_the_values_that_it_shows(path: Path) -> None:
    content = json.loads(path.read_text(encoding="utf-8"))
    event = EventMapper().to_domain_event(stored_in(content))

    if path.name == file_name(event.TOPIC, event.class_version):
        assert readable(event) == content["content"]
    else:
        assert_shown(readable(event), content["content"])


def assert_shown(now: Any, then: Any) -> None:
    """What an older version stored has its value still; upcasts only added to it."""
    if isinstance(then, dict):
        assert then.keys() <= now.keys()
        for key, value in then.items():
            assert_shown(now[key], value)
    elif isinstance(then, list):
        assert len(now) == len(then)
        for one, other in zip(now, then, strict=True):
            assert_shown(one, other)
    else:
        assert now == then


def test_a_value_that_an_upcast_changed_is_noticed() -> None:
    with pytest.raises(AssertionError):
        assert_shown({"disks": [{"root": "22", "new": 1}]}, {"disks": [{"root": "23"}]})


@pytest.mark.parametrize("topic", sorted(samples()))
def test_an_event_is_stored_in_the_bytes_that_its_golden_file_shows(topic: str) -> None:
    event = samples()[topic]
    content = json.loads((FOLDER / file_name(topic, event.class_version)).read_text(encoding="utf-8"))

    assert EventMapper().to_stored_event(event) == stored_in(content)
