"""Events of the repository as a whole."""

from __future__ import annotations

from domain.events.recorded import RecordedEvent, named


@named("repository-created:1")
class RepositoryCreated(RecordedEvent):
    """The repository began, with the parameters that never change."""

    repository_id: bytes
    format_version: int
    segment_bytes: int
    chunk_bytes_min: int
    chunk_bytes_average: int
    chunk_bytes_max: int


@named("repository-recovered:1")
class RepositoryRecovered(RecordedEvent):
    """The event store was made again from the pack store.

    ``events`` came from the shipped log, up to number ``log_end``; ``packs_adopted`` packs and ``points_found`` restore
    points were found in the packs alone.
    """

    events: int
    log_end: int
    packs_adopted: int
    points_found: int


@named("signing-key-adopted:1")
class SigningKeyAdopted(RecordedEvent):
    """From now on heads of the transparency log are signed with the key that belongs to ``public_key`` (Ed25519)."""

    public_key: bytes
