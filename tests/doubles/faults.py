"""Cutting a run at its n-th durable step, as a power cut would."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.events.recorded import RecordedEvent
from domain.ports.event_log import EventLog, NumberedEvent
from domain.ports.store import PackDraft, PackStore


class PowerCutError(BaseException):
    """Nobody catches this but a test."""


class Cut:
    """Counts durable steps and raises before, or right after, the step ``at`` (from 0; None: never)."""

    def __init__(self, at: int | None, *, after: bool = False) -> None:
        self.steps = 0
        self._at = at
        self._after = after
        self._is_dark = False

    def before_step(self) -> None:
        if self._is_dark or (self.steps == self._at and not self._after):
            self._is_dark = True
            raise PowerCutError

    def after_step(self) -> None:
        self.steps += 1
        if self._after and self.steps - 1 == self._at:
            self._is_dark = True
            raise PowerCutError


class CutLog:
    """An event log whose appends count as steps."""

    def __init__(self, log: EventLog, cut: Cut) -> None:
        self._log = log
        self._cut = cut

    def append(self, events: Sequence[RecordedEvent]) -> None:
        self._cut.before_step()
        self._log.append(events)
        self._cut.after_step()

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        return self._log.stream(originator_id)

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        return self._log.events_after(number, topics=topics)

    def last_number(self) -> int:
        return self._log.last_number()


class CutStore:
    """A pack store whose commits and deletions of packs count as steps.

    A draft that is dropped by a cut run stays where it is.
    """

    def __init__(self, store: PackStore, cut: Cut) -> None:
        self._store = store
        self._cut = cut
        self.location = store.location
        self.pack_bytes = store.pack_bytes
        self.read_pack = store.read_pack
        self.pack_ids = store.pack_ids
        self.pack_sizes = store.pack_sizes
        self.write_document = store.write_document
        self.read_document = store.read_document
        self.remove_document = store.remove_document
        self.sweep = store.sweep

    def new_pack(self) -> PackDraft:
        return _CutDraft(self._store.new_pack(), self._cut)

    def delete_pack(self, pack_id: bytes) -> None:
        self._cut.before_step()
        self._store.delete_pack(pack_id)
        self._cut.after_step()


class _CutDraft:
    def __init__(self, draft: PackDraft, cut: Cut) -> None:
        self._draft = draft
        self._cut = cut
        self.append = draft.append
        self.discard = draft.discard

    def commit(self, pack_id: bytes) -> None:
        self._cut.before_step()
        self._draft.commit(pack_id)
        self._cut.after_step()
