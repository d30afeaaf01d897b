"""A pack store in memory, for tests and trials; it passes the same contract as the folder."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from adapters.stores.names import DOCUMENT_BYTES_MAX, checked_document_name, pack_name
from domain.errors import BadInputError, DamagedDataError


class MemoryPackStore:
    """Keeps packs in a dictionary."""

    def __init__(self) -> None:
        self.location = "memory"
        self._packs: dict[bytes, bytes] = {}
        self._documents: dict[str, bytes] = {}
        self._lock = threading.Lock()

    def new_pack(self) -> MemoryPackDraft:
        """Begin a pack."""
        return MemoryPackDraft(self)

    def add(self, pack_id: bytes, content: bytes) -> None:
        """Make a pack visible."""
        pack_name(pack_id)
        with self._lock:
            self._packs.setdefault(pack_id, content)

    def pack_bytes(self, pack_id: bytes) -> int:
        """The size of a pack."""
        return len(self._pack(pack_id))

    def read_pack(self, pack_id: bytes, offset: int, length: int) -> bytes:
        """Exactly ``length`` bytes of a pack."""
        data = self._pack(pack_id)[offset : offset + length]
        if len(data) != length:
            raise DamagedDataError("A pack is shorter than it was.", where=pack_name(pack_id))
        return data

    def pack_ids(self) -> Iterator[bytes]:
        """The ids of all packs."""
        with self._lock:
            return iter(list(self._packs))

    def pack_sizes(self) -> Iterator[tuple[bytes, int]]:
        """The ids and sizes of all packs."""
        with self._lock:
            return iter([(pack_id, len(content)) for pack_id, content in self._packs.items()])

    def delete_pack(self, pack_id: bytes) -> None:
        """Delete a pack."""
        with self._lock:
            self._packs.pop(pack_id, None)

    def write_document(self, name: str, content: bytes, *, replace: bool = False) -> None:
        """Write a document."""
        if len(content) > DOCUMENT_BYTES_MAX:
            raise BadInputError("The document is too large.", where=name)
        with self._lock:
            if checked_document_name(name) in self._documents and not replace:
                raise BadInputError("There is a repository here already.", where=self.location)
            self._documents[name] = content

    def read_document(self, name: str) -> bytes | None:
        """A document's content, or None."""
        return self._documents.get(checked_document_name(name))

    def remove_document(self, name: str) -> None:
        """Remove a document."""
        with self._lock:
            self._documents.pop(checked_document_name(name), None)

    def sweep(self) -> int:
        """Nothing outlives the process, so nothing is left behind."""
        return 0

    def _pack(self, pack_id: bytes) -> bytes:
        with self._lock:
            content = self._packs.get(pack_id)
        if content is None:
            raise DamagedDataError("A pack is missing.", where=pack_name(pack_id))
        return content


class MemoryPackDraft:
    """A pack in the making."""

    def __init__(self, store: MemoryPackStore) -> None:
        self._store = store
        self._parts: list[bytes] = []

    def append(self, data: bytes | memoryview) -> None:
        """Append bytes."""
        self._parts.append(bytes(data))

    def commit(self, pack_id: bytes) -> None:
        """Make the pack visible."""
        self._store.add(pack_id, b"".join(self._parts))
        self._parts.clear()

    def discard(self) -> None:
        """Forget the draft."""
        self._parts.clear()
