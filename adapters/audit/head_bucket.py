"""Object storage that heads are published to: one object a head, created only when there is none of its name."""

from __future__ import annotations

import os
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from adapters.audit.head_folder import two_histories
from adapters.audit.head_names import HeadNames
from domain.content.signed_note import NOTE_BYTES_MAX
from domain.errors import EnvironmentTroubleError
from domain.ports.transparency import KeptHead

if TYPE_CHECKING:
    from obstore.store import ObjectStore

_TIMEOUT = timedelta(seconds=30)
_RETRIES_MAX = 2


class HeadBucket:
    """A HeadPlace at ``url`` (``s3://``, ``az://``, ``gs://`` and what obstore knows) for the log ``origin``.

    Who signs in is in the environment, as the provider's own tools have it. The bucket is never made here.
    """

    def __init__(self, url: str, origin: str, store: ObjectStore | None = None) -> None:
        self._url = url
        self._names = HeadNames(origin)
        if store is not None:
            self._store = store

    @property
    def location(self) -> str:
        """The URL."""
        return self._url

    def newest(self) -> str | None:
        """The largest head there; None without one. Raises EnvironmentTroubleError."""
        import obstore
        from obstore.exceptions import BaseError

        try:
            sizes = [
                size
                for batch in obstore.list(self._store)
                for found in batch
                if (size := self._names.size(found["path"])) is not None
            ]
            return self._read(max(sizes)).decode(errors="replace") if sizes else None
        except (BaseError, OSError) as error:
            raise self._trouble(error) from error

    def publish(self, head: KeptHead) -> None:
        """Put ``head`` there durably. Raises DamagedDataError for another one of its size, EnvironmentTroubleError."""
        import obstore
        from obstore.exceptions import AlreadyExistsError, BaseError

        name, content = self._names.name(head.size), head.note.encode()
        try:
            try:
                obstore.put(self._store, name, content, mode="create", use_multipart=False)
            except AlreadyExistsError:
                if self._read(head.size) != content:
                    raise two_histories(f"{self._url}/{name}") from None
        except (BaseError, OSError) as error:
            raise self._trouble(error) from error

    @cached_property
    def _store(self) -> ObjectStore:
        from obstore.exceptions import BaseError
        from obstore.store import from_url

        try:
            return from_url(
                self._url,
                client_options={
                    "timeout": _TIMEOUT,
                    "connect_timeout": _TIMEOUT,
                    "allow_http": os.environ.get("AWS_ALLOW_HTTP", "").lower() == "true",
                },
                retry_config={"max_retries": _RETRIES_MAX, "retry_timeout": _TIMEOUT},
            )
        except (BaseError, ValueError) as error:
            raise self._trouble(error) from error

    def _read(self, size: int) -> bytes:
        import obstore

        got = obstore.get(self._store, self._names.name(size), options={"range": (0, NOTE_BYTES_MAX + 1)})
        return bytes(got.bytes())

    def _trouble(self, error: Exception) -> EnvironmentTroubleError:
        # What follows the first line is the library's own inside.
        return EnvironmentTroubleError(
            f"Heads cannot be published: {str(error).splitlines()[0][:300]}",
            where=self._url,
            next_step="See whether the account may list, read and create there; the next run tries again.",
        )
