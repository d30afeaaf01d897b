"""The event store with the tree over it, its heads and its key, as evidence bundles need them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from adapters.eventstore.event_mapper import EventMapper, moment_of
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import NodeReader, leaf_hash, tree_nodes
from domain.content.shipped_log import StoredRow
from domain.events.recorded import RecordedEvent
from domain.ports.event_log import StoredRows


@dataclass(frozen=True, kw_only=True)
class StoredSealedLog:
    """Reads ``store``; ``signed_head``, ``kept_heads`` and ``public_key`` are texts, ``sign`` makes a note of a text.

    The tree is computed from the rows, so a store that was rewritten does not fit its head, and no bundle of it holds.
    """

    store: StoredRows
    signed_head: str
    kept_heads: Sequence[str]
    public_key: str
    sign: Callable[[str], str]

    def rows(self) -> Iterator[tuple[StoredRow, datetime]]:
        """All rows, each with its event's time. Raises DamagedDataError."""
        for portion in self.store.rows_after(0):
            for row in portion:
                yield row, moment_of(row.state)

    def event(self, row: StoredRow) -> RecordedEvent:
        """The event of a row. Raises DamagedDataError."""
        return self._mapper.to_domain_event(StoredEvent(UUID(bytes=row.stream), row.version, row.topic, row.state))

    @cached_property
    def _mapper(self) -> EventMapper:
        return EventMapper()

    def node(self, level: int, index: int) -> bytes:
        """A subtree's hash."""
        return self._nodes(level, index)

    def head(self) -> str:
        """The signed head."""
        return self.signed_head

    def older_heads(self) -> Sequence[str]:
        """Heads from before."""
        return self.kept_heads

    def verifier_key(self) -> str:
        """The public key."""
        return self.public_key

    def seal(self, text: str) -> str:
        """``text`` as a signed note."""
        return self.sign(text)

    @cached_property
    def _nodes(self) -> NodeReader:
        rows = (row for portion in self.store.rows_after(0) for row in portion)
        return tree_nodes([leaf_hash(encode_entry(entry_of(row))) for row in rows])
