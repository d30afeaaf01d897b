"""Making a repository: its keys and description in the store, and the first events of its history."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from uuid import uuid4

from adapters.audit.signing_key_file import Passphrase, load_signing_key, make_signing_key, no_passphrase
from adapters.checking import keep_copy_of_description
from adapters.stores.folder import FolderPackStore
from domain.content.chunking import ChunkingParameters
from domain.content.signed_note import origin_of
from domain.events.repository import RepositoryCreated, SigningKeyAdopted
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.workflows.vault import DOCUMENT, FORMAT_VERSION, create_vault


def create_repository(
    passphrase: str,
    *,
    store: FolderPackStore,
    new_log: Callable[[], EventLog],
    state_folder: Path,
    key_file: Path,
    clock: Clock,
    signing_passphrase: Passphrase = no_passphrase,
) -> str:
    """Make the repository and record it; returns the recovery key. A signing key that is there already is used.

    A new one is encrypted when ``signing_passphrase`` gives something. Raises BadInputError where there is a repository
    already, WrongKeyError for the key that is there, EnvironmentTroubleError.
    """
    chunking = ChunkingParameters()
    vault, recovery_key = create_vault(store, passphrase, chunking, os.urandom)
    key_name = origin_of(vault.repository_id)
    stream_id = uuid4()
    created = RepositoryCreated(
        originator_id=stream_id,
        originator_version=1,
        at=clock.now(),
        repository_id=vault.repository_id,
        format_version=FORMAT_VERSION,
        segment_bytes=chunking.segment_bytes,
        chunk_bytes_min=chunking.chunk_bytes_min,
        chunk_bytes_average=chunking.chunk_bytes_average,
        chunk_bytes_max=chunking.chunk_bytes_max,
    )
    try:
        key = load_signing_key(key_file, key_name, signing_passphrase)
        key = key or make_signing_key(key_file, key_name, signing_passphrase())
        adopted = SigningKeyAdopted(
            originator_id=stream_id,
            originator_version=2,
            at=created.at,
            public_key=key.verifier.public_key,
        )
        new_log().append([created, adopted])
        keep_copy_of_description(store, state_folder)
    except BaseException:
        store.remove_document(DOCUMENT)
        raise
    return recovery_key
