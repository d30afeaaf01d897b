"""What the VHDX writer writes, our reader and an independent one read back, against a byte-array model."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pyvhdi
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.disks.disk_files import open_disk
from adapters.disks.writing.vhdx_writer import VhdxWriter
from tests.unit.disks.vhdx_images import MIB, content_of

Pieces = list[tuple[int, int, int]]
PIECES = st.lists(
    st.tuples(st.integers(0, 3 * MIB), st.integers(1, 300_000), st.integers(1, 255)),  # gap, length, fill
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(
    pieces=PIECES,
    size_sectors=st.integers(1, 4000),
    sector_bytes=st.sampled_from([512, 4096]),
    block_bytes=st.sampled_from([MIB, 2 * MIB, 8 * MIB]),
    window=st.tuples(st.integers(0, 1 << 24), st.integers(0, 1 << 21)),
)
def test_every_reader_sees_what_was_written(
    pieces: Pieces, size_sectors: int, sector_bytes: int, block_bytes: int, window: tuple[int, int]
) -> None:
    size = size_sectors * sector_bytes
    model = bytearray(size)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "disk.vhdx")
        writer = VhdxWriter(path, size, sector_size_bytes=sector_bytes, block_bytes=block_bytes)
        position = 0
        for gap, length, fill in pieces:
            position += gap
            data = bytes([fill]) * min(length, max(0, size - position))
            if not data:
                break
            writer.write(position, memoryview(data))
            model[position : position + len(data)] = data
            position += len(data)
        writer.finish()
        disk = open_disk(path)
        start = min(window[0], size)
        length = min(window[1], size - start)
        assert content_of(disk, start, length) == model[start : start + length]
        assert content_of(disk) == model
        for extent in disk.allocated_extents():
            model[extent.offset : extent.end] = bytes(extent.length)
        assert not any(model), "data outside of the allocated extents"
        assert independent_content(path, size) == content_of(disk)
        disk.close()


def independent_content(path: Path, size: int) -> bytes:
    file = pyvhdi.file()
    file.open(str(path))
    try:
        assert file.media_size == size
        content: bytes = file.read_buffer_at_offset(size, 0)
    finally:
        file.close()
    return content
