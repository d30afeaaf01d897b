"""A restored machine as a folder that is laid out like an export, so that it can be imported or backed up again.

``<name>-<short id>/Virtual Hard Disks/``, ``Virtual Machines/`` for the configuration as it was, ``machine.toml``.
Names from the catalog are untrusted: what is not plain is replaced, so nothing leaves the target folder.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adapters import unfinished_restore
from adapters.disks.writing.new_file import remove_leftover
from adapters.durable_files import make_folder_durably, sync_folder, write_durably
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.events.restore_point import StoredDisk
from domain.model.machines import VirtualDisk
from domain.ports.catalog import RestorePoint
from domain.ports.disks import DiskImageWriter, ImageFormat
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.restore import read_stored_file, restore_disk

NewImage = Callable[[Path, ImageFormat, int, int, str], DiskImageWriter]
"""Begins an image: path, format, size in bytes, sector size in bytes, disk id."""

_PLAIN = re.compile(r"[^A-Za-z0-9._-]+")
_NAME_LENGTH_MAX = 60
_RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredFolder:
    """The files that were written, and how many bytes of disk data are in them."""

    paths: tuple[Path, ...]
    data_bytes: int


def restore_to_folder(
    reader: ChunkReader,
    new_image: NewImage,
    point: RestorePoint,
    disks: Sequence[StoredDisk],
    target: Path,
    image_format: ImageFormat,
    progress: Progress,
    *,
    overwrite: bool,
    workers: int,
) -> RestoredFolder:
    """Restore ``disks`` of a point and its configuration below ``target``.

    A restore that was cut short is started over: what it left is replaced. Raises BadInputError when another file is
    there already and ``overwrite`` is not set, DamagedDataError, and EnvironmentTroubleError when the target is full
    or not writable.
    """
    folder = target / f"{plain_name(point.machine.name)}-{point.short_id}"
    places = [(disk, folder / "Virtual Hard Disks" / f"disk{disk.number}.{image_format}") for disk in disks]
    kept = [
        (file, folder / "Virtual Machines" / f"{number}-{plain_name(file.name)}")
        for number, file in enumerate(point.files)
    ]
    description = folder / "machine.toml"
    paths = [description, *(path for _, path in places), *(path for _, path in kept)]
    data_bytes = 0
    with _noted(folder, point.point_id.hex, paths, overwrite=overwrite):
        for disk, path in places:
            # What is there stays until the new image is whole.
            fresh = path.with_name(f"new-{path.name}") if path.exists() else path
            if fresh != path:
                _remove(fresh)
            writer = new_image(fresh, image_format, disk.size_bytes, disk.sector_size_bytes, disk.disk_id)
            try:
                data_bytes += restore_disk(reader, disk, writer, progress, workers).data_bytes
                writer.finish()
            finally:
                writer.abort()
            if fresh != path:
                _replace(fresh, path)
        for file, path in kept:
            _write(path, read_stored_file(reader, file))
        _write(description, _machine_toml(point, [(disk, path.name) for disk, path in places]))
    return RestoredFolder(paths=tuple(paths), data_bytes=data_bytes)


@contextmanager
def _noted(folder: Path, point_id: str, paths: Sequence[Path], *, overwrite: bool) -> Iterator[None]:
    """Refuse what is in the way, make the folders, and keep a note of what is written until all of it is."""
    try:
        own = unfinished_restore.own_files(folder, point_id)
    except OSError as error:
        raise _trouble(error, folder) from error
    _refuse_existing(paths, frozenset(paths) if overwrite else own)
    for path in paths:
        _make_folder(path.parent)
    try:
        new = [path for path in paths if path in own or not path.exists()]
        unfinished_restore.begin(folder, point_id, new)
        try:
            yield
        except BaseException:
            if not any(path.exists() for path in new):
                unfinished_restore.end(folder)
            raise
        unfinished_restore.end(folder)
    except OSError as error:
        raise _trouble(error, folder) from error


def plain_name(name: str) -> str:
    """A file name made of an untrusted name: letters, digits, dot, hyphen and underscore, never hidden or reserved."""
    plain = _PLAIN.sub("-", name).strip("-.")[:_NAME_LENGTH_MAX].rstrip("-.")
    return f"_{plain}" if not plain or _RESERVED.fullmatch(plain) else plain


def _machine_toml(point: RestorePoint, disks: Sequence[tuple[StoredDisk, str]]) -> bytes:
    settings = point.machine.settings
    described: dict[int, VirtualDisk] = dict(enumerate(point.machine.disks))
    content: dict[str, object] = {
        "name": point.machine.name,
        "firmware": settings.firmware.value,
        "notes": settings.notes,
        "guest": point.machine.guest_hint,
        "disks": [_disk_entry(described.get(disk.number), file) for disk, file in disks],
    }
    optional = ("processors", "memory_bytes", "secure_boot", "network_adapters")
    content |= {key: getattr(settings, key) for key in optional if getattr(settings, key) is not None}
    return _as_toml(content).encode()


def _disk_entry(disk: VirtualDisk | None, file: str) -> dict[str, object]:
    entry: dict[str, object] = {"file": f"Virtual Hard Disks/{file}"}
    if disk is not None:
        entry |= {
            "controller": disk.place.controller.value,
            "controller_number": disk.place.controller_number,
            "location": disk.place.location,
        }
    return entry


def _as_toml(content: dict[str, object]) -> str:
    """TOML of scalars and one list of tables; a JSON string is a TOML basic string but for DEL."""

    def line(key: str, value: object) -> str:
        return f"{key} = {msgspec.json.encode(value).decode()}".replace("\x7f", "\\u007f")

    tables = content.pop("disks")
    assert isinstance(tables, list)
    lines = [line(key, value) for key, value in content.items()]
    for table in tables:
        lines += ["", "[[disks]]", *(line(key, value) for key, value in table.items())]
    return "\n".join(lines) + "\n"


def _refuse_existing(paths: Sequence[Path], replaceable: frozenset[Path]) -> None:
    """Links are never followed, nor are folders that are links written through: they lead out of the target."""
    folders = {path.parent for path in paths if path.parent.is_symlink()}
    for path in (*folders, *paths):
        if path.is_symlink() or path.is_dir() or (path.exists() and path not in replaceable):
            raise BadInputError(
                "There is a file in the way.",
                where=str(path),
                next_step="Restore into another folder, or give --overwrite to replace files.",
            )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise _trouble(error, path) from error


def _replace(fresh: Path, path: Path) -> None:
    try:
        # A restore that was killed between two names of an image left the first one.
        remove_leftover(path)
        fresh.replace(path)
        sync_folder(path.parent)
    except OSError as error:
        raise _trouble(error, path) from error


def _make_folder(folder: Path) -> None:
    try:
        make_folder_durably(folder)
    except OSError as error:
        raise _trouble(error, folder) from error


def _write(path: Path, content: bytes) -> None:
    try:
        write_durably(path, content)
    except OSError as error:
        raise _trouble(error, path) from error


def _trouble(error: OSError, path: Path) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"The restored machine cannot be written: {error.strerror}.",
        where=str(path),
        next_step="Free space or choose another folder; the repository is not touched.",
    )
