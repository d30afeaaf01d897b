"""What every frozen disk promises, whatever image it is read from."""

from __future__ import annotations

import random
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import pytest

from adapters.disks.disk_files import open_disk
from domain.model.extents import merged
from domain.ports.disks import FrozenDisk
from tests.unit.disks.qemu_images import converted, patterned_raw
from tests.unit.disks.vhdx_images import MIB, PARTIAL, Block, Image, content_of, linkage

SIZE = 8 * MIB


@dataclass(frozen=True)
class Sample:
    path: Path
    content: bytes


def chain_sample(folder: Path, raw: Path) -> Sample:
    converted(raw, folder / "base.vhdx", "vhdx", "subformat=dynamic,block_size=1M")
    guid = _data_write_guid(folder / "base.vhdx")
    noise = random.Random(5).randbytes(MIB)
    child = Image(
        size_bytes=SIZE,
        parent=linkage(guid, relative_path=".\\base.vhdx"),
        blocks={5: Block(state=PARTIAL, content=noise, present=frozenset(range(4, 100)))},
    )
    (folder / "child.avhdx").write_bytes(child.build())
    content = bytearray(raw.read_bytes())
    content[5 * MIB + 2048 : 5 * MIB + 51_200] = noise[2048:51_200]
    return Sample(folder / "child.avhdx", bytes(content))


def _data_write_guid(path: Path) -> UUID:
    image = path.read_bytes()
    headers = [image[at : at + 4096] for at in (64 << 10, 128 << 10)]
    return UUID(bytes_le=max(headers, key=lambda raw: int.from_bytes(raw[8:16], "little"))[32:48])


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("disks")
    raw = patterned_raw(folder / "disk.raw", SIZE)
    content = raw.read_bytes()
    return {
        "raw": Sample(raw, content),
        "vhdx dynamic": Sample(converted(raw, folder / "d.vhdx", "vhdx", "subformat=dynamic"), content),
        "vhdx fixed": Sample(converted(raw, folder / "f.vhdx", "vhdx", "subformat=fixed"), content),
        "vhd dynamic": Sample(converted(raw, folder / "d.vhd", "vpc", "subformat=dynamic,force_size=on"), content),
        "vhd fixed": Sample(converted(raw, folder / "f.vhd", "vpc", "subformat=fixed,force_size=on"), content),
        "vhdx chain": chain_sample(folder, raw),
    }


KINDS = ["raw", "vhdx dynamic", "vhdx fixed", "vhd dynamic", "vhd fixed", "vhdx chain"]


@pytest.fixture(params=KINDS)
def sample(request: pytest.FixtureRequest, samples: dict[str, Sample]) -> Sample:
    return samples[request.param]


@pytest.fixture
def disk(sample: Sample) -> Iterator[FrozenDisk]:
    opened = open_disk(sample.path)
    yield opened
    opened.close()


pytestmark = pytest.mark.process


def test_it_reads_what_the_guest_wrote(disk: FrozenDisk, sample: Sample) -> None:
    assert disk.size_bytes == len(sample.content)
    assert content_of(disk) == sample.content


def test_any_range_can_be_read_also_the_empty_one(disk: FrozenDisk, sample: Sample) -> None:
    dice = random.Random(8)
    for _ in range(100):
        start = dice.randrange(SIZE)
        length = dice.randrange(min(SIZE - start, 3 * MIB) + 1)
        assert content_of(disk, start, length) == sample.content[start : start + length]


def test_several_threads_may_read_at_once(disk: FrozenDisk, sample: Sample) -> None:
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda at: content_of(disk, at, 100_000), range(0, SIZE - 100_000, 100_000)))
    assert b"".join(parts) == sample.content[: len(parts) * 100_000]


def test_everything_outside_of_the_allocated_extents_is_zero(disk: FrozenDisk, sample: Sample) -> None:
    extents = list(disk.allocated_extents())
    assert extents == list(merged(extents))
    assert all(extent.end <= disk.size_bytes for extent in extents)
    rest = bytearray(sample.content)
    for extent in extents:
        rest[extent.offset : extent.end] = bytes(extent.length)
    assert not any(rest)
    assert list(disk.allocated_extents()) == extents


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2)])
def test_a_range_outside_of_the_disk_is_the_callers_mistake(disk: FrozenDisk, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="leaves"):
        content_of(disk, offset, length)


def test_identity_and_sector_size_are_said(disk: FrozenDisk, sample: Sample) -> None:
    assert disk.sector_size_bytes in {512, 4096}
    assert disk.disk_id == disk.disk_id.lower()
    assert disk.location == str(sample.path)
    again = open_disk(sample.path)
    assert again.disk_id == disk.disk_id
    again.close()


def test_closing_twice_does_nothing(disk: FrozenDisk) -> None:
    disk.close()
    disk.close()
