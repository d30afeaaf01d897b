"""The log as C2SP tlog-tiles lays it out: ``tile/<level>/<place>``, ``tile/entries/<place>``, ``checkpoint``.

A full tile never changes, and neither does a partial one of one width, so no file is ever overwritten but the
checkpoint, which comes last: when an export is cut off, the folder is that of the checkpoint before, with more tiles.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from adapters.audit.tree_file import TILE_HASHES, TILE_LEVELS, TreeFile
from adapters.durable_files import make_folder_durably, write_durably
from domain.content.log_entry import decode_entry, encode_entry, entry_of
from domain.content.merkle import HASH_BYTES, leaf_hash
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.ports.event_log import StoredRows
from domain.ports.progress import Progress
from domain.ports.transparency import KeptHead

CHECKPOINT, KEY, ENTRIES = "checkpoint", "key", "entries"
_LENGTH_BYTES = 2
_PLACE_DIGITS = 3


@dataclass(frozen=True, slots=True)
class ExportedTiles:
    """What an export did: entries that its checkpoint covers, files that were written, and files that were there."""

    entries: int
    written: int
    there: int


def tile_path(level: int | str, number: int, width: int) -> Path:
    """Where a tile lies below the folder; one of less than 256 hashes or entries has its width in its name."""
    digits = str(number)
    digits = digits.zfill(-(-len(digits) // _PLACE_DIGITS) * _PLACE_DIGITS)
    parts = [digits[at : at + _PLACE_DIGITS] for at in range(0, len(digits), _PLACE_DIGITS)]
    place = Path("tile", str(level), *(f"x{part}" for part in parts[:-1]))
    return place / parts[-1] if width == TILE_HASHES else place / f"{parts[-1]}.p" / str(width)


def tiles_in(count: int) -> Iterator[tuple[int, int]]:
    """Number and width of each tile of a level that has ``count`` hashes."""
    full, rest = divmod(count, TILE_HASHES)
    yield from ((number, TILE_HASHES) for number in range(full))
    if rest:
        yield full, rest


class TileExport:
    """An export of the log over ``rows``, whose hashes are in ``tree``, into ``folder``."""

    def __init__(self, tree: TreeFile, rows: StoredRows, folder: Path, progress: Progress) -> None:
        self._tree = tree
        self._rows = rows
        self._folder = folder
        self._progress = progress
        self._written = self._there = 0

    def checkpoint(self) -> str | None:
        """The checkpoint that the folder has; None without one. Raises EnvironmentTroubleError."""
        try:
            return (self._folder / CHECKPOINT).read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _disk_trouble(self._folder, error) from error

    def export(self, head: KeptHead, keys: Sequence[str]) -> ExportedTiles:
        """Write what the folder lacks of the log up to ``head``, which the tree extends, and ``keys`` beside it.

        Raises DamagedDataError when the folder has a tile of another log or the events are not those of the tree,
        EnvironmentTroubleError.
        """
        try:
            self._progress.begin("Tiles", None)
            with self._tree.tiles() as tile:
                self._export_hashes(head.size, tile)
                self._export_entries(head.size, tile)
            make_folder_durably(self._folder)
            write_durably(self._folder / KEY, "".join(f"{key}\n" for key in keys).encode())
            write_durably(self._folder / CHECKPOINT, head.note.encode())
        except OSError as error:
            raise _disk_trouble(self._folder, error) from error
        finally:
            self._progress.end()
        return ExportedTiles(head.size, self._written, self._there)

    def _export_hashes(self, size: int, tile: Callable[[int, int], bytes]) -> None:
        level, count = 0, size
        while count:
            for number, width in tiles_in(count):
                self._put(tile_path(level, number, width), tile(level * TILE_LEVELS, number)[: width * HASH_BYTES])
            level, count = level + 1, count >> TILE_LEVELS

    def _export_entries(self, size: int, tile: Callable[[int, int], bytes]) -> None:
        after, unread = 0, None
        for number, width in tiles_in(size):
            place = tile_path(ENTRIES, number, width)
            if unread is None and (self._folder / place).exists():
                entries = _entries_in(self._folder / place)
                self._there += 1
            else:
                unread = unread or self._entries_after(after)
                entries = list(islice(unread, width))
            if b"".join(map(leaf_hash, entries)) != tile(0, number)[: width * HASH_BYTES]:
                raise _other_entries(self._folder / place)
            if unread is not None:
                self._put(place, b"".join(len(one).to_bytes(_LENGTH_BYTES, "big") + one for one in entries))
            after = decode_entry(entries[-1]).number

    def _entries_after(self, last: int) -> Iterator[bytes]:
        for portion in self._rows.rows_after(last):
            for row in portion:
                yield encode_entry(entry_of(row))

    def _put(self, place: Path, content: bytes) -> None:
        path = self._folder / place
        if path.exists():
            if path.read_bytes() != content:
                raise DamagedDataError(
                    "The export has another tile here than the log: nothing was overwritten.",
                    where=str(path),
                    next_step="Keep it, it may be a witness; `atesta audit witness` tells of its checkpoint.",
                )
            self._there += 1
            return
        make_folder_durably(path.parent)
        write_durably(path, content, replace=False)
        self._written += 1
        self._progress.advance(len(content))


def _entries_in(path: Path) -> list[bytes]:
    """The entries of a bundle. Raises DamagedDataError for one that is cut off."""
    content, at = path.read_bytes(), 0
    entries: list[bytes] = []
    while at < len(content):
        start = at + _LENGTH_BYTES
        at = start + int.from_bytes(content[at:start], "big")
        entries.append(content[start:at])
    if at != len(content) or not entries:
        raise DamagedDataError(
            "A file of an export was cut off.", where=str(path), next_step="Export into an empty folder."
        )
    return entries


def _other_entries(path: Path) -> DamagedDataError:
    return DamagedDataError(
        "Entries are not those of the log: the history or the export was changed.",
        where=str(path),
        next_step="`atesta audit check` says whether it is the history; if not, export into an empty folder.",
    )


def _disk_trouble(folder: Path, error: OSError) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"The tiles cannot be read or written: {error.strerror or error}.",
        where=str(error.filename or folder),
        next_step="Make room or correct the permissions; then run the same command again, it goes on.",
    )
