"""A changes file beside a disk image: what a hypervisor's or storage's own tracking found, written by its script.

``web.raw`` has ``web.changes.json``: ``{"mark": "t2", "baseline": "t1", "extents": [[offset, length], ...]}`` with the
guest's byte ranges. It must be newer than the image (docs/configuration.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import msgspec

from adapters.exports.change_marks import FileMarks
from domain.model.extents import Extent, merged
from domain.ports.changes import ChangesUnknownError

SUFFIX = ".changes.json"
_FILE_BYTES_MAX = 64 << 20
_PREFIX = "told-1:"

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
_Offset = Annotated[int, msgspec.Meta(ge=0, le=(1 << 63) - 1)]
_Length = Annotated[int, msgspec.Meta(gt=0, le=(1 << 63) - 1)]


class _Content(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mark: _Name
    baseline: str = ""
    extents: list[tuple[_Offset, _Length]] = []


class ToldChanges:
    """The tracking of a disk whose changes file is ``path``; ``files`` watches the image itself."""

    def __init__(self, path: Path, image: Path, size_bytes: int, files: FileMarks) -> None:
        self._path = path
        self._files = files
        self._size_bytes = size_bytes
        self._trouble, self._content = _read(path, image)

    @property
    def mark(self) -> str:
        """The file's mark, with the state of the image that it was found with."""
        if self._content is None or not self._files.mark:
            return self._files.mark
        return f"{_PREFIX}{self._content.mark}|{self._files.mark}"

    def changed_since(self, mark: str) -> Sequence[Extent]:
        """What the file says; for a state that it does not speak of, what the image's files tell."""
        told, _, stamps = mark.removeprefix(_PREFIX).partition("|")
        if not mark.startswith(_PREFIX):
            return self._files.changed_since(mark)
        if self._content is None:
            raise ChangesUnknownError(self._trouble)
        if self._content.baseline != told:
            return self._files.changed_since(stamps)
        extents = [Extent(offset, length) for offset, length in self._content.extents]
        if any(extent.end > self._size_bytes for extent in extents):
            raise ChangesUnknownError("the changes file names ranges beyond the end of the disk")
        return tuple(merged(sorted(extents)))


def changes_file_of(image: Path) -> Path:
    """The name of the changes file of a disk image."""
    return image.with_name(image.stem + SUFFIX)


def _read(path: Path, image: Path) -> tuple[str, _Content | None]:
    """The content, or why it cannot be used."""
    try:
        status, of_image = path.stat(), image.stat()
        if status.st_mtime_ns < of_image.st_mtime_ns:
            return "the changes file is older than the disk image", None
        # Nobody can set the time of change: an older copy that keeps its own times is newer in this.
        if status.st_ctime_ns < of_image.st_ctime_ns:
            return "the disk image was put there or touched after its changes file", None
        if status.st_size > _FILE_BYTES_MAX:
            return "the changes file is absurdly large", None
        return "", msgspec.json.decode(path.read_bytes(), type=_Content)
    except OSError as error:
        return f"the changes file cannot be read: {error.strerror}", None
    except (msgspec.MsgspecError, ValueError) as error:
        return f"the changes file is wrong: {error}", None
