"""A volume as The Sleuth Kit reads it: bytes from Atesta over the pipes, with the journal's blocks laid over them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pytsk3

from adapters.guests.messages import DATA, READ, READ_REQUEST, RawPipe, receive_frame, send_frame

_PIECE_BYTES = 64 << 10
_KEPT_PIECES_MAX = 256


class PipedBytes:
    """The volume's bytes as they stand on the disk, fetched in pieces of 64 KiB of which the last 256 are kept."""

    def __init__(self, size_bytes: int, asked: RawPipe, told: RawPipe) -> None:
        self.size_bytes = size_bytes
        self._asked = asked
        self._told = told
        self._pieces: OrderedDict[int, bytes] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes at an offset, fewer at the volume's end. Raises OSError when Atesta cannot deliver them."""
        content = bytearray()
        end = min(offset + length, self.size_bytes)
        while offset < end:
            start = offset - offset % _PIECE_BYTES
            part = self._piece(start)[offset - start : end - start]
            content += part
            offset += len(part)
        return bytes(content)

    def _piece(self, start: int) -> bytes:
        if start in self._pieces:
            self._pieces.move_to_end(start)
            return self._pieces[start]
        length = min(_PIECE_BYTES, self.size_bytes - start)
        send_frame(self._told, READ, READ_REQUEST.pack(start, length))
        kind, content = receive_frame(self._asked)
        if kind != DATA or len(content) != length:
            raise OSError(f"bytes {start} to {start + length} of the volume could not be read")
        self._pieces[start] = content
        if len(self._pieces) > _KEPT_PIECES_MAX:
            self._pieces.popitem(last=False)
        return content


@dataclass(frozen=True, slots=True, kw_only=True)
class JournaledBlock:
    """Where the journal keeps the newest content of a block; ``escaped`` blocks lost their first four bytes."""

    journal_block: int
    escaped: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Overlay:
    """What mounting would write from the journal: for a block number, the block that holds its new content.

    ``is_certain`` is False when the journal could not be followed to its end: then nothing that the file system says
    about ownership of blocks may be relied on.
    """

    block_bytes: int = 4096
    blocks: Mapping[int, JournaledBlock] = field(default_factory=dict)
    escape_bytes: bytes = b""
    is_certain: bool = True


_TYPES = {
    "ext2": pytsk3.TSK_FS_TYPE_EXT_DETECT,
    "ext3": pytsk3.TSK_FS_TYPE_EXT_DETECT,
    "ext4": pytsk3.TSK_FS_TYPE_EXT_DETECT,
    "ntfs": pytsk3.TSK_FS_TYPE_NTFS_DETECT,
    "vfat": pytsk3.TSK_FS_TYPE_FAT_DETECT,
    "exfat": pytsk3.TSK_FS_TYPE_EXFAT,
}


class VolumeImage(pytsk3.Img_Info):  # type: ignore[misc]
    """The volume as an image for The Sleuth Kit, as it will be after the journal has been replayed."""

    def __init__(self, source: PipedBytes, overlay: Overlay) -> None:
        self._source = source
        self._overlay = overlay
        super().__init__(url="", type=pytsk3.TSK_IMG_TYPE_EXTERNAL)

    def get_size(self) -> int:
        """Give the size in bytes."""
        return self._source.size_bytes

    def close(self) -> None:
        """Do nothing: the pipes belong to the process."""

    def read(self, offset: int, length: int) -> bytes:
        """Read bytes at an offset, fewer at the volume's end. Raises OSError when Atesta cannot deliver them."""
        content = self._source.read(offset, length)
        return self._laid_over(content, offset) if self._overlay.blocks else content

    def opened_as(self, file_system: str) -> Any:
        """Open the file system of the kind that its signature names. Raises OSError when it cannot be opened.

        Left to find the kind by itself, The Sleuth Kit tries all its parsers and reads half the volume.
        """
        return pytsk3.FS_Info(self, type=_TYPES[file_system])

    def _laid_over(self, content: bytes, offset: int) -> bytes:
        size = self._overlay.block_bytes
        result = bytearray(content)
        end = offset + len(content)
        for number in range(offset // size, -(-end // size)):
            journaled = self._overlay.blocks.get(number)
            if journaled is not None:
                block = self._newest(journaled)
                first, last = max(offset, number * size), min(end, (number + 1) * size)
                result[first - offset : last - offset] = block[first - number * size : last - number * size]
        return bytes(result)

    def _newest(self, journaled: JournaledBlock) -> bytes:
        size = self._overlay.block_bytes
        block = self._source.read(journaled.journal_block * size, size)
        return self._overlay.escape_bytes + block[4:] if journaled.escaped else block
