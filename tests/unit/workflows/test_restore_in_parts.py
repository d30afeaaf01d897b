"""A restore into an image that takes any order works in parts of a segment: domain/workflows/restore.py."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.disks.writing.raw_writer import RawWriter
from adapters.stores.memory import MemoryPackStore
from domain.events.restore_point import StoredDisk
from domain.ports.progress import Silent
from domain.workflows import restore
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from domain.workflows.restore import restore_disk
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.vaults import SMALL, small_vault


@pytest.mark.parametrize("part_bytes", [SMALL.chunk_bytes_max, 3 * SMALL.chunk_bytes_max, SMALL.segment_bytes])
def test_a_disk_comes_back_whatever_fits_into_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part_bytes: int
) -> None:
    monkeypatch.setattr(restore, "_PART_BYTES", part_bytes)
    noise = random.Random(7).randbytes(SMALL.segment_bytes // 2 + 512)
    content = noise + bytes(SMALL.segment_bytes) + noise[:40_960] + bytes(4 * SMALL.chunk_bytes_max) + noise
    vault, index = small_vault(MemoryPackStore()), MemoryChunkIndex()
    with Ingest(vault, index, index.record, Silent(), 1) as ingest:
        root = ingest.take_disk(whole_disk(content)).root
        ingest.finish()
    stored = StoredDisk(number=0, disk_id="d", name="d", size_bytes=len(content), sector_size_bytes=512, root=root)

    writer = RawWriter(tmp_path / "disk", len(content))
    restored = restore_disk(ChunkReader(vault, index), stored, writer, Silent(), 2)
    writer.finish()

    assert (tmp_path / "disk").read_bytes() == content
    assert 2 * len(noise) <= restored.data_bytes < len(content)
