"""Port: where packs and the repository's own description are kept. Objects are written once and never changed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from domain.content.shipped_log import LogObjectId


class PackDraft(Protocol):
    """A pack that is being written; it does not exist for readers until it is committed."""

    def append(self, data: bytes | memoryview) -> None:
        """Append bytes; ``data`` may change afterwards.

        Raises EnvironmentTroubleError when the store is full or not writable, perhaps only at a later call.
        """

    def commit(self, pack_id: bytes) -> None:
        """Make the pack durable under ``pack_id`` (32 bytes) and visible; durable when the call returns.

        A pack of that id that exists already is left as it is: equal names mean equal bytes. Raises what ``append``
        raises, also for bytes that were appended before.
        """

    def discard(self) -> None:
        """Forget the draft. Does nothing after ``commit``."""


class PackStore(Protocol):
    """Packs by their 32-byte ids, and small named documents such as the repository's description."""

    @property
    def location(self) -> str:
        """Where the store is, for messages."""

    def new_pack(self) -> PackDraft:
        """Begin a pack. Raises EnvironmentTroubleError when the store cannot be written."""

    def pack_bytes(self, pack_id: bytes) -> int:
        """The size of a pack. Raises DamagedDataError when it is not there."""

    def read_pack(self, pack_id: bytes, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes of a pack from ``offset``; safe from several threads.

        Raises DamagedDataError when the pack is missing or shorter, EnvironmentTroubleError when it cannot be read.
        """

    def pack_ids(self) -> Iterator[bytes]:
        """The ids of all committed packs, in no order; names that are no pack names are passed over."""

    def pack_sizes(self) -> Iterator[tuple[bytes, int]]:
        """The ids and sizes of all committed packs, in no order, by listing: cheaper than asking for each pack."""

    def delete_pack(self, pack_id: bytes) -> None:
        """Delete a pack durably; one that is not there is no error."""

    def write_document(self, name: str, content: bytes, *, replace: bool = False) -> None:
        """Write a small document durably and atomically.

        Raises BadInputError when it exists and ``replace`` is not set, or for a bad name.
        """

    def read_document(self, name: str) -> bytes | None:
        """A document's content (at most 1 MiB), or None when there is none."""

    def remove_document(self, name: str) -> None:
        """Remove a document durably; one that is not there is no error."""

    def sweep(self) -> int:
        """Remove drafts that killed runs left behind, and return how many; drafts in use by live runs stay."""


class LogStore(Protocol):
    """The history as it was shipped, beside the packs: objects that are written once and never changed."""

    @property
    def location(self) -> str:
        """Where the store is, for messages."""

    def write_log_object(self, name: LogObjectId, content: bytes) -> None:
        """Write an object durably and atomically; one of that name that exists is left as it is.

        Raises ValueError for a name that cannot be, EnvironmentTroubleError when the store cannot be written.
        """

    def log_objects(self, first_min: int = 1) -> Iterator[LogObjectId]:
        """The names of the objects that begin at event ``first_min`` or later, in no order.

        Names that are no such names are passed over.
        """

    def read_log_object(self, name: LogObjectId) -> bytes:
        """An object's bytes, never more than a few more than an object may have.

        Raises DamagedDataError when it is not there or absurdly large, EnvironmentTroubleError.
        """


class HeadStore(Protocol):
    """Signed heads of the history beside it, by how many entries they cover. Nothing in them is believed unverified."""

    @property
    def location(self) -> str:
        """Where the store is, for messages."""

    def write_head(self, size: int, note: str) -> None:
        """Write a head durably and atomically; the first one of a size stays.

        Raises ValueError for a size that cannot be, EnvironmentTroubleError when the store cannot be written.
        """

    def head_sizes(self) -> Iterator[int]:
        """The sizes of all heads, in no order; names that are no such names are passed over."""

    def read_head(self, size: int) -> str:
        """A head's text; bytes that are no text come back as what no signature fits.

        Raises DamagedDataError when it is not there or absurdly large, EnvironmentTroubleError.
        """
