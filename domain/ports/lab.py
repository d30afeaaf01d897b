"""Port: an isolated machine that boots recovered disks."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from domain.model.machines import DiskPlace, Firmware


@dataclass(frozen=True, slots=True, kw_only=True)
class LabDisk:
    """A recovered disk as the lab boots it: a raw image file that the lab must not change."""

    image: Path
    size_bytes: int
    place: DiskPlace
    sector_size_bytes: int = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class LabPlan:
    """What to boot and within which bounds. Disk 0 is the boot disk. There is never an uplink."""

    label: str
    firmware: Firmware
    disks: tuple[LabDisk, ...]
    memory_bytes: int
    processors: int
    seconds_max: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """A picture of the console: ``rgb`` is ``width * height * 3`` bytes, row by row from the top left."""

    width: int
    height: int
    rgb: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """What can be seen of the machine from outside at one moment.

    ``elapsed_s`` counts from power-on. ``frame`` is None while there is no picture. ``running`` is False once the
    machine powered off or died, with ``end_reason`` saying how. ``resets`` counts the guest's resets so far.
    ``cpu_s`` and ``disk_reads`` are cumulative measures of progress.
    """

    elapsed_s: float
    frame: Frame | None
    running: bool
    resets: int
    cpu_s: float
    disk_reads: int
    end_reason: str = ""


class LabMachine(Protocol):
    """A machine that was powered on in the lab."""

    @property
    def accelerator(self) -> str:
        """What executes the guest's code, for the report: ``kvm`` or ``tcg``."""

    def observe(self) -> Observation:
        """Look at the machine now. Raises EnvironmentTroubleError when the lab itself is broken, not the guest."""

    def press_key(self) -> None:
        """Press and release Shift, which wakes a blanked console and does nothing else."""


class Lab(Protocol):
    """Powers on isolated machines."""

    def powered_on(self, plan: LabPlan) -> AbstractContextManager[LabMachine]:
        """Power a machine on and tear everything down when the context ends, on every path.

        Raises EnvironmentTroubleError when the lab cannot start one (with the next step), BadInputError for a plan
        it cannot carry out.
        """

    def sweep(self) -> tuple[str, ...]:
        """Remove what a killed run left behind; returns a sentence for each thing removed."""
