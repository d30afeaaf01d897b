"""Chains of differencing disks with random states and bitmaps, against a byte-array model and libvhdi."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from uuid import UUID

import pyvhdi
from hypothesis import example, given, settings
from hypothesis import strategies as st

from adapters.disks.disk_files import open_disk
from tests.unit.disks.vhdx_images import (
    FULL,
    MIB,
    NOT_PRESENT,
    PARTIAL,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    Block,
    Image,
    content_of,
    linkage,
    open_image,
)

SECTORS = 2048
EMPTY_STATES = {UNDEFINED, ZERO, UNMAPPED}
NOISE = random.Random(11).randbytes(2 * MIB)

Layer = dict[int, tuple[int, int]]
"""Block number -> (state, seed of its content and bitmap)."""


def layers(states: Sequence[int]) -> st.SearchStrategy[Layer]:
    return st.dictionaries(st.integers(0, 5), st.tuples(st.sampled_from(states), st.integers(0, 1000)), max_size=5)


def block_of(state: int, seed: int) -> Block:
    dice = random.Random(seed)
    start = dice.randrange(MIB)
    runs = [dice.sample(range(SECTORS), 2) for _ in range(dice.randrange(6))]
    present = frozenset(sector for run in runs for sector in range(min(run), max(run)))
    return Block(state=state, content=NOISE[start : start + MIB], present=present)


def build(layer: Layer, depth: int) -> Image:
    return Image(
        size_bytes=6 * MIB - 512 * 3,
        write_guid=UUID(int=depth + 1),
        parent=linkage(UUID(int=depth), relative_path=f".\\{depth - 1}.vhdx") if depth else None,
        blocks={number: block_of(*entry) for number, entry in layer.items()},
    )


def apply(model: bytearray, image: Image) -> None:
    """What the guest sees once ``image`` lies on top of ``model``, from the words of the specification."""
    for number, block in image.blocks.items():
        start, end = number * MIB, min((number + 1) * MIB, image.size_bytes)
        if block.state == FULL:
            model[start:end] = block.content[: end - start]
        elif block.state in EMPTY_STATES:
            model[start:end] = bytes(end - start)
        elif block.state == PARTIAL:
            for sector in block.present:
                at = start + sector * 512
                if at < end:
                    model[at : at + 512] = block.content[sector * 512 : sector * 512 + 512]


def build_chain(base: Layer, children: Sequence[Layer]) -> tuple[list[Image], bytearray]:
    images = [build(layer, depth) for depth, layer in enumerate([base, *children])]
    model = bytearray(images[0].size_bytes)
    for image in images:
        apply(model, image)
    return images, model


@settings(max_examples=60, deadline=None)
@given(
    base=layers([FULL, ZERO, UNDEFINED, UNMAPPED, NOT_PRESENT]),
    children=st.lists(layers([FULL, ZERO, UNDEFINED, UNMAPPED, NOT_PRESENT, PARTIAL]), max_size=3),
    reads=st.lists(st.tuples(st.integers(0, 6 * MIB), st.integers(0, 3 * MIB)), max_size=10),
)
@example(base={0: (FULL, 1)}, children=[{0: (PARTIAL, 2)}, {0: (PARTIAL, 3)}], reads=[(1500, 5000)])
def test_a_chain_reads_as_the_specification_says(
    base: Layer, children: list[Layer], reads: list[tuple[int, int]]
) -> None:
    images, model = build_chain(base, children)
    disk = open_image(*[image.build() for image in reversed(images)])
    assert content_of(disk) == model
    for start, length in reads:
        first = min(start, disk.size_bytes)
        count = min(length, disk.size_bytes - first)
        assert content_of(disk, first, count) == model[first : first + count]
    extents = list(disk.allocated_extents())
    assert all(before.end < after.offset for before, after in pairwise(extents))
    for extent in extents:
        model[extent.offset : extent.end] = bytes(extent.length)
    assert not any(model), "data outside of the allocated extents"


WITH_BITMAP = st.builds(lambda layer, seed: layer | {5: (PARTIAL, seed)}, layers([FULL, PARTIAL]), st.integers(0, 1000))


@settings(max_examples=15, deadline=None)
@given(base=layers([FULL, NOT_PRESENT]), children=st.lists(WITH_BITMAP, min_size=1, max_size=3))
def test_libvhdi_reads_the_same_from_chains(base: Layer, children: list[Layer]) -> None:
    """Without the states 1 to 3, and with a bitmap in each child.

    libvhdi 20260901 takes a child's block in one of these states from the parent, and in a chunk without a bitmap
    block it takes the start of the file for the bitmap; the model test above covers both.
    """
    images, model = build_chain(base, children)
    with tempfile.TemporaryDirectory() as folder:
        for depth, image in enumerate(images):
            Path(folder, f"{depth}.vhdx").write_bytes(image.build())
        top = Path(folder, f"{len(images) - 1}.vhdx")
        disk = open_disk(top)
        assert content_of(disk) == model
        disk.close()
        assert content_by_libvhdi(top, len(images)) == model


def content_by_libvhdi(top: Path, count: int) -> bytes:
    files: list[pyvhdi.file] = []
    for depth in range(count):
        file = pyvhdi.file()
        file.open(str(top.with_name(f"{depth}.vhdx")))
        if files:
            assert file.parent_identifier == files[-1].identifier
            file.set_parent(files[-1])
        files.append(file)
    content: bytes = files[-1].read_buffer_at_offset(files[-1].media_size, 0)
    for file in reversed(files):
        file.close()
    return content
