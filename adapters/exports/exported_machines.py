"""The machine source over folders of exported machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from adapters.exports.chains import Chain, ParentOf
from adapters.exports.change_marks import FileMarks, LayerExtents
from adapters.exports.changes_file import ToldChanges, changes_file_of
from adapters.exports.folders import FoundFolder, find_folders
from adapters.exports.inspection import ExportedMachine, Inspector, printable
from adapters.exports.stillness import FileStamps, WatchedDisk
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.model.machines import ConfigurationFile, Machine
from domain.model.protection import Consistency, SnapshotMethod, SnapshotPlan
from domain.ports.changes import ChangeTracking
from domain.ports.disks import DiskOpener, FrozenDisk
from domain.ports.source import FrozenMachine
from domain.ports.source_journal import SourceJournal

_CONFIGURATION_BYTES_MAX = 64 << 20
_WHY_CRASH = (
    "An export is a copy of the disks as they were at one moment: the guest finds what it would after a power cut, "
    "unless it was shut down or checkpointed for production before the export."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenExport:
    """An exported machine whose disks are open."""

    machine: Machine
    consistency_reached: Consistency
    remarks: tuple[str, ...]
    disks: Sequence[FrozenDisk]
    change_tracking: Sequence[ChangeTracking | None]
    configuration_files: Sequence[ConfigurationFile]


class ExportedMachines:
    """Machines in folders: exports as Hyper-V lays them out, folders with a machine file, and loose disk images.

    ``open_disk`` and ``parent_of`` come from the disk adapter, and must find parents anywhere inside of ``folders``;
    ``layer_extents`` says what one differencing file changes of its parent.
    """

    def __init__(
        self, folders: Sequence[Path], open_disk: DiskOpener, parent_of: ParentOf, layer_extents: LayerExtents
    ) -> None:
        self._folders = tuple(folders)
        self._open_disk = open_disk
        self._layer_extents = layer_extents
        self._inspector = Inspector(open_disk, parent_of)
        self._places: dict[str, Path] = {}

    def machines(self) -> Sequence[Machine]:
        """All machines, as the port says. Two that claim one identity both get a warning."""
        exported = [machine for found in self._found() for machine in self._inspector.inspect(found)]
        counts = Counter(one.machine.machine_id for one in exported)
        self._places = {one.machine.machine_id: one.found.folder for one in exported}
        machines = [_warned(one.machine) if counts[one.machine.machine_id] > 1 else one.machine for one in exported]
        return sorted(machines, key=lambda machine: (machine.name, machine.machine_id))

    def plan(self, machine: Machine) -> SnapshotPlan:
        """Exported files hold still by themselves: there is one method."""
        return SnapshotPlan(
            method=SnapshotMethod.EXPORTED_FILES,
            reason=f"The machine is an export in {machine.host}: its files are read as they are.",
            consistency_asked=Consistency.CRASH,
        )

    def frozen(
        self,
        machine: Machine,
        plan: SnapshotPlan,
        journal: SourceJournal,  # noqa: ARG002
    ) -> AbstractContextManager[FrozenMachine]:
        """Open the machine's disks, as the port says.

        DamagedDataError is also raised on the way out, when a file of a disk was changed meanwhile.
        """
        if plan.method is not SnapshotMethod.EXPORTED_FILES:
            raise BadInputError(
                f"Exported files cannot be frozen with the method {plan.method.value!r}.",
                where=machine.host,
                next_step="Plan the backup with the source that the machine comes from.",
            )
        return self._frozen(machine)

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:  # noqa: ARG002
        """Nothing: reading files leaves nothing behind."""
        return ()

    @contextmanager
    def _frozen(self, machine: Machine) -> Iterator[FrozenMachine]:
        exported = self._find(machine)
        stamps = FileStamps(dict.fromkeys(file for chain in exported.chains for file in chain.files))
        configuration, remarks = _read_configuration(exported.found) if exported.found.is_machine else ((), ())
        with ExitStack() as stack:
            disks: list[FrozenDisk] = []
            tracking: list[ChangeTracking] = []
            for chain, shown in zip(exported.chains, exported.machine.disks, strict=True):
                disk = self._open_disk(chain.leaf)
                stack.callback(disk.close)
                disks.append(WatchedDisk(disk, stamps, shown.disk_id))
                tracking.append(self._tracking(chain, disk.size_bytes))
            yield FrozenExport(
                machine=exported.machine,
                consistency_reached=Consistency.CRASH,
                remarks=(_WHY_CRASH, *remarks),
                disks=tuple(disks),
                change_tracking=tuple(tracking),
                configuration_files=configuration,
            )
            stamps.check()

    def _tracking(self, chain: Chain, size_bytes: int) -> ChangeTracking:
        files = FileMarks(chain.files, self._layer_extents)
        told = changes_file_of(chain.leaf)
        return ToldChanges(told, chain.leaf, size_bytes, files) if told.exists() else files

    def _find(self, machine: Machine) -> ExportedMachine:
        place = self._places.get(machine.machine_id)
        found = sorted(self._found(), key=lambda one: one.folder != place)
        for folder in found:
            for exported in self._inspector.inspect(folder):
                if exported.machine.machine_id == machine.machine_id:
                    return _usable(exported)
        raise BadInputError(
            f"The machine {machine.name!r} is not there any more.",
            where=machine.host,
            next_step="List the machines again.",
        )

    def _found(self) -> Iterator[FoundFolder]:
        seen: set[Path] = set()
        for folder in self._folders:
            for found in find_folders(folder):
                if found.folder not in seen:
                    seen.add(found.folder)
                    yield found


def _usable(exported: ExportedMachine) -> ExportedMachine:
    if not exported.machine.disks:
        raise BadInputError(
            f"The machine {exported.machine.name!r} cannot be read: {' '.join(exported.machine.warnings)}",
            where=str(exported.found.folder),
            next_step="Mend what the message names, then run it again.",
        )
    return exported


def _warned(machine: Machine) -> Machine:
    warning = "Another machine has the same identity: give one of them another id, or remove the copy."
    return replace(machine, warnings=(*machine.warnings, warning))


def _read_configuration(found: FoundFolder) -> tuple[tuple[ConfigurationFile, ...], tuple[str, ...]]:
    """The configuration files as they are, and a remark for each one that is too large to be kept."""
    files: dict[str, ConfigurationFile] = {}
    remarks = []
    for path in found.configurations:
        name = printable(path.name)
        try:
            if path.stat().st_size > _CONFIGURATION_BYTES_MAX:
                remarks.append(f"{name!r} is larger than 64 MiB and is not kept.")
                continue
            content = path.read_bytes()
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The configuration file cannot be read: {error.strerror}.",
                where=str(path),
                next_step="Check that the folder is mounted and readable.",
            ) from error
        if name in files and files[name].content != content:
            remarks.append(f"There are several configuration files named {name!r}; the first is kept.")
        files.setdefault(name, ConfigurationFile(name=name, content=content))
    return tuple(files.values()), tuple(remarks)
