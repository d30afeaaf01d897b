"""Filling packs: neighbouring chunks into frames, frames into a draft, a full draft into a durable pack."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import zstandard
from blake3 import blake3

from domain.content.packs import (
    FRAME_PLAIN_BYTES_MAX,
    HEADER_BYTES,
    PACK_BYTES_TARGET,
    PACK_CHUNKS_TARGET,
    SALT_BYTES,
    FrameSealer,
    PackHeader,
    PackKind,
    PackTable,
)
from domain.model.stages import Stage
from domain.ports.stages import Stages
from domain.ports.store import PackDraft
from domain.workflows.vault import Vault

COMPRESSION = zstandard.ZstdCompressionParameters(
    strategy=zstandard.STRATEGY_FAST,
    window_log=18,
    hash_log=15,
    chain_log=15,
    search_log=1,
    min_match=7,
    target_length=1,
    write_content_size=True,
)
"""Faster than level 1 and than LZ4 on VM disks, both ways: long matches only, and literals as they are (ADR 21)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenPack:
    """A pack that is durable in the store."""

    pack_id: bytes
    pack_bytes: int
    kind: PackKind
    table: PackTable


class NewChunk(NamedTuple):
    """A chunk to store: ``data`` must not change until the frame that holds it is written.

    ``offset`` is where it stands in the buffer that is given with it, if it stands in one.
    """

    chunk_id: bytes
    data: memoryview | bytes
    offset: int = -1


class TimedCompressor:
    """A compressor whose work belongs to the stage "compressing"."""

    def __init__(self, inner: zstandard.ZstdCompressor, stages: Stages) -> None:
        self._inner = inner
        self._stages = stages

    def compress(self, data: memoryview | bytes) -> bytes:
        """Compress one frame."""
        with self._stages.stage(Stage.COMPRESSING):
            return self._inner.compress(data)


class PackWriter:
    """Writes packs of one kind for one thread. ``on_durable`` is called for each pack once it is durable."""

    def __init__(self, vault: Vault, kind: PackKind, on_durable: Callable[[WrittenPack], None]) -> None:
        self._vault = vault
        self._kind = kind
        self._on_durable = on_durable
        self._stages = vault.stages
        self._compressor = TimedCompressor(zstandard.ZstdCompressor(compression_params=COMPRESSION), self._stages)
        self._draft: PackDraft | None = None

    def write(self, chunks: Sequence[NewChunk], buffer: memoryview | None = None) -> None:
        """Store chunks in order; neighbours in ``buffer`` are sealed from there, without a copy.

        Raises EnvironmentTroubleError when the store is full.
        """
        frame: list[NewChunk] = []
        frame_bytes = 0
        for chunk in chunks:
            if frame and frame_bytes + len(chunk.data) > FRAME_PLAIN_BYTES_MAX:
                self._write_frame(frame, buffer)
                frame, frame_bytes = [], 0
            frame.append(chunk)
            frame_bytes += len(chunk.data)
        if frame:
            self._write_frame(frame, buffer)

    def finish(self) -> None:
        """Make what was written durable."""
        if self._draft is None:
            return
        table, ending = self._sealer.finished()
        self._append(ending)
        pack_id = self._digest.digest()
        with self._stages.stage(Stage.WRITING):
            self._draft.commit(pack_id)
        self._draft = None
        self._on_durable(WrittenPack(pack_id=pack_id, pack_bytes=self._pack_bytes, kind=self._kind, table=table))

    def discard(self) -> None:
        """Forget what is not durable yet."""
        if self._draft is not None:
            self._draft.discard()
            self._draft = None

    def _write_frame(self, frame: Sequence[NewChunk], buffer: memoryview | None) -> None:
        if self._draft is None:
            self._begin()
        plain = _plain(frame, buffer)
        with self._stages.stage(Stage.SEALING):
            sealed = self._sealer.seal(plain, [one.chunk_id for one in frame], [len(one.data) for one in frame])
        self._append(sealed)
        if self._pack_bytes >= PACK_BYTES_TARGET or self._sealer.chunk_count >= PACK_CHUNKS_TARGET:
            self.finish()

    def _begin(self) -> None:
        header = PackHeader(
            kind=self._kind, salt=self._vault.randomness(SALT_BYTES), repository_id=self._vault.repository_id
        )
        with self._stages.stage(Stage.WRITING):
            self._draft = self._vault.store.new_pack()
        self._sealer = FrameSealer(self._vault.keys, header, self._compressor)
        self._digest = blake3()
        self._pack_bytes = 0
        encoded = header.encoded()
        assert len(encoded) == HEADER_BYTES
        self._append(encoded)

    def _append(self, data: bytes) -> None:
        assert self._draft is not None
        with self._stages.stage(Stage.HASHING):
            self._digest.update(data)
        with self._stages.stage(Stage.WRITING):
            self._draft.append(data)
        self._pack_bytes += len(data)


def _plain(frame: Sequence[NewChunk], buffer: memoryview | None) -> memoryview | bytes:
    """The chunks end to end: a slice of the buffer where they are neighbours in it, else a copy."""
    if len(frame) == 1:
        return frame[0].data
    if buffer is not None and all(one.offset + len(one.data) == two.offset for one, two in pairwise(frame)):
        return buffer[frame[0].offset : frame[-1].offset + len(frame[-1].data)]
    return b"".join(chunk.data for chunk in frame)


class MapWriter:
    """Collects disk-map nodes and configuration files into frames of map packs."""

    def __init__(self, vault: Vault, on_durable: Callable[[WrittenPack], None]) -> None:
        self._writer = PackWriter(vault, PackKind.MAP, on_durable)
        self._waiting: list[NewChunk] = []
        self._waiting_bytes = 0

    def add(self, node_id: bytes, node: bytes) -> None:
        """Store one node."""
        self._waiting.append(NewChunk(node_id, node))
        self._waiting_bytes += len(node)
        if self._waiting_bytes >= FRAME_PLAIN_BYTES_MAX:
            self._flush()

    def finish(self) -> None:
        """Make all nodes durable."""
        self._flush()
        self._writer.finish()

    def discard(self) -> None:
        """Forget what is not durable yet."""
        self._waiting.clear()
        self._writer.discard()

    def _flush(self) -> None:
        self._writer.write(self._waiting)
        self._waiting = []
        self._waiting_bytes = 0
