"""A Windows-like NTFS disk, a disk of growing logs, one that cannot be compressed, and an empty one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from benchmarks.series.draft import SeriesDraft
from benchmarks.series.ext4_volume import Ext4Volume, FileCopy
from benchmarks.series.installs import log_lines, write_content
from benchmarks.series.ntfs_volume import copy_in, make_ntfs, ntfs_volume
from benchmarks.series.scale import Scale
from benchmarks.swap_garbage import swapped_out_pages

_PAGE_BYTES = 4096
_PIECE_BYTES = 64 << 10


def make_ntfs_disk(draft: SeriesDraft, scale: Scale) -> None:
    """Files and a page file; in the second age a quarter of the page file is other pages, and there are more files."""
    files = scale.files("installed", scale.mib(12))
    later = [path for path in scale.files("on windows, later", scale.mib(3)) if path not in set(files)]
    pages = swapped_out_pages(f"{scale.seed}/page file", scale.mib(4) // _PAGE_BYTES)
    image = draft.first()
    make_ntfs(image, scale.mib(48), "System")
    with ntfs_volume(image) as volume, tempfile.TemporaryDirectory(prefix="atesta-series.") as folder:
        page_file = Path(folder) / "pagefile.sys"
        page_file.write_bytes(pages)
        copy_in(volume, [FileCopy(source=page_file, path="pagefile.sys")])
        copy_in(volume, [FileCopy(source=path, path=f"{number:06}") for number, path in enumerate(files)])
    with ntfs_volume(draft.aged()) as volume, tempfile.TemporaryDirectory(prefix="atesta-series.") as folder:
        page_file = Path(folder) / "pagefile.sys"
        other = swapped_out_pages(f"{scale.seed}/page file, later", scale.mib(1) // _PAGE_BYTES)
        page_file.write_bytes(other + pages[len(other) :])
        copy_in(volume, [FileCopy(source=page_file, path="pagefile.sys")])
        copy_in(volume, [FileCopy(source=path, path=f"later-{number:06}") for number, path in enumerate(later)])


def make_logs(draft: SeriesDraft, scale: Scale) -> None:
    """Four ages: each has one more rotated log, and nothing else changes."""
    image = draft.first()
    Ext4Volume(image, scale.mib(24)).make("log01", ["/var", "/var/log"])
    for age in (1, 2, 3, 4):
        volume = Ext4Volume(image if age == 1 else draft.aged(), scale.mib(24), age=age)
        write_content(volume, {f"/var/log/syslog.{age}": log_lines(scale, f"day {age}", scale.mib(2))})


def make_noise(draft: SeriesDraft, scale: Scale) -> None:
    """Random bytes without partitions, as an encrypted disk is; two per cent are written anew for the second age."""
    drawing = scale.drawing("noise")
    size = scale.mib(16)
    with draft.first().open("wb") as disk:
        for _ in range(size // _PIECE_BYTES):
            disk.write(drawing.randbytes(_PIECE_BYTES))
    with draft.aged().open("r+b") as disk:
        for place in sorted(drawing.sample(range(size // _PIECE_BYTES), max(1, size // _PIECE_BYTES // 50))):
            disk.seek(place * _PIECE_BYTES)
            disk.write(drawing.randbytes(_PIECE_BYTES))


def make_empty(draft: SeriesDraft, scale: Scale) -> None:
    """Two ages of nothing."""
    with draft.first().open("wb") as disk:
        disk.truncate(scale.mib(1024))
    draft.aged()
