"""Files on SMB shares as byte sources: several connections, each made again when it is lost in the middle of a file."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from smbprotocol.exceptions import SMBException, SMBResponseException
from smbprotocol.header import NtStatus

from adapters.hyperv.paths import SharePath
from adapters.hyperv.smb_connection import OpenFile, SmbConnection, SmbLogin
from adapters.hyperv.smb_errors import FileMissingError, is_lost, translated
from domain.errors import AtestaError, EnvironmentTroubleError

_PAUSES_S = (0.5, 1.0, 2.0, 4.0, 8.0)
_LOSSES_MAX = 100
_FOREIGN = (SMBException, OSError)


class SmbShares:
    """The shares that a backup reads, with at most ``connections_max`` connections to each, one for a worker.

    ``sleep`` is the waiting between attempts to connect again.
    """

    def __init__(
        self, login: SmbLogin, *, connections_max: int = 4, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._login = login
        self._connections_max = connections_max
        self._sleep = sleep
        self._pools: dict[tuple[str, str], ConnectionPool] = {}
        self._lock = threading.Lock()

    def open(self, path: SharePath) -> SmbFile:
        """Open a file for reading.

        Raises BadInputError when it or the share is not there, BusyError when somebody shares it with nobody,
        EnvironmentTroubleError when the server cannot be reached or refuses.
        """
        with self._lock:
            pool = self._pools.get(path.share_key)
            if pool is None:
                pool = ConnectionPool(self._login, path, self._connections_max, self._sleep)
                self._pools[path.share_key] = pool
        return SmbFile(pool, path)

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know: connections that were lost on the way."""
        return tuple(
            f"The connection to {pool.label} was lost {'once' if pool.losses == 1 else f'{pool.losses} times'} "
            "and taken up again."
            for pool in self._pools.values()
            if pool.losses
        )

    def close(self) -> None:
        """Close all connections. A second call does nothing."""
        with self._lock:
            for pool in self._pools.values():
                pool.close()


class SmbFile:
    """The bytes of a file on a share. The size is that of the moment of opening, on every connection."""

    def __init__(self, pool: ConnectionPool, path: SharePath) -> None:
        self._pool = pool
        self._path = path
        self._is_open = True
        self._first: OpenFile | None = None
        found: list[OpenFile] = []
        pool.use(lambda connection: found.append(self._opened(connection)), lambda: 0, self.location)
        self._first = found[-1]
        self._size_bytes: int = found[-1].size_bytes

    @property
    def size_bytes(self) -> int:
        """The size when the file was opened."""
        return self._size_bytes

    @property
    def location(self) -> str:
        r"""The path as ``\\server\share\name``."""
        return str(self._path)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``, as the port says; after a lost connection, from the byte where it ended."""
        wanted = len(buffer)
        if offset < 0 or offset + wanted > self._size_bytes:
            raise ValueError(f"read of {wanted} bytes at {offset} leaves the {self._size_bytes} bytes of the source")
        if not self._is_open:
            raise ValueError(f"{self.location} is closed")
        done = 0

        def go_on(connection: SmbConnection) -> None:
            nonlocal done
            start = done

            def arrived(count: int) -> None:
                nonlocal done
                done = start + count

            connection.read(self._opened(connection), offset + start, buffer[start:], arrived)

        try:
            if wanted:
                self._pool.use(go_on, lambda: done, self.location)
        except _EndOfFileError as error:
            raise self._shorter(offset + done) from error
        if done < wanted:
            raise self._shorter(offset + done)

    def close(self) -> None:
        """Let go of the file; the connections belong to the share."""
        self._is_open = False

    def _opened(self, connection: SmbConnection) -> OpenFile:
        """The file on this connection. Raises EnvironmentTroubleError when it is not the one that was opened first."""
        try:
            file = connection.file(self._path.name)
        except SMBResponseException as error:
            if self._first is not None and isinstance(translated(error, self.location), FileMissingError):
                raise _changed("vanished", self.location) from error
            raise
        if self._first is not None and (file.size_bytes, file.identity) != (
            self._first.size_bytes,
            self._first.identity,
        ):
            raise _changed("was replaced or changed its size", self.location)
        return file

    def _shorter(self, offset: int) -> EnvironmentTroubleError:
        return EnvironmentTroubleError(
            f"The file became shorter while it was read: nothing is left at byte {offset:,}.",
            where=self.location,
            next_step="See what writes to the frozen disk on the host, then run the backup again.",
        )


class ConnectionPool:
    """The connections to one share. Each is used by one thread at a time; a lost one is thrown away."""

    def __init__(self, login: SmbLogin, path: SharePath, connections_max: int, sleep: Callable[[float], None]) -> None:
        self.label = f"\\\\{path.server}\\{path.share}"
        self.losses = 0
        self._login = login
        self._path = path
        self._sleep = sleep
        self._idle: list[SmbConnection] = []
        self._free = threading.BoundedSemaphore(connections_max)
        self._lock = threading.Lock()
        self._is_open = True
        self._was_connected = False

    def use(self, work: Callable[[SmbConnection], None], progress: Callable[[], int], where: str) -> None:
        """Do ``work`` over a connection, and again over a new one when it is lost.

        ``progress`` tells how far the work has come: after some of it the attempts are counted anew. They are bounded,
        and so are the losses of a whole backup. A server that never answered is not tried again. Raises the translated
        error of the last attempt.
        """
        attempt, reached = 0, progress()
        with self._free:
            while True:
                try:
                    self._once(work)
                except _FOREIGN as error:
                    if isinstance(error, SMBResponseException) and error.status == NtStatus.STATUS_END_OF_FILE:
                        raise _EndOfFileError from error
                    attempt, reached = (attempt, reached) if progress() == reached else (0, progress())
                    if (
                        not is_lost(error)
                        or not self._was_connected
                        or attempt == len(_PAUSES_S)
                        or self._lost_too_often()
                    ):
                        raise translated(error, where) from error
                    self._sleep(_PAUSES_S[attempt])
                    attempt += 1
                else:
                    return

    def close(self) -> None:
        """Close the connections that nobody uses; the others when their work is done."""
        with self._lock:
            self._is_open = False
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _once(self, work: Callable[[SmbConnection], None]) -> None:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        if connection is None:
            connection = SmbConnection(self._login, self._path.server, self._path.share)
            self._was_connected = True
        try:
            work(connection)
        except AtestaError:
            self._put_back(connection)
            raise
        except BaseException as error:
            if isinstance(error, SMBResponseException) and not is_lost(error):
                self._put_back(connection)
            else:
                connection.drop()
            raise
        self._put_back(connection)

    def _put_back(self, connection: SmbConnection) -> None:
        with self._lock:
            if self._is_open:
                self._idle.append(connection)
                return
        connection.close()

    def _lost_too_often(self) -> bool:
        with self._lock:
            self.losses += 1
            return self.losses > _LOSSES_MAX


class _EndOfFileError(Exception):
    """The server has nothing more."""


def _changed(how: str, where: str) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"The file {how} while it was read.",
        where=where,
        next_step="See what merges or moves the machine's disks on the host, then run the backup again.",
    )
