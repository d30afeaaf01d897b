"""The benchmark's data: ``python -m benchmarks.data --size full`` builds the images, or finds them built.

``full`` are three Debian disks, ``dense`` the same with the holes cut out, ``small`` three little disks made of this
machine's own files without network and without root.
"""

from __future__ import annotations

import argparse
import sys
from enum import StrEnum

from benchmarks import debian_images, dense_images, small_images
from benchmarks.images import ImageSet, allocated_bytes, cached_images, virtual_bytes
from domain.errors import AtestaError


class Size(StrEnum):
    """Which images."""

    SMALL = "small"
    FULL = "full"
    DENSE = "dense"


def images(size: Size) -> ImageSet:
    """The images of this size, built when they are not there. Raises EnvironmentTroubleError."""
    if size is Size.SMALL:
        return cached_images("small", small_images.recipe(), small_images.make_small_images)
    full = cached_images("full", debian_images.recipe(), debian_images.make_debian_images)
    if size is Size.FULL:
        return full
    return cached_images(
        "dense", full.folder.name.encode(), lambda folder: dense_images.make_dense_images(full, folder)
    )


def main() -> int:
    """Build the images that the command line names and say how large they are."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.data", description=__doc__)
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    chosen = parser.parse_args()
    try:
        found = images(chosen.size)
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    for path in found.paths:
        print(f"{path}: {allocated_bytes(path) / 1e6:,.0f} MB allocated of {virtual_bytes(path) / 1e6:,.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
