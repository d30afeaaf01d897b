"""The figures of a comparison as values, what follows from them, and their JSON file."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from pathlib import Path

import msgspec

from benchmarks.measuring import Measured


class Round(msgspec.Struct, frozen=True, kw_only=True):
    """One tool's figures in one round. ``stored_bytes`` is what the repository takes on the disk after the ingest.

    ``again`` is a second ingest of the same images, all of them read; older runs did not measure it.
    """

    ingest: Measured
    restore: Measured
    again: Measured | None = None
    stored_bytes: int


class ToolFigures(msgspec.Struct, frozen=True, kw_only=True):
    """One tool over all rounds. In the command lines, names of folders are written in capitals."""

    name: str
    version: str
    settings: str
    ingest_command: str
    restore_command: str
    rounds: tuple[Round, ...]

    def median(self, figure: Callable[[Round], float]) -> float:
        """The median of a figure over the rounds."""
        return statistics.median(map(figure, self.rounds))

    def spread(self, figure: Callable[[Round], float]) -> tuple[float, float]:
        """The smallest and the largest value of a figure."""
        values = [figure(one) for one in self.rounds]
        return min(values), max(values)


class ImageFigures(msgspec.Struct, frozen=True, kw_only=True):
    """An image's name and sizes in bytes."""

    name: str
    allocated_bytes: int
    virtual_bytes: int


class MachineFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Where it was measured. ``load_before`` is the load average of one minute before the first round."""

    processor: str
    processors: int
    memory_bytes: int
    kernel: str
    file_system: str
    python: str
    load_before: float


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """All figures of one run of the command. ``measured_at`` is ISO 8601 in UTC."""

    size: str
    profile: str
    cache: str
    command: str
    measured_at: str
    machine: MachineFigures
    images: tuple[ImageFigures, ...]
    restored_image: str
    tools: tuple[ToolFigures, ...]

    @property
    def allocated_bytes(self) -> int:
        """What all images hold."""
        return sum(image.allocated_bytes for image in self.images)

    @property
    def restored_bytes(self) -> int:
        """What the restored image holds."""
        return next(image.allocated_bytes for image in self.images if image.name == self.restored_image)


def ingest_seconds(one: Round) -> float:
    """Seconds to take the images in."""
    return one.ingest.wall_s


def again_seconds(one: Round) -> float:
    """Seconds to take the same images in again; 0 when that was not measured."""
    return one.again.wall_s if one.again is not None else 0.0


def restore_seconds(one: Round) -> float:
    """Seconds to restore the image."""
    return one.restore.wall_s


def stored(one: Round) -> float:
    """Bytes of the repository."""
    return one.stored_bytes


def save(comparison: Comparison, file: Path) -> None:
    """Write the figures as JSON."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(msgspec.json.format(msgspec.json.encode(comparison), indent=2) + b"\n")


def load(file: Path) -> Comparison:
    """Read figures that ``save`` wrote. Raises msgspec.ValidationError for anything else."""
    return msgspec.json.decode(file.read_bytes(), type=Comparison)
