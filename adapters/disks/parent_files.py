"""Finding the file of a parent disk beside its child, without leaving the folders that are allowed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path, PureWindowsPath

from adapters.disks.file_source import FileSource
from adapters.disks.vhdx.parent_locator import ParentLocator
from domain.ports.disks import ByteSource

_FOLDERS_UP_MAX = 6
_PATH_PARTS_MAX = 5
_NAMES_LISTED_MAX = 10_000


class ParentFiles:
    """A ParentFinder for local files.

    The locator's Windows paths come from the host that made the disk, and from whoever wrote the image: a path is
    followed only when it ends inside of one of ``roots`` or of the child's own folder. Each is tried relative to the
    child's folder, then its last parts (file name, folder and file name, ...) are looked for in the child's folder
    and in the folders above it up to the root. Names compare without regard to case, as on Windows.
    """

    def __init__(self, roots: Sequence[Path]) -> None:
        self._roots = tuple(root.resolve() for root in roots)

    def __call__(self, locator: ParentLocator, child_location: str) -> Iterator[ByteSource]:
        """Open the files that exist, likeliest first."""
        child = Path(child_location).resolve()
        allowed = (child.parent, *self._roots)
        seen = set()
        for candidate in self._candidates(locator.paths, child.parent):
            found = _existing(candidate, allowed)
            if found is not None and found not in seen:
                seen.add(found)
                yield FileSource(found)

    def _candidates(self, paths: Sequence[str], folder: Path) -> Iterator[tuple[Path, tuple[str, ...]]]:
        parts_of = [PureWindowsPath(text) for text in paths]
        for path in parts_of:
            if not path.anchor:
                yield folder, path.parts
        for path in parts_of:
            names = tuple(part for part in path.parts if part not in {path.anchor, ".."})[-_PATH_PARTS_MAX:]
            for base in self._folders_to_search(folder):
                for count in range(1, len(names) + 1):
                    yield base, names[-count:]

    def _folders_to_search(self, folder: Path) -> Iterator[Path]:
        yield folder
        for above in list(folder.parents)[:_FOLDERS_UP_MAX]:
            if any(above.is_relative_to(root) for root in self._roots):
                yield above


def _existing(candidate: tuple[Path, tuple[str, ...]], allowed: Sequence[Path]) -> Path | None:
    """The real path of a candidate, when it is a file inside of an allowed folder."""
    place, names = candidate
    for name in names:
        if "\0" in name or "/" in name:
            return None
        step = place.parent if name == ".." else _entry_of(place, name)
        if step is None:
            return None
        place = step
    try:
        real = place.resolve()
        inside = any(real.is_relative_to(folder) for folder in allowed)
        return real if inside and real.is_file() else None
    except (OSError, RuntimeError):
        return None


def _entry_of(folder: Path, name: str) -> Path | None:
    try:
        if (folder / name).exists():
            return folder / name
        folded = name.casefold()
        for count, entry in enumerate(folder.iterdir()):
            if count >= _NAMES_LISTED_MAX:
                return None
            if entry.name.casefold() == folded:
                return entry
    except OSError:
        return None
    return None
