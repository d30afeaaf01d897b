"""Raw images: which files are some, and the identity that a source gives a disk whose format has none."""

from __future__ import annotations

from uuid import UUID, uuid5

RAW_SUFFIXES = frozenset({".raw", ".img"})
_DISK_IDS = UUID("2f8c1c8e-52a6-5c0e-9a0a-6f3a2a1f4f0d")


def raw_disk_id(file_name: str) -> str:
    """A GUID derived from the file's name, the same on each host and in each folder, whatever the file holds."""
    return str(uuid5(_DISK_IDS, file_name))
