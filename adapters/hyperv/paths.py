r"""From a path on a Hyper-V host to the place where Atesta reads it: a share, or a folder of this machine.

`X:\p` is on the administrative share X$, volumes of a cluster are below C$, and a path that is a share already stays
as it is. A prefix that the user gives comes first; its target is a share or a local folder (a mounted share, or the
disk itself when Atesta runs on the host).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath

from domain.errors import BadInputError

_NAME_FORBIDDEN = frozenset('<>"|?*:/') | {chr(code) for code in range(32)}
_PARTS_MAX = 128


@dataclass(frozen=True, slots=True)
class SharePath:
    """A file on a share: ``parts`` are plain names, none of which leads out of the share."""

    server: str
    share: str
    parts: tuple[str, ...]

    @property
    def name(self) -> str:
        """The path below the share, as SMB takes it."""
        return "\\".join(self.parts)

    @property
    def share_key(self) -> tuple[str, str]:
        """What two paths of one share have in common."""
        return self.server.casefold(), self.share.casefold()

    def __str__(self) -> str:
        return f"\\\\{self.server}\\{self.share}\\{self.name}"


Place = SharePath | Path


@dataclass(frozen=True, slots=True)
class PrefixMapping:
    r"""Host paths that begin with ``host_prefix`` are found below ``target``: ``\\server\share\...`` or ``/...``."""

    host_prefix: str
    target: str


class HostPaths:
    """Maps the paths that the host ``server`` names."""

    def __init__(self, server: str, mappings: Sequence[PrefixMapping] = ()) -> None:
        self._server = server
        self._mappings = sorted(mappings, key=lambda mapping: -len(PureWindowsPath(mapping.host_prefix).parts))
        targets = (_share_of(mapping.target) for mapping in mappings if mapping.target.startswith("\\\\"))
        self._servers = {server.casefold(), *(target.server.casefold() for target in targets)}

    def place_of(self, host_path: str) -> Place:
        """Where ``host_path`` is read. Raises BadInputError for a path that is not absolute or leaves its share."""
        path = PureWindowsPath(host_path)
        for mapping in self._mappings:
            prefix = PureWindowsPath(mapping.host_prefix)
            if path.is_relative_to(prefix):
                return _below(mapping.target, _plain(path.relative_to(prefix).parts, host_path))
        if path.drive.startswith("\\\\"):
            return _unc(host_path)
        drive = path.drive
        if len(drive) != 2 or not drive[0].isascii() or not drive[0].isalpha() or path.root != "\\":
            raise _refused("is not an absolute path on a drive or share", host_path)
        return SharePath(self._server, f"{drive[0].upper()}$", _plain(path.parts[1:], host_path))

    def parent_places(self, names: Sequence[str], child: Place) -> Sequence[Place]:
        """Where the parent of ``child`` may lie, by the paths in its locator, likeliest first.

        A relative path stays on the child's share; an absolute one counts as the host's, and may name no server but
        those that are known: an image must not make Atesta sign in elsewhere.
        """
        found: list[Place] = []
        for text in names:
            path = PureWindowsPath(text)
            try:
                place = _beside(child, path.parts) if not path.anchor else self.place_of(text)
            except BadInputError:
                continue
            if isinstance(place, SharePath) and place.server.casefold() not in self._known_beside(child):
                continue
            if place not in found:
                found.append(place)
        return found

    def _known_beside(self, child: Place) -> set[str]:
        return self._servers | ({child.server.casefold()} if isinstance(child, SharePath) else set())


def parse_place(location: str) -> Place:
    """A place from its text, as ``str(place)`` gives it."""
    return _unc(location) if location.startswith("\\\\") else Path(location)


def _unc(text: str) -> SharePath:
    found = _share_of(text)
    return SharePath(found.server, found.share, _plain(found.parts, text))


def _share_of(text: str) -> SharePath:
    """A share, or a folder or file on it."""
    path = PureWindowsPath(text)
    names = path.drive.lstrip("\\").split("\\")
    if len(names) != 2 or not all(names) or names[0] in {"?", "."}:
        raise _refused("does not name a server and a share", text)
    server, share = names
    if set(server) & _NAME_FORBIDDEN or set(share) & _NAME_FORBIDDEN:
        raise _refused("does not name a server and a share", text)
    return SharePath(server, share, _plain(path.parts[1:], text) if len(path.parts) > 1 else ())


def _below(target: str, parts: tuple[str, ...]) -> Place:
    if target.startswith("\\\\"):
        root = _share_of(target)
        return SharePath(root.server, root.share, (*root.parts, *parts))
    if not PurePosixPath(target).is_absolute():
        raise BadInputError(
            "The target of a path mapping is neither a share nor an absolute folder.",
            where=target,
            next_step="Write it as \\\\server\\share or /folder.",
        )
    return Path(target, *parts)


def _beside(child: Place, names: Sequence[str]) -> Place:
    """``names`` relative to the folder of ``child``; ``..`` goes up, but not out of the share."""
    if isinstance(child, Path):
        return child.parent.joinpath(*_plain(names, str(child)))
    folder = list(child.parts[:-1])
    for name in names:
        if name == "..":
            if not folder:
                raise _refused("leads out of the share", "\\".join(names))
            folder.pop()
        else:
            folder.append(name)
    return SharePath(child.server, child.share, _plain(folder, "\\".join(names)))


def _plain(parts: Sequence[str], whole: str) -> tuple[str, ...]:
    if not parts or len(parts) > _PARTS_MAX:
        raise _refused("names no file", whole)
    for part in parts:
        if part in {"", ".", ".."} or set(part) & _NAME_FORBIDDEN:
            raise _refused("has a name in it that cannot be a file's", whole)
    return tuple(parts)


def _refused(why: str, path: str) -> BadInputError:
    return BadInputError(
        f"A path of the host {why}: {path!r}.",
        next_step="Map its prefix to a share in the host's configuration.",
    )
