"""A leaf of a disk map in columns: what stays of a changed segment is copied in runs and needs no object a piece."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import numpy.typing as npt

from domain.content.disk_map import ZERO_FLAG, ZERO_ID, MappedPiece, encode_leaf_columns, leaf_columns
from domain.content.packs import CHUNK_ID_BYTES


@dataclass(frozen=True, slots=True)
class Kept:
    """Neighbouring pieces of an old leaf that stay as they are: number ``first`` to before number ``end``."""

    first: int
    end: int


@dataclass(frozen=True)
class Leaf:
    """A segment's pieces: for each its length with the flag of zero pieces, and the ids of the others end to end."""

    words: npt.NDArray[np.uint32]
    ids: bytes

    @classmethod
    def decoded(cls, data: bytes, segment_bytes: int) -> Self:
        """The leaf that covers ``segment_bytes``. Raises DamagedDataError."""
        return cls(*leaf_columns(data, segment_bytes))

    @classmethod
    def zero(cls, segment_bytes: int) -> Self:
        """The leaf, stored nowhere, of a segment that is all zero."""
        return cls(np.array([segment_bytes | ZERO_FLAG], dtype="<u4"), b"")

    @cached_property
    def bounds(self) -> list[int]:
        """Where each piece starts, relative to the segment, and then where the last one ends."""
        bounds = np.zeros(len(self.words) + 1, np.int64)
        np.cumsum(self.words & np.uint32(ZERO_FLAG - 1), out=bounds[1:])
        found: list[int] = bounds.tolist()
        return found

    def chunk_id(self, number: int) -> bytes:
        """The chunk that a piece is, ``ZERO_ID`` for a zero piece."""
        if self.words[number] >= ZERO_FLAG:
            return ZERO_ID
        at = self._chunks_before[number] * CHUNK_ID_BYTES
        return self.ids[at : at + CHUNK_ID_BYTES]

    def chunk_count(self, kept: Kept) -> int:
        """How many of the pieces are chunks."""
        return self._chunks_before[kept.end] - self._chunks_before[kept.first]

    def spliced(self, parts: Sequence[Kept | MappedPiece]) -> Leaf:
        """The leaf of kept runs of this one and of new pieces between them."""
        words: list[bytes] = []
        ids: list[bytes] = []
        before = self._chunks_before
        for part in parts:
            if isinstance(part, Kept):
                words.append(self.words[part.first : part.end].tobytes())
                ids.append(self.ids[before[part.first] * CHUNK_ID_BYTES : before[part.end] * CHUNK_ID_BYTES])
            elif part.chunk_id == ZERO_ID:
                words.append((part.length | ZERO_FLAG).to_bytes(4, "little"))
            else:
                words.append(part.length.to_bytes(4, "little"))
                ids.append(part.chunk_id)
        return Leaf(np.frombuffer(b"".join(words), "<u4"), b"".join(ids))

    def encoded(self) -> bytes:
        """The leaf node."""
        return encode_leaf_columns(self.words, self.ids)

    @cached_property
    def _chunks_before(self) -> list[int]:
        """How many chunks stand before each piece, and in all."""
        before = np.zeros(len(self.words) + 1, np.int64)
        np.cumsum(self.words < np.uint32(ZERO_FLAG), out=before[1:])
        found: list[int] = before.tolist()
        return found
