"""The note that a restore into a folder is under way, so that one that was cut short can be started over.

``unfinished-restore.json`` in the folder is made before the first file and removed after the last one. It names the
files that were not there when the restore began: those are its own, and the next run may replace them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from adapters.durable_files import remove_durably, write_durably

NAME = "unfinished-restore.json"
_BYTES_MAX = 1 << 20


class _Note(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    point: str
    files: tuple[str, ...]


def own_files(folder: Path, point_id: str) -> frozenset[Path]:
    """The files of an unfinished restore of this point; none for another point's, and none for a note that is damaged.

    Raises OSError.
    """
    path = folder / NAME
    if path.is_symlink() or not path.is_file() or path.stat().st_size > _BYTES_MAX:
        return frozenset()
    try:
        note = msgspec.json.decode(path.read_bytes(), type=_Note)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return frozenset()
    return frozenset(folder / name for name in note.files) if note.point == point_id else frozenset()


def begin(folder: Path, point_id: str, files: Sequence[Path]) -> None:
    """Note that ``files`` in ``folder`` will be this restore's own. Raises OSError."""
    names = tuple(path.relative_to(folder).as_posix() for path in files)
    write_durably(folder / NAME, msgspec.json.encode(_Note(point=point_id, files=names)))


def end(folder: Path) -> None:
    """The restore is whole, or has left nothing. Raises OSError."""
    remove_durably(folder / NAME)
