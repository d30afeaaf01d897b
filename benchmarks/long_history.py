"""Long histories and many packs to recover from, made from random ids: what recovery costs does not depend on data."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.stores.folder import FolderPackStore
from adapters.stores.names import pack_name
from domain.content.chunking import ChunkingParameters
from domain.content.disk_map import MappedPiece, build_map, encode_leaf
from domain.content.keys import RepositoryKeys
from domain.content.packs import CHUNK_ID_BYTES, PackKind, PackTable
from domain.events.backup import BackupFailed, BackupStarted, ChunksWritten
from domain.events.prune import ChunksRepacked, PackDeleted, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.repository import RepositoryCreated
from domain.events.restore_point import StoredDisk
from domain.events.scrub import DamageFound, PacksScrubbed
from domain.model.machines import Firmware, Machine, MachineSettings
from domain.model.protection import Consistency
from domain.workflows.pack_writing import MapWriter, NewChunk, PackWriter
from domain.workflows.point_manifest import PointManifest, encode_manifest
from domain.workflows.vault import Vault

CHUNKS_A_PACK = 1000
PACKS_A_RUN = 100
SEGMENTS_A_POINT = 4
_CHUNKS_A_FRAME = 4
_REAL_CHUNK_BYTES = 512
_EVENTS_AT_ONCE = 50
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def write_history(vault: Vault, events: Path, store: Path, chunks: int, *, reclaimed: bool = False) -> None:
    """An event store of backups that wrote ``chunks`` chunks; their packs are empty files, as only names count.

    ``reclaimed`` puts a scrub that finds damage and a prune after the first run; one stays damaged, one retired.
    """
    waiting: list[RecordedEvent] = []
    with SQLiteEventLog(events) as log:
        for event in _history(vault, chunks // CHUNKS_A_PACK, reclaimed=reclaimed):
            waiting.append(event)
            if isinstance(event, ChunksWritten):
                path = store / "packs" / event.pack_id.hex()[:2] / pack_name(event.pack_id)
                path.parent.mkdir(parents=True, exist_ok=True)
                path.touch()
            if len(waiting) >= _EVENTS_AT_ONCE:
                log.append(waiting)
                waiting = []
        log.append(waiting)


def write_history_of_packs(events: Path, chunks: int) -> None:
    """An event store that says nothing but which chunks were written, for a chunk index of that many."""
    with SQLiteEventLog(events) as log:
        for _ in range(0, chunks // CHUNKS_A_PACK, _EVENTS_AT_ONCE):
            log.append([pack_of() for _ in range(_EVENTS_AT_ONCE)])


def pack_of() -> ChunksWritten:
    """A pack of random chunks, in a stream of its own."""
    return _pack(uuid4(), 1)


def write_packs(vault: Vault, chunks: int) -> int:
    """Real packs of tiny random chunks, with a point for each pack or so of maps; returns how many points."""
    ids: list[bytes] = []
    data = PackWriter(vault, PackKind.DATA, lambda _pack: None)
    for _ in range(chunks // CHUNKS_A_PACK):
        plain = [os.urandom(_REAL_CHUNK_BYTES) for _ in range(CHUNKS_A_PACK)]
        new = [NewChunk(vault.keys.chunk_id(one), one) for one in plain]
        data.write(new)
        data.finish()
        ids += [one.chunk_id for one in new]
    a_segment = vault.chunking.segment_bytes // vault.chunking.chunk_bytes_average
    a_point = a_segment * SEGMENTS_A_POINT
    points = [ids[start : start + a_point] for start in range(0, len(ids) - a_point + 1, a_point)]
    for of_point in points:
        _write_point(vault, of_point, a_segment)
    return len(points)


def _write_point(vault: Vault, ids: list[bytes], a_segment: int) -> None:
    maps = MapWriter(vault, lambda _pack: None)

    def store_node(node: bytes) -> bytes:
        node_id = vault.keys.map_id(node)
        maps.add(node_id, node)
        return node_id

    length = vault.chunking.chunk_bytes_average
    leaves = [
        store_node(encode_leaf([MappedPiece(length, chunk_id) for chunk_id in ids[start : start + a_segment]]))
        for start in range(0, len(ids), a_segment)
    ]
    disk_bytes = len(ids) * length
    root = build_map(leaves, disk_bytes=disk_bytes, segment_bytes=vault.chunking.segment_bytes, store_node=store_node)
    disk = StoredDisk(number=0, disk_id="d", name="disk", size_bytes=disk_bytes, sector_size_bytes=512, root=root)
    store_node(encode_manifest(vault.keys, _manifest(disk), store_node))
    maps.finish()


def _manifest(disk: StoredDisk) -> PointManifest:
    machine = Machine(machine_id="m", name="web", host="h", settings=MachineSettings(firmware=Firmware.BIOS), disks=())
    return PointManifest(
        point_id=uuid4(),
        backup_id=uuid4(),
        machine_id="m",
        machine=machine,
        taken_at=_AT,
        consistency=Consistency.CRASH,
        kind="full",
        disks=(disk,),
        files=(),
        excluded_bytes=0,
    )


def _history(vault: Vault, packs: int, *, reclaimed: bool) -> Iterator[RecordedEvent]:
    yield RepositoryCreated(
        originator_id=uuid4(),
        originator_version=1,
        at=_AT,
        repository_id=vault.repository_id,
        format_version=1,
        segment_bytes=vault.chunking.segment_bytes,
        chunk_bytes_min=vault.chunking.chunk_bytes_min,
        chunk_bytes_average=vault.chunking.chunk_bytes_average,
        chunk_bytes_max=vault.chunking.chunk_bytes_max,
    )
    for first in range(0, packs, PACKS_A_RUN):
        run = list(_run(uuid4(), min(PACKS_A_RUN, packs - first)))
        yield from run
        if reclaimed and first == 0:
            yield from _scrub_and_prune([event for event in run if isinstance(event, ChunksWritten)])


def _scrub_and_prune(packs: Sequence[ChunksWritten]) -> Iterator[RecordedEvent]:
    """All packs are looked at, the first is damaged; the next is repacked and deleted, and one more is retired."""
    damaged, repacked, retired = packs[:3]
    scrub, prune = uuid4(), uuid4()
    for version, event in enumerate(packs, 1):
        yield PacksScrubbed(
            originator_id=scrub, originator_version=version, at=_AT, pack_ids=event.pack_id, read_bytes=event.pack_bytes
        )
    yield DamageFound(
        originator_id=scrub,
        originator_version=len(packs) + 1,
        at=_AT,
        pack_id=damaged.pack_id,
        missing=True,
        what="measured",
        chunk_ids=PackTable.decoded(damaged.table).chunk_ids,
    )
    yield ChunksRepacked(
        originator_id=prune,
        originator_version=1,
        at=_AT,
        pack_id=os.urandom(32),
        pack_bytes=repacked.pack_bytes,
        pack_kind=repacked.pack_kind,
        chunk_count=repacked.chunk_count,
        table=repacked.table,
    )
    for version, event in enumerate((repacked, retired), 2):
        yield PackRetired(
            originator_id=prune,
            originator_version=version,
            at=_AT,
            pack_id=event.pack_id,
            pack_bytes=event.pack_bytes,
            chunk_count=event.chunk_count,
        )
    yield PackDeleted(
        originator_id=prune, originator_version=4, at=_AT, pack_id=repacked.pack_id, pack_bytes=repacked.pack_bytes
    )


def _run(stream: UUID, packs: int) -> Iterator[RecordedEvent]:
    yield BackupStarted(
        originator_id=stream,
        originator_version=1,
        at=_AT,
        machine_id="m",
        machine_name="web",
        kind="full",
        cause="measured",
        parent_id=b"",
    )
    for number in range(packs):
        yield _pack(stream, number + 2)
    yield BackupFailed(originator_id=stream, originator_version=packs + 2, at=_AT, reason="measured", error="")


def _pack(stream: UUID, version: int) -> ChunksWritten:
    frames = CHUNKS_A_PACK // _CHUNKS_A_FRAME
    table = PackTable(
        frame_sealed_bytes=np.full(frames, 100_000, dtype="<u4"),
        frame_codecs=np.ones(frames, dtype="u1"),
        frame_chunks=np.full(frames, _CHUNKS_A_FRAME, dtype="<u2"),
        chunk_bytes=np.full(CHUNKS_A_PACK, 64 << 10, dtype="<u4"),
        chunk_ids=os.urandom(CHUNK_ID_BYTES * CHUNKS_A_PACK),
    )
    return ChunksWritten(
        originator_id=stream,
        originator_version=version,
        at=_AT,
        pack_id=os.urandom(32),
        pack_bytes=32 << 20,
        pack_kind=PackKind.DATA,
        chunk_count=table.chunk_count,
        table=table.encoded(),
    )


def opened_vault(folder: Path, master: bytes) -> Vault:
    """A vault over the store in ``folder`` without the cost of a passphrase."""
    return Vault(
        bytes(16), ChunkingParameters(), RepositoryKeys.derived_from(master), FolderPackStore(folder), os.urandom
    )
