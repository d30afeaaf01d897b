"""One disk through its ages: how a maker adds an age, and how VHDX images and changes files are made of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from benchmarks.series.differences import differing_extents
from tests.guests.commands import run


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskSeries:
    """A disk's ages in a folder: ``raw/age-1.raw`` with ``raw/age-1.changes.json``, the same in ``vhdx``, and on."""

    folder: Path

    @property
    def name(self) -> str:
        """What the disk is called."""
        return self.folder.name

    @property
    def ages(self) -> tuple[Path, ...]:
        """The raw images, the oldest first."""
        return tuple(sorted((self.folder / "raw").glob("age-*.raw")))

    def vhdx(self, age: Path) -> Path:
        """The same age as VHDX."""
        return self.folder / "vhdx" / f"{age.stem}.vhdx"

    def changes(self, age: Path) -> Path:
        """What changed since the age before, as the source of exports reads it (docs/incremental.md)."""
        return age.with_name(f"{age.stem}.changes.json")


class SeriesDraft:
    """A series in the making; ``folder`` is not there yet."""

    def __init__(self, folder: Path) -> None:
        self._series = DiskSeries(folder=folder)
        for name in ("raw", "vhdx"):
            (folder / name).mkdir(parents=True)
        self._count = 0

    def first(self) -> Path:
        """Where to write the first age."""
        return self._next()

    def aged(self) -> Path:
        """A copy of the last age, to be changed in place."""
        latest, following = self._series.ages[-1], self._next()
        run(["cp", "--sparse=always", "--reflink=never", str(latest), str(following)])
        return following

    def finish(self) -> None:
        """Write every age as VHDX too, and what changed since the age before it."""
        before: Path | None = None
        for age in self._series.ages:
            vhdx = self._series.vhdx(age)
            run(["qemu-img", "convert", "-f", "raw", "-O", "vhdx", "-o", "subformat=dynamic", str(age), str(vhdx)])
            told: dict[str, object] = {"mark": age.stem}
            if before is not None:
                told |= {"baseline": before.stem, "extents": list(differing_extents(before, age))}
            for image in (age, vhdx):
                image.with_name(f"{age.stem}.changes.json").write_text(json.dumps(told))
            before = age

    def _next(self) -> Path:
        self._count += 1
        return self._series.folder / "raw" / f"age-{self._count}.raw"
