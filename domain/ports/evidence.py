"""Port: what an evidence bundle is made from (rows with their events, the tree over them, signed heads, a seal)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from domain.content.shipped_log import StoredRow
from domain.events.recorded import RecordedEvent


class SealedLog(Protocol):
    """The history together with its transparency log."""

    def rows(self) -> Iterator[tuple[StoredRow, RecordedEvent]]:
        """All rows in the order of the log, each with its event; the first one is leaf 0. Raises DamagedDataError."""

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


class Pictures(Protocol):
    """The console pictures that were kept."""

    def scaled_down(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Small copies (WebP) of those that are still there, by the hexadecimal digest of the original."""
