"""Ports: a private place for recovered disks that vanishes afterwards, and one where pictures are kept."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

from domain.ports.disks import DiskImageWriter, FrozenDisk


class Bench(Protocol):
    """Room for the disks of one verification."""

    def disk_path(self, number: int) -> Path:
        """Where disk ``number`` is, once its writer has finished."""

    def new_disk(self, number: int, size_bytes: int, sector_size_bytes: int) -> DiskImageWriter:
        """Begin a sparse raw image. Raises EnvironmentTroubleError when there is no room."""

    def open_disk(self, number: int) -> FrozenDisk:
        """Open a finished disk for examination; the caller closes it."""


class Workbench(Protocol):
    """Makes benches."""

    def opened(self) -> AbstractContextManager[Bench]:
        """A bench that is removed with all its disks when the context ends, on every path."""

    def sweep(self) -> tuple[str, ...]:
        """Remove benches that killed runs left behind; returns a sentence for each."""


class PictureArchive(Protocol):
    """Keeps the pictures of consoles under their digests (BLAKE3)."""

    def keep(self, digest: bytes, suffix: str, content: bytes) -> Path:
        """Keep a picture durably and say where."""
