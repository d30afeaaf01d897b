"""The files of a host as Atesta reads them: over SMB, or from a folder where the host's paths are mapped to one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from adapters.hyperv.paths import HostPaths, Place, SharePath, parse_place
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.ports.disks import ByteSource, FrozenDisk, ImageOpener


class Shares(Protocol):
    """Opens files on shares; one for each backup, closed with it."""

    def open(self, path: SharePath) -> ByteSource:
        """Open a file for reading."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the reading."""

    def close(self) -> None:
        """Close the connections."""


class HostFiles:
    """The files of one host while a machine is read.

    ``open_local`` opens a file of this machine, ``open_image`` a disk image with its parents.
    """

    def __init__(
        self,
        paths: HostPaths,
        shares: Shares,
        open_local: Callable[[Path], ByteSource],
        open_image: ImageOpener,
    ) -> None:
        self._paths = paths
        self._shares = shares
        self._open_local = open_local
        self._open_image = open_image

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._shares.close()

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the reading so far."""
        return self._shares.remarks

    def disk(self, host_path: str) -> FrozenDisk:
        """The disk image at a path of the host, with its parents. Raises as DiskOpener."""
        return self._open_image(self._opened(self._paths.place_of(host_path)), self._parents)

    def content(self, host_path: str, bytes_max: int) -> bytes:
        """A small file. Raises EnvironmentTroubleError when it has more than ``bytes_max`` bytes."""
        source = self._opened(self._paths.place_of(host_path))
        try:
            if source.size_bytes > bytes_max:
                raise EnvironmentTroubleError(f"The file is larger than {bytes_max >> 20} MiB.", where=source.location)
            content = bytearray(source.size_bytes)
            source.read_into(0, memoryview(content))
            return bytes(content)
        finally:
            source.close()

    def reach(self, host_path: str) -> None:
        """Open a file and close it again, without reading. Raises as ByteSource and Shares."""
        self._opened(self._paths.place_of(host_path)).close()

    def _parents(self, paths: Sequence[str], child_location: str) -> Iterator[ByteSource]:
        for place in self._paths.parent_places(paths, parse_place(child_location)):
            try:
                yield self._opened(place)
            except BadInputError:
                continue

    def _opened(self, place: Place) -> ByteSource:
        return self._shares.open(place) if isinstance(place, SharePath) else self._open_local(place)
