"""Restore points that only the packs know: their manifests, and whether everything that they need is there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass

from domain.content.disk_map import ZERO_ID
from domain.content.packs import HEADER_BYTES, PackKind, PackLayout, decode_header
from domain.errors import DamagedDataError
from domain.ports.chunk_index import ChunkIndex
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader, load_layout
from domain.workflows.point_manifest import PointManifest, decode_manifest, looks_like_manifest
from domain.workflows.vault import Vault

_IDS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundPoint:
    """A manifest, and the id of its chunk."""

    manifest: PointManifest
    manifest_id: bytes


def find_points(vault: Vault, reader: ChunkReader, packs: Iterable[bytes], progress: Progress) -> list[FoundPoint]:
    """The points whose manifests stand in the map packs among ``packs``, oldest first, each once.

    A pack or a frame that does not open is passed over.
    """
    found: dict[bytes, FoundPoint] = {}
    progress.begin("Looking for restore points", None)
    for pack_id in packs:
        for manifest_id, chunk in _candidates(vault, pack_id, progress):
            try:
                manifest = decode_manifest(vault.keys, chunk, reader.read_node)
            except DamagedDataError:
                continue
            found[manifest.point_id.bytes] = FoundPoint(manifest=manifest, manifest_id=manifest_id)
    progress.end()
    return sorted(found.values(), key=lambda one: (one.manifest.taken_at, one.manifest.point_id))


def is_complete(reader: ChunkReader, index: ChunkIndex, absent: Collection[bytes], point: FoundPoint) -> bool:
    """Whether the index knows every chunk that the point needs, none of them in the packs ``absent``."""
    try:
        for ids in _needed(reader, point.manifest):
            places = index.locate(ids)
            if len(places) != len(set(ids)) or any(place.pack_id in absent for place in places.values()):
                return False
    except DamagedDataError:
        return False
    return True


def _needed(reader: ChunkReader, manifest: PointManifest) -> Iterator[list[bytes]]:
    """The ids of all chunks of a point, in bounded batches; nodes are read on the way."""
    yield [chunk_id for file in manifest.files for chunk_id in file.chunk_ids]
    for disk in manifest.disks:
        root = reader.read_root(disk.root)
        waiting: set[bytes] = set()
        for number, leaf_id in enumerate(reader.leaf_ids(root)):
            if leaf_id == ZERO_ID:
                continue
            segment_bytes = min(root.segment_bytes, root.disk_bytes - number * root.segment_bytes)
            waiting.update(piece.chunk_id for piece in reader.read_leaf(leaf_id, segment_bytes))
            waiting.discard(ZERO_ID)
            if len(waiting) >= _IDS_AT_ONCE:
                yield list(waiting)
                waiting = set()
        yield list(waiting)


def _candidates(vault: Vault, pack_id: bytes, progress: Progress) -> Iterator[tuple[bytes, bytes]]:
    """Ids and bytes of the chunks of a map pack that start as manifests do and are what they were."""
    try:
        header = decode_header(vault.store.read_pack(pack_id, 0, HEADER_BYTES), vault.repository_id)
        layout = load_layout(vault, pack_id) if header.kind is PackKind.MAP else None
    except DamagedDataError:
        return
    if layout is None:
        return
    for frame in range(layout.table.frame_count):
        try:
            offset, length = layout.frame_place(frame)
            plain = layout.open_frame(frame, vault.store.read_pack(pack_id, offset, length))
        except DamagedDataError:
            continue
        progress.advance(length)
        yield from _manifests_in(vault, layout, frame, plain)


def _manifests_in(vault: Vault, layout: PackLayout, frame: int, plain: bytes) -> Iterator[tuple[bytes, bytes]]:
    for ordinal in layout.chunks_of(frame):
        start, end = layout.chunk_span(ordinal)
        chunk = plain[start:end]
        chunk_id = layout.table.chunk_id(ordinal)
        if looks_like_manifest(chunk) and vault.keys.map_id(chunk) == chunk_id:
            yield chunk_id, chunk
