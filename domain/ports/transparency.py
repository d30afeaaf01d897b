"""Port: the stored tree over the history, with the signed heads that were made of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from domain.content.merkle import NodeReader


@dataclass(frozen=True, slots=True)
class KeptHead:
    """A signed head that was kept: how many entries it covers, up to which event's number, and its text."""

    size: int
    number: int
    note: str


class HeadPlace(Protocol):
    """A place outside of the repository that heads are published to: it only ever gets more of them."""

    @property
    def location(self) -> str:
        """Where it is, for messages."""

    def newest(self) -> str | None:
        """The largest head there; None without one. Raises EnvironmentTroubleError."""

    def publish(self, head: KeptHead) -> None:
        """Put ``head`` there durably; the same one again changes nothing.

        Raises DamagedDataError when another one of its size is there, EnvironmentTroubleError.
        """


class StoredTree(Protocol):
    """The tree, which only ever grows. All raise DamagedDataError when it cannot be read."""

    @property
    def location(self) -> str:
        """Where it is kept, for messages."""

    def follow(self) -> int:
        """Take in all events that are not in the tree yet; returns how many entries it has then.

        Raises DamagedDataError when the last event in the tree is no longer the one that was taken in.
        """

    def followed(self) -> tuple[int, int]:
        """The number of the last event in the tree, and how many entries it has."""

    def nodes(self) -> AbstractContextManager[NodeReader]:
        """A reader of nodes, for the time of the context."""

    def leaves(self) -> Iterator[bytes]:
        """The hashes of all entries, in order."""

    def heads(self) -> Sequence[KeptHead]:
        """The signed heads that were kept, the smallest first."""

    def keep(self, head: KeptHead) -> None:
        """Keep a signed head; the first one of a size stays."""
