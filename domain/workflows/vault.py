"""A repository's own description, and the opened repository ("vault"): identity, parameters, keys, store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from domain.content.chunking import ChunkingParameters
from domain.content.keys import (
    KEY_BYTES,
    KeySlot,
    RepositoryKeys,
    format_recovery_key,
    recovery_secret,
    unwrap_key,
    wrap_key,
)
from domain.errors import BadInputError, DamagedDataError
from domain.ports.stages import UNTIMED, Stages
from domain.ports.store import PackStore

DOCUMENT = "repository.json"
FORMAT_VERSION = 1
Randomness = Callable[[int], bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryDescription:
    """The document ``repository.json`` (docs/formats/repository.md). Nothing in it is secret but what is wrapped."""

    format_version: int
    repository_id: bytes
    chunking: ChunkingParameters
    key_slots: tuple[KeySlot, ...]


@dataclass(frozen=True, slots=True)
class Vault:
    """An opened repository. ``stages`` hears what the threads of a backup do, when a profile was asked for."""

    repository_id: bytes
    chunking: ChunkingParameters
    keys: RepositoryKeys
    store: PackStore
    randomness: Randomness
    stages: Stages = UNTIMED


def create_vault(
    store: PackStore, passphrase: str, chunking: ChunkingParameters, randomness: Randomness
) -> tuple[Vault, str]:
    """Create a repository in an empty store; returns it with the recovery key, which is shown once and never kept.

    Raises BadInputError when there is one already or the passphrase is empty.
    """
    repository_id, master = randomness(16), randomness(KEY_BYTES)
    recovery_key = format_recovery_key(randomness(20))
    secrets = (("passphrase", passphrase), ("recovery", recovery_secret(recovery_key)))
    slots = tuple(
        wrap_key(master, secret, kind=kind, repository_id=repository_id, salt=randomness(16), nonce=randomness(12))
        for kind, secret in secrets
    )
    description = RepositoryDescription(
        format_version=FORMAT_VERSION, repository_id=repository_id, chunking=chunking, key_slots=slots
    )
    store.write_document(DOCUMENT, msgspec.json.format(msgspec.json.encode(description), indent=2))
    return Vault(repository_id, chunking, RepositoryKeys.derived_from(master), store, randomness), recovery_key


def describe(store: PackStore) -> RepositoryDescription:
    """The description of the repository in ``store``.

    Raises BadInputError when there is none, DamagedDataError when it cannot be read.
    """
    content = store.read_document(DOCUMENT)
    if content is None:
        raise BadInputError(
            "There is no repository here.", where=store.location, next_step="Create one with `atesta init`."
        )
    try:
        description = msgspec.json.decode(content, type=RepositoryDescription)
    except (msgspec.MsgspecError, ValueError) as error:
        raise DamagedDataError(
            "The repository's description cannot be read.",
            where=f"{store.location}/{DOCUMENT}",
            next_step="Restore this one file from a copy of the repository.",
        ) from error
    if description.format_version != FORMAT_VERSION:
        raise BadInputError(
            f"The repository has format {description.format_version}; this program reads {FORMAT_VERSION}.",
            where=store.location,
            next_step="Use a newer version of Atesta.",
        )
    return description


def open_vault(store: PackStore, secret: str, randomness: Randomness) -> Vault:
    """Open the repository with its passphrase or recovery key. Raises WrongKeyError."""
    description = describe(store)
    master = unwrap_key(description.key_slots, secret, description.repository_id)
    return Vault(
        description.repository_id, description.chunking, RepositoryKeys.derived_from(master), store, randomness
    )
