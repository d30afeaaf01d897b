"""The transparency log's tree in a SQLite file: tiles of hashes, how far the events were followed, and signed heads.

A tile holds up to 256 hashes of one of the levels 0, 8, 16 and so on, as C2SP tlog-tiles cuts a tree; levels between
are computed. Following adds a portion of events in one transaction, so a killed follower goes on without a gap and
without taking an event twice. Nothing is made anew by itself: events that no longer give the hashes they gave are an
alarm.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import lru_cache, partial
from pathlib import Path

from adapters.durable_files import make_folder_durably, sync_folder
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import HASH_BYTES, NodeReader, leaf_hash, node_over, root_at
from domain.content.shipped_log import StoredRow
from domain.errors import BusyError, DamagedDataError, EnvironmentTroubleError
from domain.ports.event_log import StoredRows
from domain.ports.transparency import KeptHead

TILE_LEVELS = 8
TILE_HASHES = 1 << TILE_LEVELS
_TILE_BYTES = TILE_HASHES * HASH_BYTES
_LOCK_WAIT_S = 30.0
_TILES_AT_HAND = 16
_SCHEMA = """
CREATE TABLE IF NOT EXISTS tiles
    (level INTEGER, number INTEGER, hashes BLOB, PRIMARY KEY (level, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS followed (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER, size INTEGER);
CREATE TABLE IF NOT EXISTS heads (size INTEGER PRIMARY KEY, number INTEGER, note TEXT);
INSERT OR IGNORE INTO followed VALUES (1, 0, 0);
"""
TREE_FILE_NAME = "transparency-log.sqlite"
MEND_STEP = (
    "Move the file aside, let `atesta audit head --sign` make it anew, and hold it against heads from old mails with "
    "`atesta audit witness`: if they fit, only the file was damaged."
)


class TreeFile:
    """The tree at ``path``, made when it is not there, over ``rows``.

    Raises BusyError, DamagedDataError, EnvironmentTroubleError.
    """

    def __init__(self, path: Path, rows: StoredRows) -> None:
        self._path = path
        self._rows = rows

    @property
    def location(self) -> str:
        """The file."""
        return str(self._path)

    def follow(self) -> int:
        """Take in all events that are not in the tree yet; returns how many entries it has then.

        Raises DamagedDataError when the last event in the tree is no longer the one that was taken in.
        """
        with self._opened(writing=True) as connection:
            self._refuse_another_history(connection)
            while True:
                portion = next(self._rows.rows_after(_followed(connection)[0]), None)
                if not portion:
                    return _followed(connection)[1]
                with _writing(connection):
                    # Another process may have taken a part meanwhile.
                    number, size = _followed(connection)
                    fresh = [row for row in portion if row.number > number]
                    if fresh:
                        _append(connection, 0, size, [_leaf(row) for row in fresh])
                        connection.execute(
                            "UPDATE followed SET number = ?, size = ?", (fresh[-1].number, size + len(fresh))
                        )

    def size(self) -> int:
        """How many entries the tree has."""
        with self._opened() as connection:
            return _followed(connection)[1]

    def root(self, size: int) -> bytes:
        """The root over the first ``size`` entries."""
        with self.nodes() as node:
            return root_at(size, node)

    @contextmanager
    def nodes(self) -> Iterator[NodeReader]:
        """A reader of nodes, for the time of the context."""
        with self._opened() as connection:
            tile = lru_cache(_TILES_AT_HAND)(partial(_tile, connection))

            def node(level: int, index: int) -> bytes:
                return _node(tile, level, index)

            yield node

    @contextmanager
    def tiles(self) -> Iterator[Callable[[int, int], bytes]]:
        """A reader of tiles by level (0, 8, 16, ...) and number, hashes end to end, for the time of the context."""
        with self._opened() as connection:

            def tile(level: int, number: int) -> bytes:
                return _tile(connection, level, number)

            yield tile

    def leaves(self) -> Iterator[bytes]:
        """The hashes of all entries, in order."""
        with self._opened() as connection:
            for (hashes,) in connection.execute("SELECT hashes FROM tiles WHERE level = 0 ORDER BY number"):
                yield from (hashes[at : at + HASH_BYTES] for at in range(0, len(hashes), HASH_BYTES))

    def heads(self) -> Sequence[KeptHead]:
        """The signed heads that were kept, the smallest first."""
        with self._opened() as connection:
            found = connection.execute("SELECT size, number, note FROM heads ORDER BY size")
            return [KeptHead(size, number, note) for size, number, note in found]

    def followed(self) -> tuple[int, int]:
        """The number of the last event in the tree, and how many entries it has."""
        with self._opened() as connection:
            return _followed(connection)

    def keep(self, head: KeptHead) -> None:
        """Keep a signed head; the first one of a size stays."""
        with self._opened(writing=True) as connection, _writing(connection):
            connection.execute("INSERT OR IGNORE INTO heads VALUES (?, ?, ?)", (head.size, head.number, head.note))

    def _refuse_another_history(self, connection: sqlite3.Connection) -> None:
        number, size = _followed(connection)
        if not size:
            return
        row = self._rows.row(number)
        if row is None or _leaf(row) != _node(partial(_tile, connection), 0, size - 1):
            raise DamagedDataError(
                f"Event {number} is gone or another one: the history was rewritten, or its end was lost.",
                where=self.location,
                next_step="`atesta audit check` shows from where on; `atesta recover` brings back what was shipped.",
            )

    @contextmanager
    def _opened(self, *, writing: bool = False) -> Iterator[sqlite3.Connection]:
        try:
            with closing(self._connected(writing)) as connection:
                yield connection
        except sqlite3.OperationalError as error:
            if "locked" in str(error):
                raise BusyError("Another process is writing the transparency log.", where=self.location) from error
            raise EnvironmentTroubleError(
                f"The transparency log cannot be read or written: {error}.", where=self.location
            ) from error
        except (sqlite3.Error, ValueError, TypeError) as error:
            raise DamagedDataError(
                f"The transparency log cannot be read: {error}.", where=self.location, next_step=MEND_STEP
            ) from error

    def _connected(self, writing: bool) -> sqlite3.Connection:
        """The file, or for reading an empty tree where there is none: looking changes nothing."""
        if not writing and not self._path.exists():
            connection = sqlite3.connect(":memory:", isolation_level=None)
            connection.executescript(_SCHEMA)
            return connection
        if writing and not self._path.exists():
            make_folder_durably(self._path.parent, mode=0o700)
        address = f"{self._path.absolute().as_uri()}?mode={'rwc' if writing else 'rw'}"
        connection = sqlite3.connect(address, uri=True, timeout=_LOCK_WAIT_S, isolation_level=None)
        connection.execute("PRAGMA synchronous = FULL")
        if writing:
            connection.executescript(_SCHEMA)
            self._path.chmod(0o600)
            sync_folder(self._path.parent)
        return connection


def _leaf(row: StoredRow) -> bytes:
    return leaf_hash(encode_entry(entry_of(row)))


def _followed(connection: sqlite3.Connection) -> tuple[int, int]:
    number, size = connection.execute("SELECT number, size FROM followed").fetchone()
    return number, size


@contextmanager
def _writing(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _append(connection: sqlite3.Connection, level: int, size: int, hashes: Sequence[bytes]) -> None:
    """Add ``hashes`` of ``level`` after the ``size`` that are there, and what they complete to the levels above."""
    complete: list[bytes] = []
    number, held = divmod(size, TILE_HASHES)
    tile = _tile(connection, level, number) if held else b""
    if len(tile) != held * HASH_BYTES:
        raise ValueError(f"tile {number} of level {level} does not fit what was followed")
    for one in hashes:
        tile += one
        if len(tile) == _TILE_BYTES:
            _put(connection, level, number, tile)
            complete.append(node_over(tile))
            number, tile = number + 1, b""
    if tile:
        _put(connection, level, number, tile)
    if complete:
        _append(connection, level + TILE_LEVELS, size // TILE_HASHES, complete)


def _node(tile: Callable[[int, int], bytes], level: int, index: int) -> bytes:
    within = level % TILE_LEVELS
    number, start = divmod(index << within, TILE_HASHES)
    part = tile(level - within, number)[start * HASH_BYTES : (start + (1 << within)) * HASH_BYTES]
    if len(part) != HASH_BYTES << within:
        raise ValueError(f"node {index} of level {level} is not in the tree")
    return node_over(part)


def _tile(connection: sqlite3.Connection, level: int, number: int) -> bytes:
    found = connection.execute("SELECT hashes FROM tiles WHERE level = ? AND number = ?", (level, number)).fetchone()
    if found is None or not isinstance(found[0], bytes):
        raise ValueError(f"tile {number} of level {level} is missing")
    return bytes(found[0])


def _put(connection: sqlite3.Connection, level: int, number: int, hashes: bytes) -> None:
    connection.execute("INSERT OR REPLACE INTO tiles VALUES (?, ?, ?)", (level, number, hashes))
