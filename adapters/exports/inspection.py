"""From a found folder to machines: descriptions read, chains followed, disks opened once to see what they are."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID, uuid5

from adapters.exports.chains import Chain, ParentOf, find_chains
from adapters.exports.disk_choice import ChosenDisk, choose_disks, default_place
from adapters.exports.folders import FoundFolder
from adapters.exports.machine_file import MachineFile, read_machine_file
from domain.content.partitions import read_partition_table
from domain.errors import AtestaError, BadInputError
from domain.model.machines import Firmware, Machine, MachineSettings, VirtualDisk
from domain.model.raw_images import RAW_SUFFIXES, raw_disk_id
from domain.ports.disks import DiskOpener, FrozenDisk

_MACHINE_IDS = UUID("5a0c2b1e-8c43-5d6f-9f27-31d0a3f6b7c4")
_REMARK_CHARACTERS_MAX = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportedMachine:
    """A machine and the files it is made of, its disks' chains in the order of ``machine.disks``."""

    machine: Machine
    chains: tuple[Chain, ...]
    found: FoundFolder


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenDisk:
    chosen: ChosenDisk
    disk_id: str
    size_bytes: int
    has_efi_partition: bool


class Inspector:
    """Looks at found folders. What cannot be read becomes a machine with warnings instead of disks."""

    def __init__(self, open_disk: DiskOpener, parent_of: ParentOf) -> None:
        self._open_disk = open_disk
        self._parent_of = parent_of

    def inspect(self, found: FoundFolder) -> list[ExportedMachine]:
        """The machine of a machine's folder, or one for each loose disk."""
        chains, troubles = find_chains(found.images, self._parent_of)
        if found.is_machine:
            return [self._machine(found, chains, [*found.problems, *map(_sentence, troubles)])]
        by_base: dict[Path, list[Chain]] = {}
        for chain in chains:
            by_base.setdefault(chain.base, []).append(chain)
        loose = [self._loose_machine(found, base, leaves) for base, leaves in by_base.items()]
        broken = [_unreadable(found, Path(trouble.where).stem, [_sentence(trouble)]) for trouble in troubles]
        refused = [_unreadable(found, found.folder.name, [problem]) for problem in found.problems]
        return loose + broken + refused

    def _machine(self, found: FoundFolder, chains: Sequence[Chain], problems: list[str]) -> ExportedMachine:
        identity = found.identities[0] if len(found.identities) == 1 else None
        try:
            said = read_machine_file(found.description)
            identity = _identity_said(found, said)
            chosen = choose_disks(chains, said, found.folder)
            if problems:
                return _unreadable(found, said.name or found.folder.name, problems, identity)
            return self._assembled(found, said, said.name or found.folder.name, chosen, identity)
        except AtestaError as error:
            leaf = chains[0].leaf if len(chains) == 1 and not problems else None
            identity = identity or _identity_by_name(found, found.folder.name, leaf)
            return _unreadable(found, found.folder.name, [*problems, _sentence(error)], identity)

    def _loose_machine(self, found: FoundFolder, base: Path, leaves: Sequence[Chain]) -> ExportedMachine:
        try:
            chosen = choose_disks(leaves, MachineFile(), found.folder)
            return self._assembled(found, MachineFile(), base.stem, chosen, None)
        except AtestaError as error:
            return _unreadable(
                found, base.stem, [_sentence(error)], _identity_by_name(found, base.stem, leaves[0].leaf)
            )

    def _assembled(
        self, found: FoundFolder, said: MachineFile, name: str, chosen: Sequence[ChosenDisk], identity: str | None
    ) -> ExportedMachine:
        seen = [self._seen(choice) for choice in chosen]
        if not said.disks:
            seen.sort(key=lambda disk: not disk.has_efi_partition)
        seen, warnings = _with_own_ids(seen)
        firmware = said.firmware_said or _firmware_seen(seen)
        machine = Machine(
            machine_id=identity or _derived_id(found, name, seen[0].disk_id if seen else ""),
            name=printable(name),
            host=str(found.root),
            settings=said.settings(firmware),
            disks=tuple(_virtual_disk(index, disk, firmware) for index, disk in enumerate(seen)),
            checkpoints=tuple(printable(file.name) for disk in seen for file in disk.chosen.chain.files[:-1]),
            guest_hint=said.guest,
            warnings=tuple(warnings if seen else [*warnings, "The export holds no disks."]),
        )
        return ExportedMachine(machine=machine, chains=tuple(disk.chosen.chain for disk in seen), found=found)

    def _seen(self, chosen: ChosenDisk) -> _SeenDisk:
        with ExitStack() as stack:
            disk = self._open_disk(chosen.chain.leaf)
            stack.callback(disk.close)
            return _SeenDisk(
                chosen=chosen,
                disk_id=disk.disk_id,
                size_bytes=disk.size_bytes,
                has_efi_partition=_has_efi_partition(disk),
            )


def printable(text: str) -> str:
    """``text`` with bytes that are no UTF-8, which a file's name can have, replaced."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def _has_efi_partition(disk: FrozenDisk) -> bool:
    def read(offset: int, length: int) -> bytes:
        content = bytearray(length)
        disk.read_into(offset, memoryview(content))
        return bytes(content)

    return read_partition_table(read, disk.size_bytes, disk.sector_size_bytes).has_efi_system_partition


def _firmware_seen(seen: Sequence[_SeenDisk]) -> Firmware:
    return Firmware.UEFI if seen and seen[0].has_efi_partition else Firmware.BIOS


def _with_own_ids(seen: Sequence[_SeenDisk]) -> tuple[list[_SeenDisk], list[str]]:
    """A copied disk keeps the id of its original: within one machine the copy gets one of its own."""
    taken: set[str] = set()
    disks, warnings = [], []
    for disk in seen:
        name = disk.chosen.chain.base.name
        if disk.disk_id in taken:
            warnings.append(f"The disk {printable(name)!r} is a copy of another disk of this machine (same disk id).")
            own = str(uuid5(_MACHINE_IDS, f"{disk.disk_id}\n{printable(name)}"))
            disks.append(replace(disk, disk_id=own))
        else:
            disks.append(disk)
        taken.add(disks[-1].disk_id)
    return disks, warnings


def _virtual_disk(index: int, disk: _SeenDisk, firmware: Firmware) -> VirtualDisk:
    return VirtualDisk(
        disk_id=disk.disk_id,
        name=printable(disk.chosen.chain.leaf.name),
        size_bytes=disk.size_bytes,
        place=disk.chosen.place or default_place(index, firmware),
    )


def _identity_said(found: FoundFolder, said: MachineFile) -> str | None:
    if len(found.identities) > 1:
        raise BadInputError(
            f"The folder holds the configurations of {len(found.identities)} machines, "
            "and nothing says which disk belongs to which.",
            where=str(found.folder),
            next_step="Export each machine into a folder of its own.",
        )
    return found.identities[0] if found.identities else (str(said.id) if said.id else None)


def _identity_by_name(found: FoundFolder, name: str, leaf: Path | None) -> str | None:
    """The identity that a raw image gives its machine, also while it is cut short; that of other formats is inside."""
    if leaf is None or leaf.suffix.lower() not in RAW_SUFFIXES:
        return None
    return _derived_id(found, name, raw_disk_id(leaf.name))


def _derived_id(found: FoundFolder, name: str, disk_id: str) -> str:
    place = found.relative if found.is_machine else f"{found.relative}/{name}"
    return str(uuid5(_MACHINE_IDS, f"{printable(place)}\n{disk_id}"))


def _unreadable(found: FoundFolder, name: str, warnings: Sequence[str], identity: str | None = None) -> ExportedMachine:
    machine = Machine(
        machine_id=identity or _derived_id(found, name, ""),
        name=printable(name),
        host=str(found.root),
        settings=MachineSettings(firmware=Firmware.BIOS),
        disks=(),
        warnings=tuple(printable(warning) for warning in warnings),
    )
    return ExportedMachine(machine=machine, chains=(), found=found)


def _sentence(error: AtestaError) -> str:
    return printable(str(error))[:_REMARK_CHARACTERS_MAX]
