"""What an ext3 or ext4 journal would write when the guest mounts its file system.

A frozen disk of a running guest is in the state of a power cut: committed changes may stand in the journal only. A file
that the inodes on the disk still call a swap file may have been deleted, and its blocks may hold somebody's data. So
the journal is followed as the kernel would replay it, without writing anything.

Source: Documentation/filesystems/ext4/journal.rst of Linux (JBD2; all numbers big-endian).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytsk3

from adapters.guests.ext_superblock import SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET, read_ext_superblock
from adapters.guests.volume_image import JournaledBlock, Overlay, PipedBytes, VolumeImage

_MAGIC = 0xC03B3998
_DESCRIPTOR, _COMMIT, _SUPERBLOCK_V1, _SUPERBLOCK_V2, _REVOKE = 1, 2, 3, 4, 5
_INCOMPAT_64BIT, _INCOMPAT_CSUM_V2, _INCOMPAT_CSUM_V3 = 0x02, 0x08, 0x10
_INCOMPAT_KNOWN = 0x1F
_TAG_ESCAPED, _TAG_SAME_UUID, _TAG_LAST = 0x1, 0x2, 0x8
_HEADER = struct.Struct(">III")
_LIVE_LOG_BYTES_MAX = 256 << 20


def journal_overlay(source: PipedBytes) -> Overlay:
    """Follow the journal of the ext file system in ``source``.

    Raises OSError when the journal's inode or blocks cannot be read.
    """
    superblock = read_ext_superblock(source.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES), source.size_bytes)
    if superblock.damage is not None:
        return Overlay(is_certain=False)
    if not superblock.needs_recovery:
        return Overlay()
    if superblock.journal_inode == 0:
        return Overlay(is_certain=False)
    places = _blocks_of_file(source, superblock.journal_inode, superblock.block_bytes)
    journal = _open_journal(source, superblock.block_bytes, places)
    if journal is None:
        return Overlay(is_certain=False)
    try:
        return journal.replayed()
    except _LogTooLargeError:
        return Overlay(is_certain=False)


class _LogTooLargeError(Exception):
    """The live part of the journal is larger than what is followed here."""


def _blocks_of_file(source: PipedBytes, inode: int, block_bytes: int) -> list[int]:
    """The block numbers of a file without holes, in its order."""
    file = VolumeImage(source, Overlay()).opened_as("ext4").open_meta(inode)
    blocks: list[int] = []
    for attribute in file:
        if attribute.info.type == pytsk3.TSK_FS_ATTR_TYPE_DEFAULT:
            for run in attribute:
                if run.flags != pytsk3.TSK_FS_ATTR_RUN_FLAG_NONE:
                    break  # The Sleuth Kit adds a hole of its own making behind the end of an ext3 file.
                if run.offset != len(blocks) or (run.addr + run.len) * block_bytes > source.size_bytes:
                    raise OSError("the journal has holes or leaves the volume")
                blocks.extend(range(run.addr, run.addr + run.len))
    return blocks


@dataclass(slots=True, kw_only=True)
class _Transaction:
    """What stands between two commit blocks."""

    writes: list[tuple[int, JournaledBlock]] = field(default_factory=list)
    revoked: list[int] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Journal:
    """The journal's geometry. ``places[n]`` is the block of the volume that holds the journal's block ``n``."""

    source: PipedBytes
    block_bytes: int
    places: list[int]
    first: int
    end: int
    start: int
    sequence: int
    features: int

    def replayed(self) -> Overlay:
        """Collect the committed writes that are not revoked by a later or the same transaction."""
        newest: dict[int, tuple[int, JournaledBlock]] = {}
        revoked: dict[int, int] = {}
        for sequence, transaction in enumerate(self._committed()):
            newest.update((block, (sequence, written)) for block, written in transaction.writes)
            revoked.update(dict.fromkeys(transaction.revoked, sequence))
        return Overlay(
            block_bytes=self.block_bytes,
            blocks={block: new for block, (sequence, new) in newest.items() if sequence > revoked.get(block, -1)},
            escape_bytes=struct.pack(">I", _MAGIC),
            is_certain=True,
        )

    def _committed(self) -> Iterator[_Transaction]:
        """Walk the live log once around at most; a transaction without its commit block never happened."""
        position, sequence, walked = self.start, self.sequence, 0
        transaction = _Transaction()
        while walked < self.end - self.first:
            block = self._block(position)
            magic, kind, found_sequence = _HEADER.unpack_from(block)
            if magic != _MAGIC or found_sequence != sequence:
                return
            position, walked = self._after(position), walked + 1
            if kind == _DESCRIPTOR:
                for target, flags in self._tags(block):
                    place = JournaledBlock(journal_block=self.places[position], escaped=bool(flags & _TAG_ESCAPED))
                    transaction.writes.append((target, place))
                    position, walked = self._after(position), walked + 1
            elif kind == _REVOKE:
                transaction.revoked.extend(self._revocations(block))
            elif kind == _COMMIT:
                yield transaction
                transaction, sequence = _Transaction(), (sequence + 1) & 0xFFFFFFFF
            else:
                return
            if walked * self.block_bytes > _LIVE_LOG_BYTES_MAX:
                raise _LogTooLargeError

    def _after(self, position: int) -> int:
        return position + 1 if position + 1 < self.end else self.first

    def _block(self, position: int) -> bytes:
        content = self.source.read(self.places[position] * self.block_bytes, self.block_bytes)
        if len(content) != self.block_bytes:
            raise OSError("a block of the journal is missing")
        return content

    def _tags(self, block: bytes) -> Iterator[tuple[int, int]]:
        """Targets and flags of a descriptor block; the tags' layout depends on three features."""
        tail = 4 if self.features & (_INCOMPAT_CSUM_V2 | _INCOMPAT_CSUM_V3) else 0
        offset = _HEADER.size
        while offset + self._tag_bytes() <= self.block_bytes - tail:
            (target,) = struct.unpack_from(">I", block, offset)
            if self.features & _INCOMPAT_CSUM_V3:
                flags, high = struct.unpack_from(">II", block, offset + 4)
            else:
                (flags,) = struct.unpack_from(">H", block, offset + 6)
                high = struct.unpack_from(">I", block, offset + 8)[0] if self.features & _INCOMPAT_64BIT else 0
            yield target | high << 32, flags
            offset += self._tag_bytes() + (0 if flags & _TAG_SAME_UUID else 16)
            if flags & _TAG_LAST:
                return

    def _tag_bytes(self) -> int:
        if self.features & _INCOMPAT_CSUM_V3:
            return 16
        return 8 + (2 if self.features & _INCOMPAT_CSUM_V2 else 0) + (4 if self.features & _INCOMPAT_64BIT else 0)

    def _revocations(self, block: bytes) -> Iterator[int]:
        (used,) = struct.unpack_from(">I", block, _HEADER.size)
        entry = struct.Struct(">Q" if self.features & _INCOMPAT_64BIT else ">I")
        used = min(used, self.block_bytes)
        for offset in range(_HEADER.size + 4, used - entry.size + 1, entry.size):
            yield entry.unpack_from(block, offset)[0]


def _open_journal(source: PipedBytes, block_bytes: int, places: list[int]) -> _Journal | None:
    """Parse the journal's own superblock; None when it is unsound or uses what is not known here (fast commits)."""
    if not places:
        return None
    raw = source.read(places[0] * block_bytes, 1024)
    if len(raw) < 1024:
        return None
    magic, kind, _, journal_block_bytes, length, first, sequence, start = struct.unpack_from(">8I", raw)
    (features,) = struct.unpack_from(">I", raw, 40)
    if magic != _MAGIC or kind not in {_SUPERBLOCK_V1, _SUPERBLOCK_V2} or journal_block_bytes != block_bytes:
        return None
    features = features if kind == _SUPERBLOCK_V2 else 0
    if features & ~_INCOMPAT_KNOWN or not 0 < first < length <= len(places):
        return None
    if start == 0:
        length = first  # An empty log: there is nothing to walk.
    elif not first <= start < length:
        return None
    return _Journal(
        source=source,
        block_bytes=block_bytes,
        places=places,
        first=first,
        end=length,
        start=start,
        sequence=sequence,
        features=features,
    )
