"""Which disks a machine has, in which order and where attached; a doubt is an error, not a guess."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PureWindowsPath

from adapters.exports.chains import Chain
from adapters.exports.machine_file import DiskEntry, MachineFile
from domain.errors import BadInputError
from domain.model.machines import Controller, DiskPlace, Firmware

_IDE_DISKS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenDisk:
    """One disk's files, and its place where the description gives one."""

    chain: Chain
    place: DiskPlace | None


def choose_disks(chains: Sequence[Chain], said: MachineFile, folder: Path) -> tuple[ChosenDisk, ...]:
    """The disks that the machine's description lists or, without a list, every chain in order of its base's name.

    Raises BadInputError when a listed file is not there or leaves the folder, or when a base has several leaves and
    the description does not say which: only Hyper-V knows which of them is the machine's current state.
    """
    if said.disks:
        return tuple(ChosenDisk(chain=_listed_chain(entry, chains, folder), place=entry.place) for entry in said.disks)
    ordered = sorted(chains, key=lambda chain: (chain.base.name.casefold(), chain.base.name))
    for base, leaves in _leaves_by_base(ordered).items():
        if len(leaves) > 1:
            raise _ambiguous(base, leaves)
    return tuple(ChosenDisk(chain=chain, place=None) for chain in ordered)


def default_place(index: int, firmware: Firmware) -> DiskPlace:
    """Where Hyper-V puts the disk number ``index`` of a new machine: generation 1 boots from IDE only."""
    if firmware is Firmware.BIOS and index < _IDE_DISKS_MAX:
        return DiskPlace(controller=Controller.IDE, controller_number=index // 2, location=index % 2)
    location = index if firmware is Firmware.UEFI else index - _IDE_DISKS_MAX
    return DiskPlace(controller=Controller.SCSI, controller_number=location // 64, location=location % 64)


def _listed_chain(entry: DiskEntry, chains: Sequence[Chain], folder: Path) -> Chain:
    path = _inside(entry.file, folder)
    exact = [chain for chain in chains if chain.leaf == path]
    containing = exact or [chain for chain in chains if path in chain.files]
    if not containing:
        raise BadInputError(
            f"The disk {entry.file!r} that the machine's description lists is not there.",
            where=str(folder),
            next_step="Correct the list of disks.",
        )
    if len(containing) > 1:
        raise _ambiguous(path, [chain.leaf for chain in containing])
    return containing[0]


def _inside(file: str, folder: Path) -> Path:
    parts = PureWindowsPath(file)
    try:
        path = folder.joinpath(*parts.parts).resolve() if not parts.anchor and "\0" not in file else None
    except (OSError, RuntimeError):
        path = None
    if path is None or not path.is_relative_to(folder.resolve()):
        raise BadInputError(
            f"The disk {file!r} that the machine's description lists is not inside of the machine's folder.",
            where=str(folder),
            next_step="Write the path as it is seen from the machine's folder.",
        )
    return path


def _leaves_by_base(chains: Iterable[Chain]) -> dict[Path, list[Path]]:
    leaves: dict[Path, list[Path]] = {}
    for chain in chains:
        leaves.setdefault(chain.base, []).append(chain.leaf)
    return leaves


def _ambiguous(base: Path, leaves: Sequence[Path]) -> BadInputError:
    names = ", ".join(repr(leaf.name) for leaf in leaves)
    return BadInputError(
        f"Several checkpoints were made from {base.name!r} ({names}), and nothing says which one is current.",
        where=str(base.parent),
        next_step="List the right files under [[disks]] in a machine.toml in the machine's folder.",
    )
