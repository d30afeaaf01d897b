"""Recovering a state folder from the store: everything is built in a folder of its own and put in place at the end."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from uuid import UUID

from adapters.audit.tree_file import TREE_FILE_NAME, TreeFile
from adapters.durable_files import make_folder_durably, sync_folder
from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_store_draft import SQLiteEventStoreDraft, has_events, put_in_place
from adapters.eventstore.index_filling import fill_chunk_index
from adapters.eventstore.rebuild import swap_projection
from adapters.eventstore.swap_lock import remove_with_logs
from adapters.locks import FileMachineLocks
from adapters.stores.folder import FolderPackStore
from domain.content.signed_note import origin_of
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from domain.model.actor import Actor
from domain.ports.clock import Clock
from domain.ports.progress import Progress
from domain.ports.store import HeadStore, LogStore
from domain.workflows.recovery import Recovered, RecoveryWorkflow
from domain.workflows.sealing import adopted_keys
from domain.workflows.shipped_heads import RecoveredHeads, recover_heads
from domain.workflows.shipped_history import ShippedHistory, read_history
from domain.workflows.vault import DOCUMENT, Vault, describe, open_vault

EVENTS, INDEX, CATALOG = "events.sqlite", "chunk-index.sqlite", "catalog.sqlite"
_DRAFT_MARK = "recovering-"
_LOCK = "recovery"


def recover_state(
    vault: Vault,
    log_store: LogStore,
    state_folder: Path,
    *,
    clock: Clock,
    progress: Progress,
    new_id: Callable[[], UUID],
    actor: Actor | None = None,
    head_store: HeadStore | None = None,
) -> Recovered:
    """Make event store and projections in ``state_folder`` from the store, which is only read.

    Killed at any moment it leaves no event store or the whole one. Raises BadInputError when there is one already,
    BusyError while another recovery runs, DamagedDataError when the shipped history contradicts itself,
    EnvironmentTroubleError.
    """
    _make_folder(state_folder)
    with FileMachineLocks(state_folder / "locks").held(_LOCK):
        for leftover in state_folder.glob(f"{_DRAFT_MARK}*"):
            shutil.rmtree(leftover, ignore_errors=True)
        _refuse_to_overwrite(state_folder / EVENTS)
        draft = state_folder / f"{_DRAFT_MARK}{secrets.token_hex(8)}"
        _make_folder(draft)
        try:
            # Before the history, which another installation may go on shipping: each covers only what is there by now.
            head_sizes = tuple(head_store.head_sizes()) if head_store is not None else ()
            history = _history(vault, log_store, draft, progress)
            recovered = _completed(vault, history, draft, clock, progress, new_id, actor)
            if head_store is not None:
                recovered = replace(recovered, heads=_heads(vault, history, draft, head_store, head_sizes))
            _put_in_place(draft, state_folder)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
    return recovered


def open_found_vault(folder: Path, secret: Callable[[], str]) -> Vault:
    """Open the repository in ``folder`` without a configuration; the secret is asked for once it is found.

    Raises BadInputError when there is none, WrongKeyError.
    """
    store = FolderPackStore(folder)
    if store.read_document(DOCUMENT) is None:
        raise BadInputError(
            "There is no repository here.",
            where=str(folder),
            next_step=f"Name the folder that holds {DOCUMENT}; if that file is lost, bring it back from a copy first.",
        )
    describe(store)
    return open_vault(store, secret(), os.urandom)


def _history(vault: Vault, log_store: LogStore, draft: Path, progress: Progress) -> ShippedHistory:
    with SQLiteEventStoreDraft(draft / EVENTS) as events:
        history = read_history(vault, log_store, events, progress)
        events.finish(history.numbers_taken)
    return history


def _completed(
    vault: Vault,
    history: ShippedHistory,
    draft: Path,
    clock: Clock,
    progress: Progress,
    new_id: Callable[[], UUID],
    actor: Actor | None,
) -> Recovered:
    with SQLiteEventLog(draft / EVENTS, actor=actor) as log:
        fill_chunk_index(draft / INDEX, log)
        with (
            SQLiteChunkIndex(draft / INDEX, log, draft=True) as index,
            SQLiteCatalog(draft / CATALOG, log, draft=True) as catalog,
        ):
            index.catch_up()
            workflow = RecoveryWorkflow(
                vault=vault,
                log=log,
                index=index,
                named_packs=lambda: (pack.pack_id for pack in index.packs() if not pack.retired_at),
                clock=clock,
                progress=progress,
                new_id=new_id,
            )
            recovered = workflow.complete(history)
            index.catch_up()
            catalog.catch_up()
    return recovered


def _heads(
    vault: Vault, history: ShippedHistory, draft: Path, head_store: HeadStore, sizes: Sequence[int]
) -> RecoveredHeads:
    """Make the transparency log of what came back, with the heads that fit it."""
    with SQLiteEventLog(draft / EVENTS) as log:
        tree = TreeFile(draft / TREE_FILE_NAME, log)
        tree.follow()
        keys = adopted_keys(log, origin_of(vault.repository_id))
        return recover_heads(tree, log, history.events, head_store, sizes, keys)


def _put_in_place(draft: Path, state_folder: Path) -> None:
    """The projections first: with the event store everything is there, and without it nothing is believed.

    The transparency log comes last: where one stands already it stays, because it is never replaced. Killed before it,
    the next head makes it anew.
    """
    for name in (INDEX, CATALOG):
        swap_projection(draft / name, state_folder / name)
    _refuse_to_overwrite(state_folder / EVENTS)
    remove_with_logs(state_folder / EVENTS)
    put_in_place(draft / EVENTS, state_folder / EVENTS)
    tree = state_folder / TREE_FILE_NAME
    if (draft / TREE_FILE_NAME).exists() and not tree.exists():
        try:
            (draft / TREE_FILE_NAME).rename(tree)
            sync_folder(state_folder)
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The transparency log cannot be put into its place: {error.strerror}.",
                where=str(tree),
                next_step="Everything else is recovered; `atesta audit head --sign` makes it anew.",
            ) from error


def _refuse_to_overwrite(events: Path) -> None:
    """An event store that holds nothing was made by a command that looked for one; it may go."""
    try:
        is_taken = has_events(events)
    except DamagedDataError:
        is_taken = True
    if is_taken:
        raise BadInputError(
            "There is an event store already, and nothing is ever overwritten.",
            where=str(events),
            next_step=f"If it is the one to replace, move the folder {events.parent} aside; to look at a recovered one "
            "beside it, name an empty folder with --state-folder.",
        )


def _make_folder(folder: Path) -> None:
    try:
        make_folder_durably(folder, mode=0o700)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"A folder cannot be made: {error.strerror}.", where=str(folder), next_step="Choose another --state-folder."
        ) from error
