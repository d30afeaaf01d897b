"""Checking the files of a repository that are not packs: its description, the event store, what hangs on it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from adapters.audit.tree_file import MEND_STEP, TREE_FILE_NAME, TreeFile
from adapters.durable_files import make_folder_durably, write_durably
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.projection_file import REBUILD_STEP
from adapters.eventstore.rebuild import ProjectionName, equals_replay
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from adapters.eventstore.wal_examination import damaged_frame
from adapters.kept_file_checks import check_outbox, check_pictures, check_shipped_heads, check_shipped_history
from adapters.stores.folder import FolderPackStore
from adapters.stores.folder_heads import FolderHeadStore
from adapters.stores.folder_log import FolderLogStore
from domain.content.signed_note import origin_of
from domain.errors import AtestaError, BadInputError, BusyError, DamagedDataError
from domain.workflows.sealing import adopted_keys, examine_log
from domain.workflows.vault import DOCUMENT, describe

COPY_NAME = "repository-copy.json"
_FROM_COPY = "Bring the event store back from a copy; restore points in the packs are untouched."


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One thing that was checked; ``trouble`` is None when it is sound."""

    name: str
    where: str
    trouble: AtestaError | None


def checked_files(store: FolderPackStore, events: Path, catalog: Path, index: Path) -> Iterator[Checked]:
    """Check each file in turn; what depends on a damaged one is damaged with it. Nothing is repaired."""
    state = events.parent
    yield _checked("description", f"{store.location}/{DOCUMENT}", lambda: check_description(store, state))
    yield _checked("pack folder", f"{store.location}/packs", lambda: _check_pack_folder(store))
    yield _checked("event store", str(events), lambda: _check_events(events))
    history = FolderLogStore(Path(store.location))
    yield _checked("shipped history", f"{store.location}/log", lambda: check_shipped_history(history, events))
    for name, path in ((ProjectionName.CATALOG, catalog), (ProjectionName.CHUNK_INDEX, index)):
        yield _checked(name.value, str(path), partial(_check_projection, name, path, events))
    tree = state / TREE_FILE_NAME
    yield _checked("transparency log", str(tree), lambda: _check_transparency_log(store, events, tree))
    heads = FolderHeadStore(Path(store.location))
    yield _checked("shipped heads", f"{store.location}/heads", lambda: _check_heads(store, heads, tree, events))
    yield _checked("pictures", str(state / "pictures"), lambda: check_pictures(state / "pictures"))
    yield _checked("outbox", str(state / "outbox"), lambda: check_outbox(state / "outbox"))


def keep_copy_of_description(store: FolderPackStore, state: Path) -> None:
    """Keep the description twice: it never changes, and without it nothing can be opened."""
    content = store.read_document(DOCUMENT)
    if content is not None and not (state / COPY_NAME).exists():
        make_folder_durably(state, mode=0o700)
        write_durably(state / COPY_NAME, content, replace=False)


def check_description(store: FolderPackStore, state: Path) -> None:
    """Compare the description with its copy, which is made when there is none. Raises DamagedDataError."""
    copy = state / COPY_NAME
    where = f"{store.location}/{DOCUMENT}"
    kept = copy.read_bytes() if copy.exists() else None
    content = store.read_document(DOCUMENT)
    if content is None and kept is not None:
        raise DamagedDataError(
            "The description of the repository is gone.", where=where, next_step=f"Copy {copy} to {where}."
        )
    if kept is not None and content is not None and kept != content:
        raise DamagedDataError(
            f"The description of the repository and its copy differ from byte {_first_difference(content, kept)} on.",
            where=f"{where} and {copy}",
            next_step="Replace the one that changed with the other: `atesta verify` works with the good one.",
        )
    describe(store)
    keep_copy_of_description(store, state)


def _check_pack_folder(store: FolderPackStore) -> None:
    strange = store.foreign_files()
    if strange:
        raise BadInputError(
            f"{len(strange)} files among the packs are no packs; they are not touched.",
            where=strange[0],
            next_step="Find out who put them there, and move them away.",
        )


def _check_events(path: Path) -> None:
    """Structure, every row's digest, and every stream without a hole. Raises DamagedDataError."""
    if not path.exists():
        raise DamagedDataError("The event store is gone.", where=str(path), next_step=_FROM_COPY)
    _check_write_ahead_log(path)
    _check_structure(path, _FROM_COPY)
    with SQLiteEventLog(path) as log:
        streams: dict[bytes, int] = {}
        for numbered in log.events_after(0):
            event = numbered.event
            expected = streams.get(event.originator_id.bytes, 0) + 1
            if event.originator_version != expected:
                raise DamagedDataError(
                    f"Event {expected} of a stream is missing.",
                    where=f"{path}, stream {event.originator_id}",
                    next_step=_FROM_COPY,
                )
            streams[event.originator_id.bytes] = expected
        if not streams:
            raise DamagedDataError("The event store is empty.", where=str(path), next_step=_FROM_COPY)


def _check_write_ahead_log(events: Path) -> None:
    """Before the database is opened, which cuts a damaged log. Raises DamagedDataError."""
    wal = events.with_name(f"{events.name}-wal")
    frame = damaged_frame(wal)
    if frame is not None:
        raise DamagedDataError(
            f"The write-ahead log of the event store is damaged from frame {frame} on: the events after it are lost.",
            where=str(wal),
            next_step="Move the state folder aside and run `atesta recover`, which takes all that was shipped.",
        )


def _check_projection(name: ProjectionName, path: Path, events: Path) -> None:
    if path.exists():
        _check_structure(path, REBUILD_STEP)
    with SQLiteEventLog(events) as log:
        if not equals_replay(name, path, log):
            raise DamagedDataError(
                f"The {name.value} is not what the events give.", where=str(path), next_step=REBUILD_STEP
            )


def _check_transparency_log(store: FolderPackStore, events: Path, tree: Path) -> None:
    """The tree against the events, and the heads against the tree. Raises DamagedDataError."""
    if not tree.exists():
        return
    _check_structure(tree, MEND_STEP)
    with SQLiteEventLog(events) as log:
        keys = adopted_keys(log, origin_of(describe(store).repository_id))
        found = examine_log(TreeFile(tree, log), log, keys)
    if found.troubles:
        raise DamagedDataError(
            f"The transparency log and the events contradict each other: {found.troubles[0]}.",
            where=str(tree),
            next_step=MEND_STEP,
        )


def _check_heads(store: FolderPackStore, heads: FolderHeadStore, tree: Path, events: Path) -> None:
    if tree.exists():
        check_shipped_heads(heads, origin_of(describe(store).repository_id), tree, events)


def _check_structure(path: Path, next_step: str) -> None:
    """Raises DamagedDataError when SQLite finds tables, indexes or pages at odds with each other."""
    with (
        sqlite_trouble(str(path), if_damaged=next_step),
        closing(sqlite3.connect(path.absolute().as_uri() + "?mode=rw", uri=True)) as connection,
    ):
        connection.text_factory = bytes
        found = connection.execute("PRAGMA integrity_check(1)").fetchone()[0].decode("ascii", "replace")
    if found != "ok":
        raise DamagedDataError(f"A database is damaged: {found}.", where=str(path), next_step=next_step)


def _checked(name: str, where: str, check: Callable[[], None]) -> Checked:
    try:
        check()
    except BusyError:
        raise
    except AtestaError as error:
        if where not in error.where:
            # An event is named by its number: say in which file.
            error = type(error)(error.what, where=f"{where}, {error.where}", next_step=error.next_step)
        return Checked(name=name, where=where, trouble=error)
    return Checked(name=name, where=where, trouble=None)


def _first_difference(one: bytes, other: bytes) -> int:
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))
