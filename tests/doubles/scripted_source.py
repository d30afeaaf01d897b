"""A machine source that holds what a test puts into it, a clock that is set by hand, and guests with known swap."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from domain.model.extents import Extent
from domain.model.machines import (
    ConfigurationFile,
    Controller,
    DiskPlace,
    Firmware,
    Machine,
    MachineSettings,
    VirtualDisk,
)
from domain.model.protection import Consistency, SnapshotMethod, SnapshotPlan
from domain.ports.changes import ChangeTracking
from domain.ports.disks import FrozenDisk
from domain.ports.guests import DiskFinding, SwapRange
from domain.ports.source import FrozenMachine
from domain.ports.source_journal import SourceJournal

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScriptedMachine:
    machine: Machine
    consistency_reached: Consistency
    remarks: tuple[str, ...]
    disks: Sequence[FrozenDisk]
    change_tracking: Sequence[ChangeTracking | None]
    configuration_files: Sequence[ConfigurationFile]


class ScriptedSource:
    """One machine with the disks that it was given."""

    def __init__(
        self,
        disks: Sequence[FrozenDisk],
        *,
        machine: Machine | None = None,
        files: Sequence[ConfigurationFile] = (),
        tracking: Sequence[ChangeTracking | None] = (),
    ) -> None:
        self.disks = disks
        self.tracking = tracking
        self.files = files
        self.machine = machine if machine is not None else machine_with(disks)

    def machines(self) -> Sequence[Machine]:
        return [self.machine]

    def plan(self, machine: Machine) -> SnapshotPlan:
        return SnapshotPlan(
            method=SnapshotMethod.EXPORTED_FILES, reason="scripted", consistency_asked=Consistency.CRASH
        )

    def frozen(
        self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal
    ) -> AbstractContextManager[FrozenMachine]:
        return self._frozen()

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:
        return ()

    @contextmanager
    def _frozen(self) -> Iterator[ScriptedMachine]:
        yield ScriptedMachine(
            machine=self.machine,
            consistency_reached=Consistency.CRASH,
            remarks=("held still by the script",),
            disks=self.disks,
            change_tracking=self.tracking or [None] * len(self.disks),
            configuration_files=self.files,
        )


def machine_with(
    disks: Sequence[FrozenDisk], *, name: str = "web", machine_id: str = "m-1", host: str = "here"
) -> Machine:
    """A machine with these disks."""
    return Machine(
        machine_id=machine_id,
        name=name,
        host=host,
        settings=MachineSettings(firmware=Firmware.UEFI, processors=2, memory_bytes=1 << 30),
        disks=tuple(
            VirtualDisk(
                disk_id=disk.disk_id,
                name=f"disk{number}",
                size_bytes=disk.size_bytes,
                place=DiskPlace(controller=Controller.SCSI, location=number),
            )
            for number, disk in enumerate(disks)
        ),
    )


class ScriptedGuests:
    """Guests whose swap is where the test says, on every disk."""

    def __init__(self, *swap: Extent) -> None:
        self._swap = swap

    def swap_ranges(self, disk: FrozenDisk) -> tuple[SwapRange, ...]:
        return (SwapRange(kind="linux-swap-file", where="/swap", extents=self._swap),) if self._swap else ()

    def examine(self, disk: FrozenDisk) -> DiskFinding:
        return DiskFinding(partition_table="none", volumes=())


class HandClock:
    """A clock that goes a second a call, and jumps when told to."""

    def __init__(self, start: datetime = START) -> None:
        self.time = start
        self._monotonic_s = 0.0

    def now(self) -> datetime:
        self.time += timedelta(seconds=1)
        return self.time

    def monotonic_s(self) -> float:
        self._monotonic_s += 1.0
        return self._monotonic_s

    def sleep(self, seconds: float) -> None:
        self.time += timedelta(seconds=seconds)
