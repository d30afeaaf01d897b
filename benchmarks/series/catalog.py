"""Which series there are, and where they are kept between runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from pathlib import Path

from benchmarks.debian_images import make_debian_images
from benchmarks.debian_images import recipe as debian_recipe
from benchmarks.images import IMAGE_NAMES, cached_folder, cached_images
from benchmarks.series.database import make_database
from benchmarks.series.draft import DiskSeries, SeriesDraft
from benchmarks.series.installs import clone_numbers, make_clone, make_install, make_upgraded
from benchmarks.series.other_disks import make_empty, make_logs, make_noise, make_ntfs_disk
from benchmarks.series.scale import Scale
from domain.errors import EnvironmentTroubleError

_VERSION = 1
_PROGRAMS = ("mke2fs", "debugfs", "sfdisk", "mkntfs", "ntfscp", "qemu-img")
Maker = Callable[[SeriesDraft, Scale], None]


class SeriesSize(StrEnum):
    """How large. ``full`` has real Debian installs, for which it needs root and the machine's package sources."""

    SMALL = "small"
    MEDIUM = "medium"
    FULL = "full"

    @property
    def factor(self) -> int:
        """How many times as large as ``small``."""
        return {SeriesSize.SMALL: 1, SeriesSize.MEDIUM: 8, SeriesSize.FULL: 48}[self]


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of disk: what it is, and how each disk of that kind is made."""

    what: str
    disks: dict[str, Maker]


KINDS: dict[str, Kind] = {
    "installs": Kind(
        what="two installs of one system",
        disks={host: partial(make_install, host_name=host) for host in ("web01", "db02")},
    ),
    "upgraded": Kind(what="one machine aged by upgrades", disks={"web01": make_upgraded}),
    "database": Kind(what="a SQLite database under random writes", disks={"db01": make_database}),
    "ntfs": Kind(what="an NTFS volume with files and a page file", disks={"win01": make_ntfs_disk}),
    "clones": Kind(
        what="clones of one template",
        disks={f"clone{number:02}": partial(make_clone, number=number) for number in clone_numbers()},
    ),
    "logs": Kind(what="logs that grow", disks={"log01": make_logs}),
    "noise": Kind(what="a disk that cannot be compressed", disks={"noise01": make_noise}),
    "empty": Kind(what="an empty disk", disks={"empty01": make_empty}),
}


def series(kind: str, size: SeriesSize, seed: str = "atesta") -> tuple[DiskSeries, ...]:
    """The disks of a kind, made now unless they are there.

    Raises EnvironmentTroubleError when a program is missing or fails.
    """
    disks = KINDS[kind].disks
    scale = Scale(factor=size.factor, seed=seed)
    if size is SeriesSize.FULL and kind in {"installs", "upgraded"}:
        return _of_debian(kind)
    folder = cached_folder(
        f"series-{size}-{kind}", repr((_VERSION, seed, size.factor)).encode(), lambda place: _make(place, disks, scale)
    )
    return tuple(DiskSeries(folder=folder / name) for name in disks)


def make_series(folder: Path, kinds: Iterable[str], scale: Scale) -> dict[str, tuple[DiskSeries, ...]]:
    """Make disks of these kinds below ``folder``, in folders of their own."""
    made = {}
    for kind in kinds:
        (folder / kind).mkdir()
        _make(folder / kind, KINDS[kind].disks, scale)
        made[kind] = tuple(DiskSeries(folder=folder / kind / name) for name in KINDS[kind].disks)
    return made


def _make(folder: Path, disks: dict[str, Maker], scale: Scale) -> None:
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise EnvironmentTroubleError(
                f"The program {program} is not installed.",
                next_step="Run: apt-get install e2fsprogs fdisk ntfs-3g qemu-utils",
            )
    for name, maker in disks.items():
        draft = SeriesDraft(folder / name)
        maker(draft, scale)
        draft.finish()


def _of_debian(kind: str) -> tuple[DiskSeries, ...]:
    """The images of the comparison with its peers, as series: links, which take no room."""
    images = cached_images("full", debian_recipe(), make_debian_images)
    first, second, aged = (images.folder / name for name in IMAGE_NAMES)
    ages = {"installs": {"web01": [first], "db02": [second]}, "upgraded": {"web01": [first, aged]}}[kind]

    def make(folder: Path) -> None:
        for name, paths in ages.items():
            draft = SeriesDraft(folder / name)
            for path in paths:
                os.link(path, draft.first())
            draft.finish()

    folder = cached_folder(f"series-full-{kind}", repr((_VERSION, debian_recipe())).encode(), make)
    return tuple(DiskSeries(folder=folder / name) for name in ages)
