"""A bounded, repeatable fuzzer: damaged and hostile images end in Atesta's errors or read as something, never worse."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Callable

import pytest

from adapters.disks.crc32c import crc32c
from domain.errors import AtestaError, BadInputError, DamagedDataError
from tests.unit.disks.vhdx_images import (
    BAT_AT,
    FULL,
    LOG_AT,
    LOG_GUID,
    METADATA_AT,
    MIB,
    PARTIAL,
    ZERO,
    Block,
    Image,
    linkage,
    log_entry,
    open_image,
)

NOISE = random.Random(1).randbytes(MIB)
ROUNDS = 60
MEMORY_MAX = 160 * MIB
INTERESTING = [0, 1, 4, 0xFF, 511, 4096, MIB, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1, 6 | MIB]


def clean_layers() -> tuple[bytes, bytes]:
    base = Image(size_bytes=8 * MIB, blocks={n: Block(state=FULL, content=NOISE) for n in (0, 2)}).build()
    child = Image(
        size_bytes=8 * MIB,
        parent=linkage(relative_path="base.vhdx", absolute_win32_path="C:\\base.vhdx"),
        blocks={0: Block(state=PARTIAL, content=NOISE, present=frozenset(range(4, 99))), 1: Block(state=ZERO)},
        log_guid=LOG_GUID,
    ).build()
    bat = bytes(child[BAT_AT : BAT_AT + 4096])
    first = log_entry(5, 0, [(BAT_AT, bat), (MIB * 5 - 4096, 4096)], file_bytes=len(child))
    second = log_entry(6, 0, [(BAT_AT, bat)], file_bytes=len(child))
    child[LOG_AT : LOG_AT + len(first + second)] = first + second
    return bytes(child), bytes(base)


CHILD, BASE = clean_layers()

# name -> (range to damage, ranges whose checksum is put right afterwards)
STRUCTURES = {
    "headers": ((64 << 10, 80), [(64 << 10, 4096), (128 << 10, 4096)]),
    "second header": ((128 << 10, 80), [(128 << 10, 4096)]),
    "region table": ((192 << 10, 80), [(192 << 10, 64 << 10)]),
    "second region table": ((256 << 10, 80), [(256 << 10, 64 << 10)]),
    "metadata table": ((METADATA_AT, 224), []),
    "metadata items": ((METADATA_AT + (64 << 10), 320), []),
    "block table": ((BAT_AT, 64), []),
    "bitmap entry": ((BAT_AT + 4096 * 8, 8), []),
    "log entry": ((LOG_AT, 160), [(LOG_AT, 8192)]),
    "log data": ((LOG_AT + 4096, 4096), [(LOG_AT, 8192)]),
    "second log entry": ((LOG_AT + 8192, 160), [(LOG_AT + 8192, 8192)]),
}


def damage(image: bytearray, at: int, length: int, dice: random.Random) -> None:
    for _ in range(dice.choice([1, 1, 2, 5])):
        width = dice.choice([1, 2, 4, 8])
        place = at + dice.randrange(length) // width * width
        value = dice.choice(
            [dice.getrandbits(64), dice.choice(INTERESTING), int.from_bytes(image[place : place + 8], "little")]
        )
        raw = struct.pack("<Q", value ^ (1 << dice.randrange(64)) if dice.random() < 0.3 else value)[:width]
        image[place : place + width] = raw


def reseal(image: bytearray, at: int, length: int) -> None:
    image[at + 4 : at + 8] = bytes(4)
    image[at + 4 : at + 8] = struct.pack("<I", crc32c(image[at : at + length]))


def outcome(action: Callable[[], None]) -> str:
    caught: AtestaError | None = None
    try:
        action()
    except AtestaError as error:
        caught = error
    if caught is None:
        return "read"
    assert isinstance(caught, (DamagedDataError, BadInputError)), caught
    assert all((caught.what, caught.where, caught.next_step))
    return type(caught).__name__


def read_all(child: bytes | bytearray, base: bytes | bytearray) -> None:
    disk = open_image(child, base)
    buffer = memoryview(bytearray(MIB))
    for number, extent in enumerate(disk.allocated_extents()):
        if number < 16:
            length = min(extent.length, MIB)
            disk.read_into(extent.offset, buffer[:length])
            disk.read_into(extent.end - length, buffer[:length])
    disk.read_into(0, buffer[: min(MIB, disk.size_bytes)])
    disk.close()


def test_the_undamaged_layers_can_be_read() -> None:
    assert outcome(lambda: read_all(CHILD, BASE)) == "read"


@pytest.mark.parametrize("structure", STRUCTURES)
def test_damage_to_a_structure_ends_in_a_typed_error_or_a_readable_disk(structure: str) -> None:
    (at, length), seals = STRUCTURES[structure]
    dice = random.Random(structure)
    for number in range(ROUNDS):
        image = bytearray(CHILD)
        damage(image, at, length, dice)
        for seal in seals if number % 3 else []:
            reseal(image, *seal)
        assert outcome(lambda image=image: read_all(image, BASE))  # type: ignore[misc]


@pytest.mark.parametrize("structure", STRUCTURES)
def test_absurd_numbers_take_no_absurd_memory(structure: str) -> None:
    (at, length), seals = STRUCTURES[structure]
    tracemalloc.start()
    for place in range(at, at + min(length, 128), 8):
        for value in (1 << 40, (1 << 64) - 1):
            image = bytearray(CHILD)
            image[place : place + 8] = struct.pack("<Q", value)
            for seal in seals:
                reseal(image, *seal)
            outcome(lambda image=image: read_all(image, BASE))  # type: ignore[misc]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < MEMORY_MAX


def test_cuts_at_any_length_end_in_a_typed_error() -> None:
    dice = random.Random(9)
    for _ in range(100):
        length = dice.randrange(len(CHILD))
        assert outcome(lambda length=length: read_all(CHILD[:length], BASE)) == "DamagedDataError"  # type: ignore[misc]


def test_damage_to_the_parent_ends_in_a_typed_error_or_a_readable_disk() -> None:
    dice = random.Random(10)
    for _ in range(100):
        image = bytearray(BASE)
        damage(image, *STRUCTURES[dice.choice(["metadata table", "metadata items", "block table"])][0], dice)
        assert outcome(lambda image=image: read_all(CHILD, image))  # type: ignore[misc]
