"""Port: what can be seen of a guest's file systems from outside, without running it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from domain.model.extents import Extent
from domain.ports.disks import FrozenDisk


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapRange:
    """Ranges of a disk that hold swap or hibernation data, which no restore point needs.

    ``kind`` is the field's name: ``linux-swap-partition``, ``linux-swap-file``, ``pagefile.sys``, ``swapfile.sys`` or
    ``hiberfil.sys``. ``where`` says where it was found, for people (untrusted text). ``extents`` ascend.
    """

    kind: str
    where: str
    extents: tuple[Extent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeFinding:
    """One partition (or the whole disk, ``number`` 0) and what its file system looks like from outside.

    ``file_system`` is ``ext4``, ``ntfs``, ``vfat``, ``swap``, ``unknown`` ...; ``readable`` is None when Atesta cannot
    read that kind, else whether its structures could be walked; ``remark`` says what was seen.
    """

    number: int
    extent: Extent
    file_system: str
    readable: bool | None
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskFinding:
    """What a disk looks like from outside. ``partition_table`` is ``gpt``, ``mbr``, ``none`` or ``damaged``."""

    partition_table: str
    volumes: tuple[VolumeFinding, ...]
    remarks: tuple[str, ...] = ()


class GuestFileSystems(Protocol):
    """Looks into the file systems of a frozen disk. Hostile content ends in a remark, never in an exception."""

    def swap_ranges(self, disk: FrozenDisk) -> tuple[SwapRange, ...]:
        """The ranges that need not be stored, in bounded time; doubt means that a range is not listed."""

    def examine(self, disk: FrozenDisk) -> DiskFinding:
        """Partition table and file systems, read only, in bounded time."""
