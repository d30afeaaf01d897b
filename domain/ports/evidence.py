"""Port: what an evidence bundle is made from (rows with their events, the tree over them, signed heads, a seal)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from domain.content.shipped_log import StoredRow
from domain.events.recorded import RecordedEvent


class SealedLog(Protocol):
    """The history together with its transparency log."""

    def rows(self) -> Iterator[tuple[StoredRow, datetime]]:
        """All rows in the order of the log, each with its event's time; the first one is leaf 0.

        Raises DamagedDataError.
        """

    def event(self, row: StoredRow) -> RecordedEvent:
        """The event of a row. Raises DamagedDataError."""

    def node(self, level: int, index: int) -> bytes:
        """The hash of a perfect subtree."""

    def head(self) -> str:
        """The newest signed head, as text. Raises BadInputError when there is none yet."""

    def older_heads(self) -> Sequence[str]:
        """Signed heads that were kept from before, as text."""

    def verifier_key(self) -> str:
        """The public key, as text."""

    def seal(self, text: str) -> str:
        """``text`` as a note that the log's key signed. Raises WrongKeyError or BadInputError without the key."""


class ReportWriter(Protocol):
    """Lays a report out."""

    def pages(self, facts: Mapping[str, object], pictures: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The members ``report.html`` and others that show ``facts``; ``pictures`` by the digest of the original."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptPicture:
    """A console picture: ``digest`` (BLAKE3, hexadecimal) is the one that its event names.

    ``small`` is a copy (WebP), empty when it cannot be read; ``original`` (PNG) is empty unless it was asked for. An
    ``altered`` picture no longer has that digest, and nothing of it is given.
    """

    digest: str
    small: bytes = b""
    original: bytes = b""
    altered: bool = False


class Pictures(Protocol):
    """The console pictures that were kept."""

    def kept(self, digests: Sequence[str], *, originals: bool) -> Iterator[KeptPicture]:
        """Those that are still there."""
