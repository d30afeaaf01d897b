"""A repository with one point of several small packs, whose bits can be flipped and whose events can be looked up."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from domain.content.packs import PackKind
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL

SIZE = 4 * SMALL.segment_bytes
PACK_BYTES = 300 << 10


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SIZE)


def back_up(repository: OpenRepository, *seeds: int) -> None:
    source = ScriptedSource([whole_disk(noise(seed), disk_id=f"d{seed}") for seed in seeds])
    repository.workflow().back_up(source, source.machine)


def packs(repository: OpenRepository, kind: PackKind = PackKind.DATA) -> list[bytes]:
    repository.index.catch_up()
    return [pack.pack_id for pack in repository.index.packs() if pack.kind == kind]


def path_of(repository: OpenRepository, pack_id: bytes) -> Path:
    return repository.folder / "store" / "packs" / pack_id.hex()[:2] / f"{pack_id.hex()}.pack"


def flip(repository: OpenRepository, pack_id: bytes, offset: int) -> None:
    """Flip a bit; doing it twice brings the pack back."""
    path = path_of(repository, pack_id)
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def recorded(repository: OpenRepository, kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in repository.events() if isinstance(event, kind)]
