"""The benchmarks' data: ``python -m benchmarks.data --size full`` builds the images, or finds them built.

Without ``--series`` the three images of the comparison: ``full`` are three Debian disks, ``dense`` the same with the
holes cut out, ``small`` and ``medium`` three little disks made of this machine's own files, without network and root.
With it the series of disks that age (``--series all``, or kinds by name), each age as raw image and VHDX with a list of
what changed. Everything that is drawn comes from ``--seed``.
"""

from __future__ import annotations

import argparse
import sys
from enum import StrEnum

from benchmarks import debian_images, dense_images, small_images
from benchmarks.images import ImageSet, allocated_bytes, cached_images, virtual_bytes
from benchmarks.series.catalog import KINDS, SeriesSize, series
from domain.errors import AtestaError, BadInputError


class Size(StrEnum):
    """Which images."""

    SMALL = "small"
    MEDIUM = "medium"
    FULL = "full"
    DENSE = "dense"


def images(size: Size) -> ImageSet:
    """The images of this size, built when they are not there. Raises EnvironmentTroubleError."""
    if size in {Size.SMALL, Size.MEDIUM}:
        sizes = small_images.SmallSizes() if size is Size.SMALL else small_images.MEDIUM
        return cached_images(
            size, small_images.recipe(sizes), lambda folder: small_images.make_small_images(folder, sizes=sizes)
        )
    full = cached_images("full", debian_images.recipe(), debian_images.make_debian_images)
    if size is Size.FULL:
        return full
    return cached_images(
        "dense", full.folder.name.encode(), lambda folder: dense_images.make_dense_images(full, folder)
    )


def main() -> int:
    """Build what the command line names and say how large it is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    parser.add_argument("--series", nargs="+", metavar="KIND", choices=["all", *KINDS], help=f"all, {', '.join(KINDS)}")
    parser.add_argument("--seed", default="atesta", help="decides on what is drawn in a series")
    chosen = parser.parse_args()
    try:
        if chosen.series:
            _print_series(list(KINDS) if "all" in chosen.series else chosen.series, chosen.size, chosen.seed)
        else:
            _print_images(images(chosen.size))
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _print_images(found: ImageSet) -> None:
    for path in found.paths:
        print(f"{path}: {allocated_bytes(path) / 1e6:,.0f} MB allocated of {virtual_bytes(path) / 1e6:,.0f} MB")


def _print_series(kinds: list[str], size: Size, seed: str) -> None:
    if size is Size.DENSE:
        raise BadInputError("There are no dense series.", next_step="Choose small, medium or full.")
    for kind in kinds:
        print(f"{kind}: {KINDS[kind].what}")
        for disk in series(kind, SeriesSize(size.value), seed):
            for age in disk.ages:
                sizes = f"{allocated_bytes(age) / 1e6:,.0f} MB allocated of {virtual_bytes(age) / 1e6:,.0f} MB"
                print(f"  {age}: {sizes}; VHDX {virtual_bytes(disk.vhdx(age)) / 1e6:,.0f} MB")


if __name__ == "__main__":
    sys.exit(main())
