"""Differencing disks as a host makes, merges and re-links them ([MS-VHDX] 2.5, 2.6.2.6); libvhdi checks them."""

from __future__ import annotations

from pathlib import Path, PureWindowsPath
from uuid import uuid4

from tests.standin.live_vhdx import LiveVhdx
from tests.unit.disks.vhdx_images import FULL, MIB, Block, Image, linkage, patched

_BLOCK_BYTES = 2 * MIB
_METADATA_AT = 2 * MIB
_BAT_AT = 3 * MIB


def create_child(child: Path, parent: Path, *, parent_path: str) -> None:
    """An empty differencing disk over ``parent``, which the host knows as ``parent_path`` and changes no more.

    Each chunk has a sector bitmap from the start: libvhdi reads nonsense where one is missing.
    """
    image = _image_over(parent, parent_path)
    raw = image.build()
    chunks = -(-image.size_bytes // (_BLOCK_BYTES * image.chunk_ratio))
    for chunk in range(chunks):
        entry = FULL | len(raw) + chunk * MIB
        place = _BAT_AT + 8 * (chunk * (image.chunk_ratio + 1) + image.chunk_ratio)
        raw = patched(raw, place, entry.to_bytes(8, "little"))
    with child.open("xb") as file:
        file.write(raw)
        file.truncate(len(raw) + chunks * MIB)


def relink(child: Path, parent: Path, *, parent_path: str) -> None:
    """Tell ``child`` that its parent is ``parent`` as it is now."""
    raw = _image_over(parent, parent_path).build()[_METADATA_AT : _METADATA_AT + MIB]
    with child.open("r+b") as file:
        file.seek(_METADATA_AT)
        file.write(raw)


def merge(child: Path, parent: Path) -> None:
    """Write what ``child`` holds into ``parent``; the child is then of no use."""
    with LiveVhdx(child) as above, LiveVhdx(parent) as below:
        for offset, content in above.own_pieces():
            below.write(offset, content)


def _image_over(parent: Path, parent_path: str) -> Image:
    with LiveVhdx(parent) as below:
        paths = linkage(
            below.data_write_guid,
            relative_path=f".\\{PureWindowsPath(parent_path).name}",
            absolute_win32_path=parent_path,
        )
        blocks: dict[int, Block] = {}
        return Image(
            size_bytes=below.size_bytes,
            block_bytes=_BLOCK_BYTES,
            sector_bytes=below.sector_bytes,
            blocks=blocks,
            parent=paths,
            write_guid=uuid4(),
            disk_id=below.disk_id,
        )
