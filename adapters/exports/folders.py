"""Walking a folder of exports: which folder holds which files, without opening any."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from adapters.exports import machine_file
from domain.errors import BadInputError, EnvironmentTroubleError

IMAGE_SUFFIXES = frozenset({".vhdx", ".avhdx", ".vhd", ".avhd", ".raw", ".img"})
CONFIGURATION_SUFFIXES = frozenset({".vmcx", ".vmrs", ".vmgs", ".xml"})
_MACHINES_FOLDER = "virtual machines"
_MARK_FOLDERS = frozenset({_MACHINES_FOLDER, "virtual hard disks"})
_DEPTH_MAX = 8
_ENTRIES_MAX = 100_000
_GUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(slots=True, kw_only=True)
class FoundFolder:
    """One folder of interest: a machine's (all that lies below belongs to it), or one with loose images.

    ``problems`` say what was not looked at. ``identities`` are the GUIDs in the names of the machine's configuration.
    """

    root: Path
    folder: Path
    is_machine: bool
    images: list[Path] = field(default_factory=list)
    configurations: list[Path] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)
    description: Path | None = None
    problems: list[str] = field(default_factory=list)

    @property
    def relative(self) -> str:
        """The folder below the root, with ``/``, the same on each host."""
        return self.folder.relative_to(self.root).as_posix()


def find_folders(root: Path) -> Iterator[FoundFolder]:
    """The folders of interest at and below ``root``, in order of name.

    A machine's folder holds ``Virtual Machines``, ``Virtual Hard Disks`` or a machine file. Hidden entries are passed
    over; a link counts when it names a file inside of ``root``, else it is a problem. Raises EnvironmentTroubleError
    when ``root`` cannot be listed, BadInputError when it is missing or holds an absurd number of files.
    """
    return _Walk(root.absolute()).found(root.absolute(), depth=0)


class _Walk:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._real_root = root.resolve()
        self._entries_left = _ENTRIES_MAX

    def found(self, folder: Path, depth: int) -> Iterator[FoundFolder]:
        try:
            entries = self._listed(folder)
        except OSError as error:
            if folder == self._root:
                raise _unreachable(error, folder) from error
            problem = f"The folder cannot be read: {error.strerror}."
            yield FoundFolder(root=self._root, folder=folder, is_machine=True, problems=[problem])
            return
        names = {entry.name.lower() for entry in entries}
        is_machine = bool(names & (_MARK_FOLDERS | set(machine_file.NAMES)))
        here = FoundFolder(root=self._root, folder=folder, is_machine=is_machine)
        if is_machine:
            here.description = self._description(folder, here)
            self._collect(folder, here, depth)
            yield here
            return
        subfolders = [entry for entry in entries if not self._take(entry, here)]
        if here.images or here.problems:
            yield here
        for subfolder in subfolders:
            if depth < _DEPTH_MAX:
                yield from self.found(subfolder, depth + 1)

    def _listed(self, folder: Path) -> list[Path]:
        entries = []
        with os.scandir(folder) as listing:
            for entry in listing:
                self._entries_left -= 1
                if self._entries_left < 0:
                    raise BadInputError(
                        f"The folder holds more than {_ENTRIES_MAX:,} files.",
                        where=str(self._root),
                        next_step="Name the folders of the exports themselves.",
                    )
                if not entry.name.startswith("."):
                    entries.append(Path(entry.path))
        return sorted(entries, key=lambda path: path.name)

    def _collect(self, folder: Path, here: FoundFolder, depth: int) -> None:
        """Everything below a machine's folder."""
        try:
            entries = self._listed(folder)
        except OSError as error:
            here.problems.append(f"The folder {folder.name!r} cannot be read: {error.strerror}.")
            return
        for entry in entries:
            if not self._take(entry, here):
                if depth < _DEPTH_MAX:
                    self._collect(entry, here, depth + 1)
                else:
                    here.problems.append(f"The folder {entry.name!r} lies too deep and was not looked at.")

    def _take(self, entry: Path, here: FoundFolder) -> bool:
        """Sort ``entry`` into ``here``; False for a folder, which is the caller's to follow."""
        suffix = entry.suffix.lower()
        if entry.is_symlink() and not self._may_follow(entry):
            if suffix in IMAGE_SUFFIXES | CONFIGURATION_SUFFIXES or entry.is_dir():
                here.problems.append(f"{entry.name!r} is a link to a place that is not followed.")
            return True
        if entry.is_dir():
            return False
        if suffix in IMAGE_SUFFIXES:
            here.images.append(entry)
        elif suffix in CONFIGURATION_SUFFIXES and here.is_machine:
            here.configurations.append(entry)
            is_identity = entry.parent.name.lower() == _MACHINES_FOLDER and suffix in {".vmcx", ".xml"}
            if is_identity and _GUID.fullmatch(entry.stem):
                here.identities.append(entry.stem.lower())
        return True

    def _may_follow(self, link: Path) -> bool:
        try:
            real = link.resolve()
            return real.is_file() and real.is_relative_to(self._real_root)
        except (OSError, RuntimeError):
            return False

    def _description(self, folder: Path, here: FoundFolder) -> Path | None:
        for name in machine_file.NAMES:
            path = folder / name
            if path.is_file() and (not path.is_symlink() or self._may_follow(path)):
                here.configurations.append(path)
                return path
        return None


def _unreachable(error: OSError, folder: Path) -> BadInputError | EnvironmentTroubleError:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return BadInputError(
            "The folder of exported machines does not exist.", where=str(folder), next_step="Correct it in atesta.toml."
        )
    return EnvironmentTroubleError(
        f"The folder of exported machines cannot be read: {error.strerror}.",
        where=str(folder),
        next_step="Check that it is mounted and readable.",
    )
