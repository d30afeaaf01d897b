"""A pack store in a local folder: ``packs/ab/<id>.pack``, drafts in ``drafts/``, documents at the top.

A draft is locked while its writer lives, so that a sweep removes only what a killed run left behind.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from adapters.durable_files import make_folder_durably, remove_durably, sync_folder, write_durably
from adapters.stores.names import DOCUMENT_BYTES_MAX, checked_document_name, pack_name, parse_pack_name
from adapters.uncached_writing import ALIGNMENT_BYTES, open_uncached, write_all_at
from domain.content.aligned_buffer import aligned_buffer
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError

_WRITE_BYTES = 4 << 20
_WRITERS = 2
_OPEN_PACKS_MAX = 64


class FolderPackStore:
    """Packs as files below ``folder``, which is created by the first write."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._packs = folder / "packs"
        self._drafts = folder / "drafts"
        self._open: OrderedDict[bytes, _OpenPack] = OrderedDict()
        self._desk = _WritingDesk()
        self._lock = threading.Lock()

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def new_pack(self) -> FolderPackDraft:
        """Begin a pack."""
        with _as_trouble(self._drafts):
            self._drafts.mkdir(parents=True, exist_ok=True)
            while True:
                draft = FolderPackDraft(self._drafts / f"{secrets.token_hex(16)}.draft", self._packs, self._desk)
                if draft.is_held():
                    return draft
                draft.discard()

    def pack_bytes(self, pack_id: bytes) -> int:
        """The size of a pack."""
        path = self._path(pack_id)
        with _as_trouble(path):
            return path.stat().st_size

    def read_pack(self, pack_id: bytes, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes of a pack."""
        pack = self._opened(pack_id)
        with _as_trouble(pack.path):
            try:
                data = os.pread(pack.descriptor, length, offset)
            except OSError as error:
                if error.errno != errno.EIO:
                    raise
                raise DamagedDataError(
                    "The disk does not give a pack's bytes back.",
                    where=str(pack.path),
                    next_step="The disk may be failing: bring the file back from a copy, and look at the system's log.",
                ) from error
        if len(data) != length:
            raise DamagedDataError(
                "A pack is shorter than it was.",
                where=str(pack.path),
                next_step="Bring the file back from a copy of the repository; other restore points are not touched.",
            )
        return data

    def pack_ids(self) -> Iterator[bytes]:
        """The ids of all packs."""
        with _as_trouble(self._packs):
            folders = sorted(self._packs.iterdir()) if self._packs.is_dir() else []
            for folder in folders:
                for path in folder.iterdir() if folder.is_dir() else ():
                    pack_id = parse_pack_name(path.name)
                    if pack_id is not None and folder.name == pack_id.hex()[:2] and path.is_file():
                        yield pack_id

    def foreign_files(self) -> list[str]:
        """What is among the packs and has no pack's name in a pack's folder."""
        with _as_trouble(self._packs):
            found = [path for path in self._packs.rglob("*") if not path.is_dir()] if self._packs.is_dir() else []
        ids = ((path, parse_pack_name(path.name)) for path in found)
        return sorted(str(path) for path, one in ids if one is None or self._path(one) != path)

    def delete_pack(self, pack_id: bytes) -> None:
        """Delete a pack durably."""
        path = self._path(pack_id)
        with self._lock:
            self._open.pop(pack_id, None)
        with _as_trouble(path):
            path.unlink(missing_ok=True)
            if path.parent.is_dir():
                sync_folder(path.parent)

    def write_document(self, name: str, content: bytes, *, replace: bool = False) -> None:
        """Write a document durably and atomically."""
        path = self._folder / checked_document_name(name)
        if len(content) > DOCUMENT_BYTES_MAX:
            raise BadInputError("The document is too large.", where=name)
        with _as_trouble(path):
            make_folder_durably(self._folder)
            try:
                write_durably(path, content, replace=replace)
            except FileExistsError as error:
                raise BadInputError(
                    "There is a repository here already.", where=self.location, next_step="Choose another folder."
                ) from error

    def read_document(self, name: str) -> bytes | None:
        """A document's content, or None."""
        path = self._folder / checked_document_name(name)
        try:
            with path.open("rb") as file:
                content = file.read(DOCUMENT_BYTES_MAX + 1)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _trouble(error, path) from error
        if len(content) > DOCUMENT_BYTES_MAX:
            raise DamagedDataError("The document is absurdly large.", where=str(path))
        return content

    def remove_document(self, name: str) -> None:
        """Remove a document durably."""
        path = self._folder / checked_document_name(name)
        with _as_trouble(path):
            remove_durably(path)

    def sweep(self) -> int:
        """Remove drafts whose writer is dead."""
        removed = 0
        with _as_trouble(self._drafts):
            for path in self._drafts.glob("*.draft"):
                removed += _removed_if_abandoned(path)
        return removed

    def _path(self, pack_id: bytes) -> Path:
        name = pack_name(pack_id)
        return self._packs / name[:2] / name

    def _opened(self, pack_id: bytes) -> _OpenPack:
        with self._lock:
            pack = self._open.get(pack_id)
            if pack is None:
                path = self._path(pack_id)
                with _as_trouble(path):
                    pack = _OpenPack(path)
                self._open[pack_id] = pack
                while len(self._open) > _OPEN_PACKS_MAX:
                    self._open.popitem(last=False)
            self._open.move_to_end(pack_id)
            return pack


class _OpenPack:
    """An open file that closes when nobody refers to it any more, so that a reader keeps it over an eviction."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):
            os.close(self.descriptor)


class _WritingDesk:
    """What the drafts of a store share: threads that write while others compress, and buffers that are free."""

    def __init__(self) -> None:
        self.writers = ThreadPoolExecutor(_WRITERS, thread_name_prefix="pack-writer")
        self._buffers: list[memoryview] = []

    def buffer(self) -> memoryview:
        """A buffer for one piece."""
        try:
            return self._buffers.pop()  # one step: safe from several threads
        except IndexError:
            return aligned_buffer(_WRITE_BYTES)

    def put_back(self, buffer: memoryview) -> None:
        """Free a buffer that nobody reads or writes any more."""
        self._buffers.append(buffer)


class FolderPackDraft:
    """A pack being written to a draft file, past the page cache, in pieces of 4 MiB: one fills while one is written."""

    def __init__(self, path: Path, packs: Path, desk: _WritingDesk) -> None:
        self._path = path
        self._packs = packs
        self._descriptor = open_uncached(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
        self._desk = desk
        self._buffer = desk.buffer()
        self._waiting_bytes = 0
        self._written_bytes = 0
        self._in_writing: tuple[Future[None], memoryview] | None = None
        self._open = True
        try:
            # Waits for a sweep that looks at the file at this moment; is_held tells afterwards what came of it.
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        except OSError:
            self.discard()
            raise

    def is_held(self) -> bool:
        """Whether the file was still there when it was locked: a sweep may come between its birth and its lock."""
        return os.fstat(self._descriptor).st_nlink > 0

    def append(self, data: bytes | memoryview) -> None:
        """Append bytes; ``data`` may change afterwards."""
        rest = memoryview(data)
        while rest:
            count = min(len(rest), _WRITE_BYTES - self._waiting_bytes)
            self._buffer[self._waiting_bytes : self._waiting_bytes + count] = rest[:count]
            self._waiting_bytes += count
            rest = rest[count:]
            if self._waiting_bytes == _WRITE_BYTES:
                self._hand_over()

    def commit(self, pack_id: bytes) -> None:
        """Make the pack durable under its name."""
        name = pack_name(pack_id)
        folder = self._packs / name[:2]
        self._write_rest()
        with _as_trouble(self._path):
            os.fsync(self._descriptor)
            folder.mkdir(parents=True, exist_ok=True)
            # Also when the folder was there: another thread may have made it and not have come to this yet.
            sync_folder(self._packs.parent)
            sync_folder(self._packs)
            self._path.replace(folder / name)
            sync_folder(folder)
        self._close()

    def discard(self) -> None:
        """Remove the draft."""
        if self._open:
            # What a piece in writing runs into no longer matters, but its thread must be through with the file.
            with contextlib.suppress(EnvironmentTroubleError, DamagedDataError):
                self._settle()
            try:
                with _as_trouble(self._path):
                    self._path.unlink(missing_ok=True)
            finally:
                self._close()

    def _write_rest(self) -> None:
        """Have the file hold all that was appended, and nothing else."""
        self._hand_over()
        self._settle()
        with _as_trouble(self._path):
            os.ftruncate(self._descriptor, self._written_bytes)

    def _hand_over(self) -> None:
        """Have what waits written; only the last piece is not whole blocks, and its padding is cut off again."""
        padding = -self._waiting_bytes % ALIGNMENT_BYTES
        piece = self._buffer[: self._waiting_bytes + padding]
        piece[self._waiting_bytes :] = bytes(padding)
        self._settle()
        written = self._desk.writers.submit(write_all_at, self._descriptor, piece, self._written_bytes)
        self._in_writing = written, self._buffer
        self._written_bytes += self._waiting_bytes
        self._buffer, self._waiting_bytes = self._desk.buffer(), 0

    def _settle(self) -> None:
        """Wait for the piece in writing. Raises what went wrong with it, again and again."""
        if self._in_writing is not None:
            written, buffer = self._in_writing
            with _as_trouble(self._path):
                written.result()
            self._in_writing = None
            self._desk.put_back(buffer)

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)
            self._desk.put_back(self._buffer)


def _removed_if_abandoned(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return False
    else:
        return True
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def _as_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError as error:
        raise DamagedDataError(
            "A file of the repository is missing.",
            where=str(path),
            next_step="Bring it back from a copy of the repository; other restore points are not touched.",
        ) from error
    except OSError as error:
        raise _trouble(error, path) from error


def _trouble(error: OSError, path: Path) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"The repository cannot be used: {error.strerror}.",
        where=str(path),
        next_step="Free space or mend the permissions, then run the same command again; nothing committed is lost.",
    )
