"""How scrubs and healing change the chunk index: when each pack was read last, and which chunks are damaged.

A damaged chunk keeps its place, where a reader may still try it; but it counts as not stored, so that the next backup
that sees its data writes it anew, which is its new place.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from domain.content.packs import CHUNK_ID_BYTES
from domain.events.scrub import (
    DamageFound,
    PackFoundWhole,
    PacksScrubbed,
    ScrubCompleted,
    ScrubFailed,
    ScrubStarted,
)

if TYPE_CHECKING:
    from adapters.eventstore.chunk_index_fold import IndexFolding

DAMAGE_TABLES = (
    "CREATE TABLE IF NOT EXISTS scrubbed (pack INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS damaged (id BLOB PRIMARY KEY, pack INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS damaged_of_pack ON damaged (pack)",
    "CREATE TABLE IF NOT EXISTS damaged_pack (pack INTEGER PRIMARY KEY, missing INTEGER NOT NULL, what TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS open_scrub (scrub_id BLOB PRIMARY KEY) WITHOUT ROWID",
)
DAMAGE_ROWS = (
    ("open_scrub", "SELECT scrub_id FROM open_scrub ORDER BY scrub_id"),
    ("scrubbed", "SELECT pack_id, at FROM scrubbed LEFT JOIN pack ON number = scrubbed.pack ORDER BY pack_id"),
    ("damaged", "SELECT id, pack_id FROM damaged LEFT JOIN pack ON number = damaged.pack ORDER BY id"),
    (
        "damaged_pack",
        """
        SELECT pack_id, missing, what
        FROM damaged_pack LEFT JOIN pack ON number = damaged_pack.pack ORDER BY pack_id
        """,
    ),
)
_SCRUBBED = "INSERT OR REPLACE INTO scrubbed VALUES (?, ?)"
_DAMAGED = "INSERT OR REPLACE INTO damaged SELECT id, pack FROM chunk WHERE id = ? AND pack = ?"
_HEALED = "DELETE FROM damaged WHERE id = ? AND pack <> ?"


def scrub_started(folding: IndexFolding, _number: int, event: ScrubStarted) -> None:
    """It is open until its end is recorded."""
    folding.rows.execute("INSERT OR IGNORE INTO open_scrub VALUES (?)", (event.originator_id.bytes,))


def scrub_ended(folding: IndexFolding, _number: int, event: ScrubCompleted | ScrubFailed) -> None:
    """It is not open any more."""
    folding.rows.execute("DELETE FROM open_scrub WHERE scrub_id = ?", (event.originator_id.bytes,))


def packs_scrubbed(folding: IndexFolding, number: int, event: PacksScrubbed) -> None:
    """Remember when; a pack that was deleted meanwhile is passed over."""
    packs = (folding.number_of(pack_id) for pack_id in _ids(event.pack_ids))
    folding.rows.executemany(_SCRUBBED, [(pack, number) for pack in packs if pack is not None])


def damage_found(folding: IndexFolding, number: int, event: DamageFound) -> None:
    """What this look found replaces what an earlier one found. A chunk whose place is elsewhere by now is whole."""
    folding.flush()
    pack = folding.number_of(event.pack_id)
    if pack is None:
        return
    forget_damage(folding.rows, pack)
    folding.rows.execute(_SCRUBBED, (pack, number))
    folding.rows.execute("INSERT INTO damaged_pack VALUES (?, ?, ?)", (pack, event.missing, event.what))
    folding.rows.executemany(_DAMAGED, sorted((chunk_id, pack) for chunk_id in set(_ids(event.chunk_ids))))


def pack_found_whole(folding: IndexFolding, number: int, event: PackFoundWhole) -> None:
    """Its chunks count as stored again."""
    pack = folding.number_of(event.pack_id)
    if pack is not None:
        forget_damage(folding.rows, pack)
        folding.rows.execute(_SCRUBBED, (pack, number))


def chunks_stored_anew(folding: IndexFolding, pack: int, chunk_ids: bytes) -> None:
    """Chunks have their place in the pack ``pack`` now; those of them that were damaged elsewhere are not any more."""
    folding.flush()
    folding.rows.executemany(_HEALED, sorted((chunk_id, pack) for chunk_id in set(_ids(chunk_ids))))


def forget_damage(rows: sqlite3.Cursor, pack: int) -> None:
    """Forget what is known about the damage of a pack, because it is whole, gone, or looked at again."""
    rows.execute("DELETE FROM damaged WHERE pack = ?", (pack,))
    rows.execute("DELETE FROM damaged_pack WHERE pack = ?", (pack,))


def forget_pack(rows: sqlite3.Cursor, pack: int) -> None:
    """Forget a pack that was deleted."""
    forget_damage(rows, pack)
    rows.execute("DELETE FROM scrubbed WHERE pack = ?", (pack,))


def any_damaged(rows: sqlite3.Cursor) -> bool:
    """Whether any chunk is damaged."""
    return rows.execute("SELECT 1 FROM damaged LIMIT 1").fetchone() is not None


def _ids(end_to_end: bytes) -> list[bytes]:
    return [end_to_end[i : i + CHUNK_ID_BYTES] for i in range(0, len(end_to_end), CHUNK_ID_BYTES)]
