"""A repository whose history is shipped into its store, and recoveries of it into folders of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

from adapters.locks import FileMachineLocks
from adapters.recovering import recover_state
from adapters.stores.folder_log import FolderLogStore
from domain.content.shipped_log import LogObjectId
from domain.ports.event_log import EventLog
from domain.ports.progress import Silent
from domain.ports.store import LogStore
from domain.workflows.log_shipping import LogShipping
from domain.workflows.recovery import Recovered
from domain.workflows.shipped_log import ShippedLog
from tests.doubles.faults import Cut, CutLog
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import HandClock, ScriptedSource


class CutLogStore:
    """A store of log objects whose writes count as steps."""

    def __init__(self, store: LogStore, cut: Cut) -> None:
        self._store = store
        self._cut = cut
        self.location = store.location
        self.log_objects = store.log_objects
        self.read_log_object = store.read_log_object

    def write_log_object(self, name: LogObjectId, content: bytes) -> None:
        self._cut.before_step()
        self._store.write_log_object(name, content)
        self._cut.after_step()


@contextmanager
def shipping(folder: Path, *, cut: Cut | None = None) -> Iterator[OpenRepository]:
    """Open the repository in ``folder`` as a command with the key does; ``cut`` ends log objects as well."""
    with opened(folder, cut=cut) as repository:
        store: LogStore = FolderLogStore(folder / "store")
        log: EventLog = repository.log
        rows = log._log if isinstance(log, CutLog) else log
        ships = LogShipping(
            repository.vault,
            rows,  # type: ignore[arg-type]
            CutLogStore(store, cut) if cut else store,
            FileMachineLocks(folder / "locks"),
        )
        yield replace(repository, log=ShippedLog(log, ships))


def back_up(folder: Path, source: ScriptedSource, *, cut: Cut | None = None) -> None:
    """One command that backs up and ends well, or is cut."""
    with shipping(folder, cut=cut) as repository:
        repository.workflow().back_up(source, source.machine)


def recover(folder: Path, into: Path) -> Recovered:
    """Recover the store of ``folder`` into the state folder of a repository in ``into``, which has no packs."""
    with opened(folder) as repository:
        vault = repository.vault
    return recover_state(
        vault, FolderLogStore(folder / "store"), into, clock=HandClock(), progress=Silent(), new_id=uuid4
    )


@contextmanager
def recovered(folder: Path, into: Path) -> Iterator[OpenRepository]:
    """What was recovered into ``into``, over the store of ``folder``."""
    if not (into / "store").exists():
        (into / "store").symlink_to(folder / "store")
    if not (into / "index.sqlite").exists():
        (into / "chunk-index.sqlite").rename(into / "index.sqlite")
    with opened(into) as repository:
        yield repository


def contents(folder: Path, into: Path) -> list[list[bytes]]:
    """The disks of all points that a recovery brought back."""
    with recovered(folder, into) as repository:
        return [repository.restored(point) for point in repository.points()]
