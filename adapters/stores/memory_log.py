"""The shipped log in memory, for tests and trials; it passes the same contract as the folder."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.stores.names import log_object_name
from domain.content.shipped_log import OBJECT_BYTES_LIMIT, LogObjectId
from domain.errors import DamagedDataError


class MemoryLogStore:
    """Keeps log objects in a dictionary."""

    def __init__(self) -> None:
        self.location = "memory"
        self.objects: dict[LogObjectId, bytes] = {}

    def write_log_object(self, name: LogObjectId, content: bytes) -> None:
        """Write an object."""
        log_object_name(name)
        self.objects.setdefault(name, content)

    def log_objects(self, first_min: int = 1) -> Iterator[LogObjectId]:
        """The names of the objects that begin at ``first_min`` or later."""
        return iter([name for name in self.objects if name.first >= first_min])

    def read_log_object(self, name: LogObjectId) -> bytes:
        """An object's bytes."""
        content = self.objects.get(name)
        if content is None:
            raise DamagedDataError("A part of the shipped history is missing.", where=str(name))
        if len(content) > OBJECT_BYTES_LIMIT:
            raise DamagedDataError("A part of the shipped history is absurdly large.", where=str(name))
        return content
