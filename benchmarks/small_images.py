"""The images ``small``: made of files of this machine by mke2fs and debugfs, without root and without network."""

from __future__ import annotations

import os
import random
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.images import IMAGE_NAMES
from benchmarks.partitioned_disk import MIB, DiskPlan, partition, swap_out
from tests.guests.commands import run

_SOURCES = (Path("/usr/bin"), Path("/usr/share"), Path("/usr/lib/python3"))
_RECIPE_VERSION = 1
_FILE_BYTES_MAX = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class SmallSizes:
    """How much goes onto the disks, in bytes."""

    root_bytes: int = 192 * MIB
    installed_bytes: int = 72 * MIB
    later_bytes: int = 16 * MIB
    swap_bytes: int = 32 * MIB
    swapped_out_bytes: int = 6 * MIB


MEDIUM = SmallSizes(
    root_bytes=1024 * MIB,
    installed_bytes=400 * MIB,
    later_bytes=100 * MIB,
    swap_bytes=128 * MIB,
    swapped_out_bytes=32 * MIB,
)


def recipe(sizes: SmallSizes) -> bytes:
    """What the images depend on besides this machine's files, as bytes to be hashed."""
    return repr((_RECIPE_VERSION, _SOURCES, sizes)).encode()


def make_small_images(folder: Path, sources: Sequence[Path] = _SOURCES, sizes: SmallSizes | None = None) -> None:
    """Write the three images into ``folder``: the same files in two orders, and the first with more added in place.

    Raises EnvironmentTroubleError when a program is missing.
    """
    sizes = sizes or SmallSizes()
    first, second, aged = (folder / name for name in IMAGE_NAMES)
    installed, later = _chosen_files(sources, (sizes.installed_bytes, sizes.later_bytes))
    _install(first, _plan("web01", sizes), installed)
    _install(second, _plan("db02", sizes), random.Random("order of db02").sample(installed, len(installed)))
    run(["cp", "--sparse=auto", str(first), str(aged)])
    _add(aged, _plan("web01", sizes), later)
    swap_out(aged, _plan("web01", sizes), seed="web01, later", first_byte=sizes.swapped_out_bytes // 2)


def _chosen_files(sources: Iterable[Path], wanted_bytes: Sequence[int]) -> list[list[Path]]:
    """One list of plain files for each share of ``wanted_bytes``; a file is in one list at most."""
    found = (
        path for source in sources for path in sorted(source.rglob("*")) if path.is_file() and not path.is_symlink()
    )
    files = ((path, path.lstat().st_size) for path in found)
    usable = [(path, size) for path, size in files if 0 < size <= _FILE_BYTES_MAX and os.access(path, os.R_OK)]
    random.Random("choice of files").shuffle(usable)
    shares: list[list[Path]] = []
    position = 0
    for wanted in wanted_bytes:
        share: list[Path] = []
        while wanted > 0 and position < len(usable):
            path, size = usable[position]
            share.append(path)
            wanted -= size
            position += 1
        shares.append(share)
    return shares


def _plan(host_name: str, sizes: SmallSizes) -> DiskPlan:
    return DiskPlan(
        host_name=host_name,
        root_bytes=sizes.root_bytes,
        swap_bytes=sizes.swap_bytes,
        swapped_out_bytes=sizes.swapped_out_bytes,
    )


def _install(image: Path, plan: DiskPlan, files: Sequence[Path]) -> None:
    """Make the file system from a tree whose folder names follow the order of ``files``: mke2fs goes by names."""
    partition(image, plan)
    with tempfile.TemporaryDirectory(dir=image.parent, prefix="tree.") as folder:
        tree = Path(folder)
        for number, file in enumerate(files):
            place = tree / f"{number // 256:04}"
            place.mkdir(exist_ok=True)
            shutil.copyfile(file, place / f"{number:06}")
        identity = str(plan.identity("root"))
        command = ["mke2fs", "-q", "-F", "-t", "ext4", "-L", plan.host_name, "-U", identity, "-d", str(tree)]
        run([*command, "-E", f"offset={plan.root_offset}", str(image), f"{plan.root_bytes // 1024}k"])


def _add(image: Path, plan: DiskPlan, files: Sequence[Path]) -> None:
    requests = "mkdir later\ncd later\n" + "".join(f'write "{file}" {n:06}\n' for n, file in enumerate(files))
    run(["debugfs", "-w", "-f", "-", f"{image}?offset={plan.root_offset}"], given=requests)
