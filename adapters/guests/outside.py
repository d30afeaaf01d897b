"""A guest's file systems seen from outside: implements the port ``GuestFileSystems``.

Partition tables, signatures and swap headers are read here, in Python; directories and data runs by the inspector
process, one for each volume.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, cast

from adapters.guests.inspection import (
    INSPECTOR_COMMAND,
    Failure,
    InspectionLimits,
    printable,
    run_inspector,
)
from adapters.guests.messages import Answer, Job
from adapters.guests.signatures import PROBED_BYTES, UNKNOWN, file_systems_of
from adapters.guests.swap_header import PAGE_BYTES, is_hibernation, read_swap_header, swap_signature
from domain.content.partitions import PartitionTable, read_partition_table
from domain.errors import DamagedDataError
from domain.model.extents import Extent, merged
from domain.ports.disks import FrozenDisk
from domain.ports.guests import DiskFinding, SwapRange, VolumeFinding

GRID_BYTES = 4096
_VOLUMES_MAX = 128
_WITH_SWAP_FILES = frozenset({"ntfs", "ext2", "ext3", "ext4"})
_WALKABLE = _WITH_SWAP_FILES | {"vfat", "exfat"}
# A partition of any other type is not taken for swap, whatever its first page says. "" is a disk without a table.
_SWAP_HOLDING_TYPES = frozenset(
    {"", "0x82", "0x83", "0657fd6d-a4ab-43c4-84e5-0933c84b4f4f", "0fc63daf-8483-4772-8e79-3d69d8477de4"}
)


class OutsideGuestFileSystems:
    """Looks into the file systems of a frozen disk without mounting or writing anything."""

    def __init__(
        self, *, limits: InspectionLimits | None = None, inspector_command: Sequence[str] = INSPECTOR_COMMAND
    ) -> None:
        self._limits = limits or InspectionLimits()
        self._command = tuple(inspector_command)

    def swap_ranges(self, disk: FrozenDisk) -> tuple[SwapRange, ...]:
        """List what need not be stored, in extents of whole 4 KiB blocks of the disk; doubt leaves a range out.

        Raises what the disk raises when it cannot be read, apart from DamagedDataError.
        """
        try:
            table = _table_of(disk)
        except DamagedDataError:
            return ()
        if table.kind == "damaged" or table.is_dynamic_disk:
            return ()
        deadline = time.monotonic() + self._limits.disk_seconds
        ranges = (found for volume in _volumes(disk, table) for found in self._swap_of(volume, deadline))
        return tuple(found for found in ranges if found.extents)

    def examine(self, disk: FrozenDisk) -> DiskFinding:
        """Tell the partition table and each volume's file system.

        Raises what the disk raises when it cannot be read, apart from DamagedDataError.
        """
        try:
            table = _table_of(disk)
        except DamagedDataError as error:
            return DiskFinding(partition_table="damaged", volumes=(), remarks=(printable(str(error)),))
        remarks = [printable(remark) for remark in table.remarks]
        if table.is_dynamic_disk:
            remarks.append("this is a dynamic disk (Logical Disk Manager): its volumes are not looked into")
        volumes = list(_volumes(disk, table))
        if len(volumes) > _VOLUMES_MAX:
            remarks.append(f"only the first {_VOLUMES_MAX} of {len(volumes)} partitions were looked into")
        deadline = time.monotonic() + self._limits.disk_seconds
        findings = tuple(self._finding(volume, deadline) for volume in volumes[:_VOLUMES_MAX])
        return DiskFinding(partition_table=table.kind, volumes=findings, remarks=tuple(remarks))

    def _swap_of(self, volume: _Volume, deadline: float) -> Iterator[SwapRange]:
        try:
            kinds = file_systems_of(volume.read)
            if kinds == ("swap",):
                yield from _swap_partition(volume)
            elif len(kinds) == 1 and kinds[0] in _WITH_SWAP_FILES:
                answer = self._inspect(volume, "swap-files", kinds[0], deadline)
                if isinstance(answer, Answer):
                    yield from _swap_files(volume, answer)
        except DamagedDataError:
            # The image cannot deliver these bytes: the backup meets the same when it reads them, and says so.
            return

    def _finding(self, volume: _Volume, deadline: float) -> VolumeFinding:
        try:
            kinds = file_systems_of(volume.read)
            kind = kinds[0] if kinds else UNKNOWN
            readable, remark = self._state(volume, kind, deadline)
        except DamagedDataError as error:
            kinds, kind, readable, remark = (), UNKNOWN, False, str(error)
        if len(kinds) > 1:
            remark += f"; it also carries the signature of {', '.join(kinds[1:])}"
        return VolumeFinding(
            number=volume.number,
            extent=volume.extent,
            file_system=kind,
            readable=readable,
            remark=printable(remark),
        )

    def _state(self, volume: _Volume, kind: str, deadline: float) -> tuple[bool | None, str]:
        if kind in _WALKABLE:
            answer = self._inspect(volume, "examine", kind, deadline)
            return (False, answer.reason) if isinstance(answer, Failure) else (answer.readable, answer.remark)
        if kind == "swap":
            return True, _swap_in_words(volume)
        if kind == UNKNOWN:
            is_blank = not any(volume.read(0, PROBED_BYTES))
            return (
                None,
                f"no file system is known by its signature; {'its start is blank' if is_blank else 'not blank'}",
            )
        return None, f"{kind} was recognised by its signature; Atesta cannot look into it"

    def _inspect(
        self, volume: _Volume, task: Literal["examine", "swap-files"], kind: str, deadline: float
    ) -> Answer | Failure:
        if time.monotonic() > deadline:
            return Failure(f"not looked into: the {self._limits.disk_seconds:g} seconds for this disk were used up")
        job = Job(
            task=task,
            file_system=cast("Literal['ntfs']", kind),
            size_bytes=volume.extent.length,
            cpu_seconds=self._limits.cpu_seconds,
            memory_bytes=self._limits.memory_bytes,
        )
        return run_inspector(job, volume.read, self._command, self._limits)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Volume:
    """One partition, or the whole disk as number 0."""

    disk: FrozenDisk
    number: int
    extent: Extent
    type_id: str

    @property
    def name(self) -> str:
        return f"partition {self.number}" if self.number else "the whole disk"

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the volume, fewer at its end."""
        length = min(length, self.extent.length - offset)
        return _read(self.disk, self.extent.offset + offset, length) if length > 0 else b""


def _read(disk: FrozenDisk, offset: int, length: int) -> bytes:
    buffer = bytearray(length)
    disk.read_into(offset, memoryview(buffer))
    return bytes(buffer)


def _table_of(disk: FrozenDisk) -> PartitionTable:
    return read_partition_table(lambda at, n: _read(disk, at, n), disk.size_bytes, disk.sector_size_bytes)


def _volumes(disk: FrozenDisk, table: PartitionTable) -> Iterator[_Volume]:
    if table.kind == "none" and disk.size_bytes:
        yield _Volume(disk=disk, number=0, extent=Extent(0, disk.size_bytes), type_id="")
    for partition in table.partitions:
        yield _Volume(disk=disk, number=partition.number, extent=partition.extent, type_id=partition.type_id)


def _swap_partition(volume: _Volume) -> Iterator[SwapRange]:
    """All pages but the first: without the header's UUID and label the restored guest would wait for its swap."""
    header = read_swap_header(volume.read(0, max(PAGE_BYTES)))
    if header is None or volume.type_id not in _SWAP_HOLDING_TYPES:
        return
    area_bytes = header.pages * header.page_bytes
    if header.page_bytes < area_bytes <= volume.extent.length:
        extent = Extent(volume.extent.offset + header.page_bytes, area_bytes - header.page_bytes)
        yield SwapRange(kind="linux-swap-partition", where=volume.name, extents=tuple(_whole_blocks([extent])))


def _swap_files(volume: _Volume, answer: Answer) -> Iterator[SwapRange]:
    for found in answer.swap_files:
        extents = (Extent(volume.extent.offset + offset, length) for offset, length in found.extents)
        where = printable(f"{found.path} on {volume.name}")
        yield SwapRange(kind=found.kind, where=where, extents=tuple(_whole_blocks(extents)))


def _whole_blocks(extents: Iterable[Extent]) -> Iterator[Extent]:
    """The blocks of the disk's 4 KiB grid that lie wholly inside an ascending series of extents."""
    for extent in merged(extents):
        start = -(-extent.offset // GRID_BYTES) * GRID_BYTES
        end = extent.end - extent.end % GRID_BYTES
        if start < end:
            yield Extent(start, end - start)


def _swap_in_words(volume: _Volume) -> str:
    head = volume.read(0, max(PAGE_BYTES))
    signature = swap_signature(head)
    if signature is not None and is_hibernation(signature):
        name = signature.decode("ascii", errors="replace")
        return f"a suspended system waits in this swap space ({printable(name)}): the guest will resume it"
    header = read_swap_header(head)
    if header is None:
        return "swap space whose header holds more than mkswap writes"
    label = f", label {header.label}" if header.label else ""
    return f"swap space of {header.pages * header.page_bytes >> 20} MiB, UUID {header.uuid}{label}"
