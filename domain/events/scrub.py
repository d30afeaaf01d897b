"""Events of one scrub: which packs were read, and which were found damaged or whole again."""

from __future__ import annotations

from domain.events.recorded import RecordedEvent, named


@named("scrub-started:1")
class ScrubStarted(RecordedEvent):
    """A scrub began: ``keyed`` opens every frame and rehashes every chunk, else packs are compared with their names.

    ``bytes_max`` and ``seconds_max`` are its budget, None for no bound.
    """

    keyed: bool
    bytes_max: int | None
    seconds_max: float | None


@named("packs-scrubbed:1")
class PacksScrubbed(RecordedEvent):
    """These packs were read whole and found as they were written; ``pack_ids`` end to end, 32 bytes each."""

    pack_ids: bytes
    read_bytes: int


@named("damage-found:1")
class DamageFound(RecordedEvent):
    """A pack is not what was written, or gone (``missing``).

    ``chunk_ids`` (32 bytes each, end to end) are those that cannot be read from it. From here on they count as not
    stored: the next backup that sees their data stores it anew.
    """

    pack_id: bytes
    missing: bool
    what: str
    chunk_ids: bytes


@named("pack-found-whole:1")
class PackFoundWhole(RecordedEvent):
    """A pack that was damaged is as it was written again: somebody brought it back from a copy."""

    pack_id: bytes


@named("scrub-completed:1")
class ScrubCompleted(RecordedEvent):
    """The scrub went as far as its budget, ``packs_left`` were not looked at."""

    packs_read: int
    read_bytes: int
    packs_damaged: int
    packs_left: int
    seconds: float


@named("scrub-failed:1")
class ScrubFailed(RecordedEvent):
    """The scrub could not be carried through; it says nothing about the packs that it did not name."""

    reason: str
    error: str
