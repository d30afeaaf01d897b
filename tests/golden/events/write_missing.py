"""Writes the golden files that are missing: ``python -m tests.golden.events.write_missing``.

It never rewrites one: a golden file is what some version has stored, and it stays readable for ever.
"""

from __future__ import annotations

import json
from pathlib import Path

from adapters.eventstore.event_mapper import EventMapper
from tests.golden.events.samples import file_name, readable, samples

FOLDER = Path(__file__).parent


def write_missing() -> list[Path]:
    """Write them and return their paths."""
    written = []
    for topic, event in samples().items():
        path = FOLDER / file_name(topic, event.class_version)
        if not path.exists():
            stored = EventMapper().to_stored_event(event)
            content = {"topic": topic, "content": readable(event), "stored": stored.state.hex()}
            path.write_text(json.dumps(content, indent=1, ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")
            written.append(path)
    return written


if __name__ == "__main__":
    write_missing()
