from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from domain.content.keys import RepositoryKeys
from domain.errors import DamagedDataError
from domain.events.restore_point import StoredDisk, StoredFile
from domain.model.extents import Extent
from domain.model.machines import Firmware, Machine, MachineSettings
from domain.model.protection import Consistency
from domain.workflows.point_manifest import (
    PointManifest,
    committed_point,
    decode_manifest,
    encode_manifest,
    looks_like_manifest,
)

KEYS = RepositoryKeys.derived_from(bytes(range(32)))
DISK = StoredDisk(
    number=0,
    disk_id="d",
    name="disk",
    size_bytes=1 << 30,
    sector_size_bytes=512,
    root=b"r" * 32,
    change_mark="mark",
    excluded=(Extent(4096, 8192),),
)
MANIFEST = PointManifest(
    point_id=UUID(int=1),
    backup_id=UUID(int=2),
    machine_id="m",
    machine=Machine(machine_id="m", name="web", host="h", settings=MachineSettings(firmware=Firmware.UEFI), disks=()),
    taken_at=datetime(2026, 11, 22, tzinfo=UTC),
    consistency=Consistency.APPLICATION,
    kind="incremental",
    disks=(DISK,),
    files=(StoredFile(name="a.vmcx", size_bytes=3, chunk_ids=(b"f" * 32,)),),
    excluded_bytes=8192,
    parent_id=UUID(int=3),
)


class Parts:
    """Keeps parts by their ids."""

    def __init__(self) -> None:
        self.kept: dict[bytes, bytes] = {}

    def store(self, part: bytes) -> bytes:
        part_id = blake3(part).digest()
        self.kept[part_id] = part
        return part_id


def no_parts(_part: bytes) -> bytes:
    raise AssertionError("a short manifest has no parts")


def test_a_manifest_is_read_as_it_was_written() -> None:
    chunk = encode_manifest(KEYS, MANIFEST, no_parts)

    assert looks_like_manifest(chunk)
    assert decode_manifest(KEYS, chunk, no_parts) == MANIFEST


def test_a_long_manifest_stands_in_parts() -> None:
    parts = Parts()
    noise = blake3(b"noise").digest(length=3 << 20).hex()
    long = replace(MANIFEST, machine=replace(MANIFEST.machine, guest_hint=noise))

    chunk = encode_manifest(KEYS, long, parts.store)

    assert len(parts.kept) > 1
    assert len(chunk) < 4096
    assert decode_manifest(KEYS, chunk, parts.kept.__getitem__) == long


def test_every_flipped_byte_is_found() -> None:
    chunk = encode_manifest(KEYS, MANIFEST, no_parts)
    for at in range(len(chunk)):
        broken = bytearray(chunk)
        broken[at] ^= 1
        with pytest.raises(DamagedDataError):
            decode_manifest(KEYS, bytes(broken), no_parts)


def test_a_file_of_a_machine_that_looks_like_a_manifest_is_none() -> None:
    forged = encode_manifest(RepositoryKeys.derived_from(bytes(32)), MANIFEST, no_parts)

    assert looks_like_manifest(forged)
    with pytest.raises(DamagedDataError, match="seal"):
        decode_manifest(KEYS, forged, no_parts)


@given(st.binary(max_size=200))
def test_hostile_bytes_are_damage_and_nothing_else(data: bytes) -> None:
    for chunk in (data, b"M1ATSPNT" + data):
        with pytest.raises(DamagedDataError):
            decode_manifest(KEYS, chunk, no_parts)


def test_the_committed_point_says_what_the_manifest_says() -> None:
    event = committed_point(MANIFEST, b"i" * 32, at=datetime(2026, 11, 23, tzinfo=UTC))

    assert (event.originator_id, event.originator_version, event.manifest_id) == (MANIFEST.point_id, 1, b"i" * 32)
    for field in ("backup_id", "machine", "taken_at", "consistency", "kind", "disks", "files", "parent_id"):
        assert getattr(event, field) == getattr(MANIFEST, field)
