"""The host's differencing disks, read by libvhdi, by qemu-img (base disks) and by the reader of the product."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest
import pyvhdi
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.disks.disk_files import open_disk
from domain.errors import DamagedDataError
from tests.standin.differencing_disk import create_child, merge, relink
from tests.standin.live_vhdx import LiveVhdx
from tests.unit.disks.vhdx_images import MIB, content_of

SIZE = 10 * MIB
NOISE = random.Random(3).randbytes(4 * MIB)

Write = tuple[int, int, int]
"""First sector, sectors, and where in the noise the bytes begin."""

writes = st.lists(st.tuples(st.integers(0, SIZE // 512 - 1), st.integers(1, 6000), st.integers(0, 1000)), max_size=4)


def base_disk(folder: Path) -> Path:
    path = folder / "disk.vhdx"
    subprocess.run(["qemu-img", "create", "-q", "-f", "vhdx", str(path), str(SIZE)], check=True)
    return path


def write(path: Path, model: bytearray, changes: list[Write]) -> None:
    with LiveVhdx(path) as disk:
        for sector, count, start in changes:
            length = min(count, SIZE // 512 - sector) * 512
            data = NOISE[start : start + length]
            disk.write(sector * 512, data)
            model[sector * 512 : sector * 512 + length] = data


def by_libvhdi(*chain: Path) -> bytes:
    files: list[pyvhdi.file] = []
    for path in chain:
        file = pyvhdi.file()
        file.open(str(path))
        if files:
            assert file.parent_identifier == files[-1].identifier
            file.set_parent(files[-1])
        files.append(file)
    content: bytes = files[-1].read_buffer_at_offset(files[-1].media_size, 0)
    for file in reversed(files):
        file.close()
    return content


def by_product(path: Path) -> bytes:
    disk = open_disk(path)
    try:
        return content_of(disk)
    finally:
        disk.close()


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(first=writes, second=writes, third=writes)
def test_chains_and_merges_read_as_the_guest_wrote_them(
    first: list[Write], second: list[Write], third: list[Write], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("chain")
    base, middle, leaf = base_disk(folder), folder / "disk_1.avhdx", folder / "disk_2.avhdx"
    content = bytearray(SIZE)
    write(base, content, first)
    frozen_base = bytes(content)
    subprocess.run(["qemu-img", "check", "-q", str(base)], check=True)
    create_child(middle, base, parent_path="D:\\VMs\\disk.vhdx")
    write(middle, content, second)
    frozen_middle = bytes(content)
    create_child(leaf, middle, parent_path="D:\\VMs\\disk_1.avhdx")
    write(leaf, content, third)

    assert by_libvhdi(base) == by_product(base) == frozen_base
    assert by_libvhdi(base, middle) == by_product(middle) == frozen_middle
    assert by_libvhdi(base, middle, leaf) == by_product(leaf) == content

    merge(middle, base)
    relink(leaf, base, parent_path="D:\\VMs\\disk.vhdx")
    assert by_libvhdi(base) == frozen_middle
    assert by_libvhdi(base, leaf) == by_product(leaf) == content
    merge(leaf, base)
    assert by_libvhdi(base) == by_product(base) == content


def test_a_parent_that_was_written_afterwards_is_refused(tmp_path: Path) -> None:
    base, leaf = base_disk(tmp_path), tmp_path / "disk_1.avhdx"
    create_child(leaf, base, parent_path="D:\\VMs\\disk.vhdx")
    with LiveVhdx(base) as disk:
        disk.write(0, bytes(512))
    with pytest.raises(DamagedDataError, match="changed since"):
        open_disk(leaf)


def test_a_guest_cannot_write_parts_of_sectors(tmp_path: Path) -> None:
    with LiveVhdx(base_disk(tmp_path)) as disk, pytest.raises(ValueError, match="whole sectors"):
        disk.write(100, bytes(512))
