"""Opened repositories without the cost of a passphrase, with small segments."""

from __future__ import annotations

import random

from adapters.stores.memory import MemoryPackStore
from domain.content.chunking import ChunkingParameters
from domain.content.keys import RepositoryKeys
from domain.ports.store import PackStore
from domain.workflows.vault import Vault

REPOSITORY = bytes(range(16))
SMALL = ChunkingParameters(
    segment_bytes=256 << 10, chunk_bytes_min=8 << 10, chunk_bytes_average=16 << 10, chunk_bytes_max=64 << 10
)


def small_vault(store: PackStore | None = None, *, chunking: ChunkingParameters = SMALL, seed: int = 1) -> Vault:
    """A vault over ``store``; the same ``seed`` gives the same keys, and salts that never repeat."""
    keys = RepositoryKeys.derived_from(random.Random(seed).randbytes(32))
    salts = random.SystemRandom()
    return Vault(REPOSITORY, chunking, keys, store if store is not None else MemoryPackStore(), salts.randbytes)
