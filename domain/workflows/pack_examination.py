"""Looking at one stored pack: its bytes against its name, and with the key also every frame and every chunk in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from blake3 import blake3

from domain.content.packs import CHUNK_ID_BYTES, PackKind, PackLayout
from domain.errors import DamagedDataError
from domain.ports.chunk_index import IndexedPack, RecordedPack
from domain.ports.store import PackStore
from domain.workflows.chunk_reading import load_layout, recorded_layout
from domain.workflows.vault import Vault

_READ_BYTES = 4 << 20
_WRITTEN_WRONGLY = "its bytes are those that were written, but what was written is wrong: "
_DIGEST_DIGITS_SHOWN = 16
Pace = Callable[[int], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PackDamage:
    """What is wrong with a pack: ``chunk_ids`` (end to end) cannot be read from it, or may be unreadable.

    ``examined``: its chunks were looked at one by one; else all of them are named, because nobody had the key.
    """

    missing: bool
    what: str
    chunk_ids: bytes
    examined: bool


def is_wrong_as_written(what: str) -> bool:
    """Whether a damage is one that only a look with the key can find or deny."""
    return what.startswith(_WRITTEN_WRONGLY)


def name_mismatch(store: PackStore, pack: IndexedPack, pace: Pace) -> str:
    """Compare a pack's bytes with its name; empty when they agree, else a sentence that is the same for equal bytes.

    ``pace`` is called after each read with its length. Raises DamagedDataError when the pack is missing,
    EnvironmentTroubleError when the store is in the way.
    """
    size = store.pack_bytes(pack.pack_id)
    if size != pack.pack_bytes:
        return size_mismatch(pack, size)
    digest = blake3()
    for offset in range(0, size, _READ_BYTES):
        try:
            data = store.read_pack(pack.pack_id, offset, min(_READ_BYTES, size - offset))
        except DamagedDataError as error:
            return f"it cannot be read at byte {offset}: {error.what}"
        digest.update(data)
        pace(len(data))
    found = digest.digest()
    if found == pack.pack_id:
        return ""
    return f"its bytes are not those of its name, their digest is {found.hex()[:_DIGEST_DIGITS_SHOWN]}..."


def size_mismatch(pack: IndexedPack, found_bytes: int) -> str:
    """What is wrong with a pack of another size."""
    return f"it has {found_bytes} bytes and was written with {pack.pack_bytes}"


def examined(vault: Vault, pack_id: bytes, recorded: RecordedPack, mismatch: str) -> PackDamage | None:
    """Open every frame of a pack and rehash every chunk; None when all is as it was written.

    The table of the pack's event says what should be there, so that a damaged header, footer or trailer costs no chunk
    that can still be read. ``mismatch`` is what ``name_mismatch`` said.
    """
    own = _trouble_with_own_table(vault, pack_id, recorded)
    bad = b"".join(_unreadable_chunks(vault, pack_id, recorded))
    if not (mismatch or own or bad):
        return None
    found = own or (f"{len(bad) // CHUNK_ID_BYTES} chunks cannot be read" if bad else "")
    what = f"{mismatch}; {found}" if mismatch and found else mismatch or _WRITTEN_WRONGLY + found
    return PackDamage(missing=False, what=what, chunk_ids=bad, examined=True)


def _trouble_with_own_table(vault: Vault, pack_id: bytes, recorded: RecordedPack) -> str:
    """What is wrong with the header, footer and trailer; empty when they say what the pack's event says."""
    try:
        layout = load_layout(vault, pack_id)
    except DamagedDataError as error:
        return error.what
    if layout.header.kind != recorded.kind or layout.table.encoded() != recorded.table.encoded():
        return "its table is not the one that was recorded"
    return ""


def _unreadable_chunks(vault: Vault, pack_id: bytes, recorded: RecordedPack) -> Iterator[bytes]:
    try:
        layout = recorded_layout(vault, pack_id, recorded)
    except DamagedDataError:
        yield recorded.table.chunk_ids
        return
    id_of = vault.keys.chunk_id if recorded.kind == PackKind.DATA else vault.keys.map_id
    for frame in range(layout.table.frame_count):
        yield from _unreadable_in(vault, pack_id, layout, frame, id_of)


def _unreadable_in(
    vault: Vault, pack_id: bytes, layout: PackLayout, frame: int, id_of: Callable[[bytes | memoryview], bytes]
) -> Iterator[bytes]:
    """Ids of the chunks of a frame that are not what they should be."""
    ordinals = layout.chunks_of(frame)
    try:
        plain = memoryview(layout.open_frame(frame, vault.store.read_pack(pack_id, *layout.frame_place(frame))))
    except DamagedDataError:
        yield from (layout.table.chunk_id(ordinal) for ordinal in ordinals)
        return
    for ordinal in ordinals:
        start, end = layout.chunk_span(ordinal)
        if id_of(plain[start:end]) != layout.table.chunk_id(ordinal):
            yield layout.table.chunk_id(ordinal)
