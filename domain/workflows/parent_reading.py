"""Reading the map of the point that an incremental starts from: when it is damaged, the run reads everything."""

from __future__ import annotations

from domain.content.disk_map import MappedPiece, MapRoot
from domain.errors import ChangesUnknownError, DamagedDataError
from domain.workflows.chunk_reading import ChunkReader


class ParentReader:
    """Nodes of the parent's map. Each call raises ChangesUnknownError when the repository cannot give it."""

    def __init__(self, reader: ChunkReader) -> None:
        self._reader = reader

    def read_root(self, root_id: bytes) -> MapRoot:
        """The root node."""
        try:
            return self._reader.read_root(root_id)
        except DamagedDataError as error:
            raise _unreadable(error) from error

    def read_leaf(self, leaf_id: bytes, segment_bytes: int) -> list[MappedPiece]:
        """The pieces of a leaf."""
        try:
            return self._reader.read_leaf(leaf_id, segment_bytes)
        except DamagedDataError as error:
            raise _unreadable(error) from error

    def read_node(self, node_id: bytes) -> bytes:
        """A node's verified bytes."""
        try:
            return self._reader.read_node(node_id)
        except DamagedDataError as error:
            raise _unreadable(error) from error


def _unreadable(error: DamagedDataError) -> ChangesUnknownError:
    return ChangesUnknownError(f"the last point's map cannot be read: {error.what}", where=error.where)
