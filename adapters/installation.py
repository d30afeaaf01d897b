"""What one configuration names: store, event store, projections, sources, mails that wait, and how they are.

Each is made, and its module imported, when a command first asks for it: none waits for another one's libraries.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from adapters.clock import SystemClock
from adapters.configuration import LoadedConfiguration
from adapters.durable_files import make_folder_durably
from adapters.locks import FileMachineLocks
from adapters.secret_files import host_passwords_given, smtp_password_given
from adapters.signing_passphrase import signing_passphrase, signing_passphrase_given
from adapters.stores.folder import FolderPackStore
from adapters.stores.folder_heads import FolderHeadStore
from adapters.stores.folder_log import FolderLogStore
from domain.errors import DamagedDataError

if TYPE_CHECKING:
    from adapters.auditing import Auditing
    from adapters.checking import Checked
    from adapters.eventstore.catalog import SQLiteCatalog
    from adapters.eventstore.chunk_index import SQLiteChunkIndex
    from adapters.eventstore.event_log import SQLiteEventLog
    from adapters.hosts import Hosts
    from adapters.mail.outbox import FolderOutbox
    from adapters.replaying import Replaying
    from adapters.sources import JoinedSources
    from domain.model.actor import Actor
    from domain.model.condition import Condition, SpaceCondition
    from domain.model.machines import Machine
    from domain.ports.progress import Progress
    from domain.ports.source import MachineSource
    from domain.ports.transparency import KeptHead
    from domain.workflows.log_shipping import LogShipping
    from domain.workflows.lost_history import WholeLog
    from domain.workflows.shipped_log import ShippedLog
    from domain.workflows.vault import Vault

_DRAFTS_LOCK = "rebuild"
"""Whoever makes projections anew, also for comparing only, holds it."""


class Installation:
    """What one configuration names, each part made on first use, and how it is looked after as a whole."""

    def __init__(self, configuration: LoadedConfiguration, *, actor: Actor | None = None) -> None:
        self.configuration = configuration
        self._actor = actor
        self.clock = SystemClock()
        # Read at once: they are taken out of the environment, so that no program started later inherits them.
        self._smtp_password_given = smtp_password_given()
        self._signing_passphrase_given = signing_passphrase_given()
        self._host_passwords_given = host_passwords_given()
        self.store = FolderPackStore(configuration.repository_folder)
        self.log_store = FolderLogStore(configuration.repository_folder)
        self.head_store = FolderHeadStore(configuration.repository_folder)
        self._shipping: LogShipping | None = None

    @cached_property
    def source(self) -> JoinedSources:
        """The machines that can be backed up, from the exports and from every host."""
        from adapters.sources import JoinedSources

        sources: list[MachineSource] = []
        if self.configuration.content.sources.exports or not self.configuration.content.host:
            sources.append(self._exported_machines())
        if self.configuration.content.host:
            sources += [self.hosts.source(name) for name in self.hosts.names]
        return JoinedSources(sources)

    def _exported_machines(self) -> MachineSource:
        from adapters.disks.disk_files import DiskFiles
        from adapters.exports.exported_machines import ExportedMachines

        folders = [self.configuration.path(folder) for folder in self.configuration.content.sources.exports]
        disk_files = DiskFiles(folders)
        return ExportedMachines(folders, disk_files, disk_files.parent_of, disk_files.layer_extents)

    @cached_property
    def hosts(self) -> Hosts:
        """The Hyper-V hosts."""
        from adapters.hosts import Hosts

        return Hosts(self.configuration, self._host_passwords_given)

    def close(self) -> None:
        """Let go of the hosts that were asked, if any."""
        # Looked for where cached_property keeps it: closing makes nothing that was not used.
        hosts: Hosts | None = self.__dict__.get("hosts")
        if hosts is not None:
            hosts.close()

    def is_on_host(self, machine: Machine) -> bool:
        """Whether a Hyper-V host listed the machine."""
        return any(host.name == machine.host for host in self.configuration.content.host)

    def state_of(self, machine: Machine) -> str:
        """What a machine of a host does, in a word, as last listed; empty for an export."""
        return self.hosts.state_of(machine) if self.configuration.content.host else ""

    @cached_property
    def log(self) -> SQLiteEventLog:
        """The event store.

        Raises BadInputError when there is no repository, DamagedDataError when there is one but no history of it.
        """
        from adapters.eventstore.event_log import SQLiteEventLog
        from domain.workflows.vault import describe

        describe(self.store)
        log = SQLiteEventLog(self._events_path, actor=self._actor)
        if log.last_number() == 0:
            raise DamagedDataError(
                "The event store is empty: the history of the repository is gone, or `atesta init` was interrupted.",
                where=str(self._events_path),
                next_step=f"Run `atesta recover --from {self.store.location}`; if nothing was ever backed up, remove "
                "the repository.",
            )
        return log

    @cached_property
    def writing_log(self) -> WholeLog:
        """The event store for commands without the key: it is not written to when its end is lost."""
        from domain.workflows.lost_history import WholeLog

        return WholeLog(self.log, self.log_store)

    @cached_property
    def index(self) -> SQLiteChunkIndex:
        """Where each chunk is."""
        from adapters.eventstore.chunk_index import SQLiteChunkIndex

        return SQLiteChunkIndex(self._index_path, self.log)

    @cached_property
    def catalog(self) -> SQLiteCatalog:
        """Machines, points, runs, verifications."""
        from adapters.eventstore.catalog import SQLiteCatalog

        return SQLiteCatalog(self._catalog_path, self.log)

    @property
    def locks(self) -> FileMachineLocks:
        """The locks on machines, runs and points."""
        return FileMachineLocks(self._state("locks"))

    @cached_property
    def outbox(self) -> FolderOutbox:
        """The mails that wait."""
        from adapters.mail.outbox import FolderOutbox

        return FolderOutbox(self._state("outbox"))

    def create(self, passphrase: str, signing_passphrase: str | None = None) -> str:
        """Make the repository and record it; returns the recovery key.

        A signing key that is made is encrypted by ``signing_passphrase``, when it is given.
        """
        if signing_passphrase is not None:
            self._signing_passphrase_given = signing_passphrase
        from adapters.creating import create_repository
        from adapters.eventstore.event_log import SQLiteEventLog

        return create_repository(
            passphrase,
            store=self.store,
            new_log=lambda: SQLiteEventLog(self._events_path, actor=self._actor),
            state_folder=self.configuration.state_folder,
            key_file=self._signing_key_file,
            clock=self.clock,
            signing_passphrase=self.signing_passphrase_at_hand,
        )

    @cached_property
    def auditing(self) -> Auditing:
        """The transparency log with its keys and heads."""
        from adapters.audit.signing_place import REQUEST_FILE_NAME
        from adapters.audit.tree_file import TREE_FILE_NAME
        from adapters.auditing import Auditing
        from domain.content.signed_note import origin_of
        from domain.workflows.vault import describe

        return Auditing(
            log=self.log,
            writing_log=lambda: self.writing_log,
            origin=origin_of(describe(self.store).repository_id),
            tree_path=self._state(TREE_FILE_NAME),
            key_file=self._signing_key_file,
            clock=self.clock,
            passphrase=self.signing_passphrase_at_hand,
            request_file=self._state(REQUEST_FILE_NAME) if self.configuration.content.audit.sign_elsewhere else None,
        )

    def open_vault(self, secret: str) -> Vault:
        """Open the repository with its passphrase or recovery key."""
        from domain.workflows.vault import open_vault

        return open_vault(self.store, secret, os.urandom)

    def shipping(self, vault: Vault) -> LogShipping:
        """What keeps the history in the store as well."""
        from domain.workflows.log_shipping import LogShipping

        if self._shipping is None:
            self._shipping = LogShipping(vault, self.log, self.log_store, FileMachineLocks(self._state("locks")))
        return self._shipping

    def seal_and_ship(self, vault: Vault) -> KeptHead | None:
        """Sign a head over all events and put it beside the shipped history; None without the signing key.

        Where heads are signed on another machine, the newest that came home is put there.
        """
        from domain.workflows.shipped_heads import ship_head

        head = self.auditing.seal()
        leaving = head or self.auditing.head_from_elsewhere()
        if leaving is not None:
            ship_head(self.shipping(vault), self.head_store, leaving)
        return head

    def shipped_log(self, vault: Vault) -> ShippedLog:
        """The event store for commands that have the key: what they append is shipped."""
        from domain.workflows.shipped_log import ShippedLog

        return ShippedLog(self.log, self.shipping(vault))

    def events_unshipped(self) -> int:
        """How many event numbers the store does not have yet."""
        from domain.workflows.log_shipping import unshipped

        return sum(last - first + 1 for first, last in unshipped(self.log_store.log_objects(), self.log.last_number()))

    def events_lost(self) -> int:
        """How many events at the end only the store has."""
        from domain.workflows.lost_history import events_lost

        return events_lost(self.log_store, self.log)

    def owing(self) -> Sequence[str]:
        """The machines for which killed backups left something on their source."""
        self.catalog.catch_up()
        return self.catalog.owing()

    def check(self) -> Iterator[Checked]:
        """Check the files of the repository, the packs aside."""
        from adapters.checking import checked_files

        with self.locks.shared(_DRAFTS_LOCK):
            yield from checked_files(self.store, self._events_path, self._catalog_path, self._index_path)

    def condition(self) -> Condition:
        """How the repository is now."""
        from domain.workflows.looking import condition_of

        return condition_of(
            self.catalog,
            self.index,
            self.outbox,
            self._space(),
            self.events_unshipped(),
            self.clock.now(),
            self.events_lost(),
            self.auditing.sealed(),
        )

    def write_metrics(self, path: Path) -> None:
        """Replace the file for Prometheus."""
        from adapters.metrics_file import write_metrics
        from domain.model.metrics import metrics_of

        write_metrics(path, metrics_of(self.condition()))

    def _space(self) -> SpaceCondition | None:
        from domain.model.condition import SpaceCondition

        try:
            found = os.statvfs(self.configuration.repository_folder)
        except OSError:
            return None
        return SpaceCondition(free_bytes=found.f_bavail * found.f_frsize, size_bytes=found.f_blocks * found.f_frsize)

    def replaying(self, progress: Progress) -> Replaying:
        """What replays the history beside the live projections."""
        from adapters.replaying import Replaying

        return Replaying(self.log, self._catalog_path, self._index_path, progress, self.auditing.tree.leaves)

    def rebuild(self) -> tuple[str, ...]:
        """Make every projection again from the events; returns their names.

        Raises BusyError beside another rebuild or a check: drafts that nobody works on are removed.
        """
        from adapters.eventstore.rebuild import ProjectionName, rebuild, remove_abandoned_drafts
        from domain.workflows.lost_history import refuse_lost_history

        refuse_lost_history(self.log_store, self.log)
        with self.locks.held(_DRAFTS_LOCK):
            for path in (self._catalog_path, self._index_path):
                remove_abandoned_drafts(path)
            rebuild(ProjectionName.CATALOG, self._catalog_path, self.log)
            rebuild(ProjectionName.CHUNK_INDEX, self._index_path, self.log)
        return ("the catalog", "the chunk index")

    @property
    def _signing_key_file(self) -> Path:
        return self.configuration.path(self.configuration.content.audit.signing_key)

    def signing_passphrase_at_hand(self) -> str | None:
        """The signing key's passphrase, from the environment or a file; nobody is asked."""
        file = self.configuration.content.audit.signing_key_passphrase_file
        return signing_passphrase(self._signing_passphrase_given, self.configuration.path(file) if file else None)

    @property
    def _events_path(self) -> Path:
        return self._state("events.sqlite")

    @property
    def _catalog_path(self) -> Path:
        return self._state("catalog.sqlite")

    @property
    def _index_path(self) -> Path:
        return self._state("chunk-index.sqlite")

    def _state(self, name: str) -> Path:
        if not self.configuration.state_folder.is_dir():
            make_folder_durably(self.configuration.state_folder, mode=0o700)
        return self.configuration.state_folder / name
