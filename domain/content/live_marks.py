"""Which chunks are live: one bit for each chunk that the store holds, addressed by its pack and ordinal.

Memory for P packs with N chunks: N / 8 bytes of bits and 40 P bytes of sums. 10^8 chunks of 64 KiB in packs of 1,000
are 12.5 MB and 4 MB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.int64]


class LiveMarks:
    """Marks over packs with these numbers (ascending) and chunk counts. Chunks of other packs are passed over."""

    def __init__(self, pack_numbers: Sequence[int] | Numbers, chunk_counts: Sequence[int] | Numbers) -> None:
        self._numbers = np.asarray(pack_numbers, np.int64)
        counts = np.asarray(chunk_counts, np.int64)
        assert len(self._numbers) == len(counts)
        assert (np.diff(self._numbers) > 0).all()
        self._starts = np.concatenate(([0], np.cumsum(counts)))
        self._bits = np.zeros(-(-int(self._starts[-1]) // 8), np.uint8)
        self.live_chunks = np.zeros(len(counts), np.int64)
        """How many chunks of each pack are live."""
        self.live_plain_bytes = np.zeros(len(counts), np.int64)
        """How many bytes those chunks have, as far as they were given."""

    @property
    def memory_bytes(self) -> int:
        """What the marks take."""
        arrays = (self._numbers, self._starts, self._bits, self.live_chunks, self.live_plain_bytes)
        return sum(array.nbytes for array in arrays)

    def mark(self, packs: Numbers, ordinals: Numbers, plain_bytes: Numbers) -> npt.NDArray[np.bool_]:
        """Mark chunks as live, and say for each whether this was the first time. One of another pack never was marked.

        A chunk that is given twice in one call is new the first time only.
        """
        fresh = np.ones(len(packs), np.bool_)
        rows, ours = self._rows_of(packs)
        rows = rows[ours]
        positions, first = np.unique(self._starts[rows] + ordinals[ours], return_index=True)
        new = (self._bits[positions >> 3] >> (positions & 7).astype(np.uint8)) & 1 == 0
        positions, first = positions[new], first[new]
        np.bitwise_or.at(self._bits, positions >> 3, np.uint8(1) << (positions & 7).astype(np.uint8))
        np.add.at(self.live_chunks, rows[first], 1)
        np.add.at(self.live_plain_bytes, rows[first], plain_bytes[ours][first])
        of_ours = np.zeros(len(rows), np.bool_)
        of_ours[first] = True
        fresh[ours] = of_ours
        return fresh

    def weigh(self, pack: int, plain_bytes: int) -> None:
        """Add the length of a chunk that was marked before its length was known."""
        rows, ours = self._rows_of(np.array([pack], np.int64))
        self.live_plain_bytes[rows[ours]] += plain_bytes

    def live_ordinals(self, pack: int) -> Numbers:
        """The ordinals of the live chunks of a pack, ascending."""
        row = self.row_of(pack)
        positions = np.arange(self._starts[row], self._starts[row + 1])
        return np.flatnonzero((self._bits[positions >> 3] >> (positions & 7).astype(np.uint8)) & 1)

    def row_of(self, pack: int) -> int:
        """Where the sums of a pack stand."""
        row = int(np.searchsorted(self._numbers, pack))
        assert self._numbers[row] == pack
        return row

    def _rows_of(self, packs: Numbers) -> tuple[Numbers, npt.NDArray[np.bool_]]:
        """Rows of packs, and which of them are ours at all."""
        rows = np.searchsorted(self._numbers, packs)
        inside = rows < len(self._numbers)
        ours = inside.copy()
        ours[inside] = self._numbers[rows[inside]] == packs[inside]
        return rows, ours
