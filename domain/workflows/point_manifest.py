"""Point manifests, version 1 (docs/formats/manifest.md): a restore point described in the packs themselves.

A manifest is a chunk of map kind that becomes durable after everything that its point needs. Configuration files of
machines are chunks of map kind as well and hold what anybody wrote into them, so a manifest carries a keyed seal.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
import zstandard
from blake3 import blake3

from domain.content.chunking import CHUNK_BYTES_LIMIT
from domain.content.keys import RepositoryKeys
from domain.content.packs import CHUNK_ID_BYTES
from domain.errors import DamagedDataError
from domain.events.restore_point import RestorePointCommitted, StoredDisk, StoredFile
from domain.model.machines import Machine
from domain.model.protection import Consistency

_HEAD = struct.Struct("<8sBBHI")
_MAGIC = b"M1ATSPNT"
_SEAL_BYTES = 32
_INLINE, _IN_PARTS = 0, 1
_BODY_BYTES_LIMIT = 64 << 20
_PARTS_MAX = _BODY_BYTES_LIMIT // CHUNK_BYTES_LIMIT
_PLAIN_BYTES_LIMIT = 256 << 20
_INLINE_BYTES_MAX = CHUNK_BYTES_LIMIT - _HEAD.size - _SEAL_BYTES
_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")


@dataclass(frozen=True, slots=True, kw_only=True)
class PointManifest:
    """What ``restore-point-committed`` says of a point, without the event store."""

    point_id: UUID
    backup_id: UUID
    machine_id: str
    machine: Machine
    taken_at: datetime
    consistency: Consistency
    kind: str
    disks: tuple[StoredDisk, ...]
    files: tuple[StoredFile, ...]
    excluded_bytes: int
    parent_id: UUID | None = None


def committed_point(manifest: PointManifest, manifest_id: bytes, *, at: datetime) -> RestorePointCommitted:
    """The event that commits the point of a manifest."""
    return RestorePointCommitted(
        originator_id=manifest.point_id,
        originator_version=1,
        at=at,
        backup_id=manifest.backup_id,
        machine_id=manifest.machine_id,
        machine=manifest.machine,
        taken_at=manifest.taken_at,
        consistency=manifest.consistency,
        kind=manifest.kind,
        disks=manifest.disks,
        files=manifest.files,
        excluded_bytes=manifest.excluded_bytes,
        parent_id=manifest.parent_id,
        manifest_id=manifest_id,
    )


def encode_manifest(keys: RepositoryKeys, manifest: PointManifest, store_part: Callable[[bytes], bytes]) -> bytes:
    """The chunk of a manifest; a long one has its body stored in parts by ``store_part``, which returns their ids."""
    body = zstandard.ZstdCompressor(level=3, write_content_size=True).compress(_ENCODER.encode(manifest))
    form = _INLINE
    if len(body) > _INLINE_BYTES_MAX:
        form = _IN_PARTS
        body = b"".join(store_part(body[at : at + CHUNK_BYTES_LIMIT]) for at in range(0, len(body), CHUNK_BYTES_LIMIT))
    signed = _HEAD.pack(_MAGIC, 1, form, 0, len(body)) + body
    return signed + blake3(signed, key=keys.manifest_key()).digest()


def looks_like_manifest(chunk: bytes) -> bool:
    """Whether a chunk starts as a manifest does; only ``decode_manifest`` tells whether it is one."""
    return chunk.startswith(_MAGIC)


def decode_manifest(keys: RepositoryKeys, chunk: bytes, read_part: Callable[[bytes], bytes]) -> PointManifest:
    """Read a manifest; ``read_part`` reads a part by its id. Raises DamagedDataError for what is none."""
    if len(chunk) < _HEAD.size + _SEAL_BYTES:
        raise _damaged("it is too short")
    magic, version, form, _reserved, length = _HEAD.unpack_from(chunk)
    if magic != _MAGIC or length != len(chunk) - _HEAD.size - _SEAL_BYTES:
        raise _damaged("it does not start as one")
    if blake3(chunk[:-_SEAL_BYTES], key=keys.manifest_key()).digest() != chunk[-_SEAL_BYTES:]:
        raise _damaged("its seal is not that of this repository")
    if version != 1 or form not in (_INLINE, _IN_PARTS):
        raise _damaged(f"its version {version} is unknown")
    body = chunk[_HEAD.size : -_SEAL_BYTES]
    if form == _IN_PARTS:
        body = _joined(body, read_part)
    return _decoded(body)


def _joined(ids: bytes, read_part: Callable[[bytes], bytes]) -> bytes:
    if len(ids) % CHUNK_ID_BYTES or not 0 < len(ids) // CHUNK_ID_BYTES <= _PARTS_MAX:
        raise _damaged("it has an absurd number of parts")
    return b"".join(read_part(ids[at : at + CHUNK_ID_BYTES]) for at in range(0, len(ids), CHUNK_ID_BYTES))


def _decoded(body: bytes) -> PointManifest:
    try:
        if not 0 < zstandard.frame_content_size(body) <= _PLAIN_BYTES_LIMIT:
            raise _damaged("it has an absurd length")
        plain = zstandard.ZstdDecompressor().decompress(body)
        return msgspec.msgpack.decode(plain, type=PointManifest)
    except (zstandard.ZstdError, msgspec.MsgspecError, ValueError, TypeError) as error:
        raise _damaged("its body cannot be read") from error


def _damaged(why: str) -> DamagedDataError:
    return DamagedDataError(f"A point manifest is damaged: {why}.")
