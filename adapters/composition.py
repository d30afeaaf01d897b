"""The composition root: which adapter stands behind which port, for one configuration.

Each is made, and its module imported, when a command first asks for it: none waits for another one's libraries.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from adapters.clock import SystemClock, local_zone
from adapters.configuration import LoadedConfiguration, parse_size
from adapters.durable_files import make_folder_durably
from adapters.locks import FileMachineLocks
from adapters.secret_files import smtp_password_given
from adapters.stores.folder import FolderPackStore
from adapters.stores.folder_log import FolderLogStore
from domain.errors import DamagedDataError

if TYPE_CHECKING:
    from adapters.auditing import Auditing
    from adapters.checking import Checked
    from adapters.eventstore.catalog import SQLiteCatalog
    from adapters.eventstore.chunk_index import SQLiteChunkIndex
    from adapters.eventstore.event_log import SQLiteEventLog
    from adapters.exports.exported_machines import ExportedMachines
    from adapters.mail.outbox import FolderOutbox
    from adapters.replaying import Replaying
    from adapters.restore_folder import RestoredFolder
    from adapters.run_turn import RunTurn
    from domain.events.restore_point import StoredDisk
    from domain.model.actor import Actor
    from domain.model.condition import Condition, SpaceCondition
    from domain.ports.catalog import RestorePoint
    from domain.ports.disks import DiskImageWriter, ImageFormat
    from domain.ports.progress import Progress
    from domain.workflows.backup import BackupWorkflow
    from domain.workflows.chunk_reading import ChunkReader
    from domain.workflows.log_shipping import LogShipping
    from domain.workflows.lost_history import WholeLog
    from domain.workflows.mailing import DeliverySummary
    from domain.workflows.prune import PruneWorkflow
    from domain.workflows.retention import RetentionWorkflow
    from domain.workflows.scrub import ScrubWorkflow
    from domain.workflows.shipped_log import ShippedLog
    from domain.workflows.touched import TouchedPoint
    from domain.workflows.vault import Vault
    from verification.verify_point import VerificationWorkflow

_BACKUP_MODULES = (
    "adapters.eventstore.catalog",
    "adapters.eventstore.chunk_index",
    "adapters.eventstore.event_log",
    "adapters.guests.outside",
    "domain.workflows.backup",
    "domain.workflows.log_shipping",
    "domain.workflows.shipped_log",
)

_DRAFTS_LOCK = "rebuild"
"""Whoever makes projections anew, also for comparing only, holds it."""


class Atesta:
    """The program, put together for one configuration."""

    def __init__(self, configuration: LoadedConfiguration, *, actor: Actor | None = None) -> None:
        self.configuration = configuration
        self._actor = actor
        self.clock = SystemClock()
        # Read at once: it is taken out of the environment, so that no program started later inherits it.
        self._smtp_password_given = smtp_password_given()
        self.store = FolderPackStore(configuration.repository_folder)
        self.log_store = FolderLogStore(configuration.repository_folder)
        self._shipping: LogShipping | None = None

    @cached_property
    def source(self) -> ExportedMachines:
        """The machines that can be backed up."""
        from adapters.disks.disk_files import DiskFiles
        from adapters.exports.exported_machines import ExportedMachines

        folders = [self.configuration.path(folder) for folder in self.configuration.content.sources.exports]
        disk_files = DiskFiles(folders)
        return ExportedMachines(folders, disk_files, disk_files.parent_of, disk_files.layer_extents)

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

    def create(self, passphrase: str) -> str:
        """Make the repository and record it; returns the recovery key."""
        from adapters.creating import create_repository
        from adapters.eventstore.event_log import SQLiteEventLog

        return create_repository(
            passphrase,
            store=self.store,
            new_log=lambda: SQLiteEventLog(self._events_path, actor=self._actor),
            state_folder=self.configuration.state_folder,
            key_file=self._signing_key_file,
            clock=self.clock,
        )

    @cached_property
    def auditing(self) -> Auditing:
        """The transparency log with its keys and heads."""
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
        )

    def open_vault(self, secret: str) -> Vault:
        """Open the repository with its passphrase or recovery key."""
        from domain.workflows.vault import open_vault

        return open_vault(self.store, secret, os.urandom)

    @staticmethod
    def import_backup() -> None:
        """Import what a backup needs, for a caller that has to wait for something else anyway."""
        for name in _BACKUP_MODULES:
            importlib.import_module(name)

    def backup_workflow(
        self, vault: Vault, progress: Progress, *, full: bool = False, compare_source: bool = False
    ) -> BackupWorkflow:
        """What backs machines up; ``full`` and ``compare_source`` ask for more than the configuration does.

        Raises DamagedDataError when there are restore points and no packs: what counts as stored would not be stored
        again, and the new points could not be restored either.
        """
        from adapters.guests.outside import OutsideGuestFileSystems
        from domain.workflows.backup import BackupWorkflow
        from domain.workflows.backup_run import BackupSettings

        self._refuse_lost_packs()
        policy = self.configuration.content.backup
        return BackupWorkflow(
            vault=vault,
            log=self.shipped_log(vault),
            index=self.index,
            catalog=self.catalog,
            locks=self.locks,
            guests=OutsideGuestFileSystems(),
            clock=self.clock,
            progress=progress,
            new_id=uuid4,
            settings=BackupSettings(
                exclude_swap=policy.exclude_swap,
                keep_swap_of=policy.keep_swap_of,
                workers=self.configuration.workers,
                full=full,
                compare_source=compare_source,
                compare_source_every=policy.compare_source_every,
                audit_samples=policy.audit_samples,
            ),
        )

    def _refuse_lost_packs(self) -> None:
        self.catalog.catch_up()
        if next(self.store.pack_ids(), None) is None and self.catalog.figures().points:
            raise DamagedDataError(
                "The repository holds restore points, but none of the packs that they need.",
                where=str(self.configuration.repository_folder),
                next_step="See whether its disk is mounted, or bring the packs back from a copy.",
            )

    def shipping(self, vault: Vault) -> LogShipping:
        """What keeps the history in the store as well."""
        from domain.workflows.log_shipping import LogShipping

        if self._shipping is None:
            self._shipping = LogShipping(vault, self.log, self.log_store, FileMachineLocks(self._state("locks")))
        return self._shipping

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

    def verification_workflow(self, vault: Vault, progress: Progress) -> VerificationWorkflow:
        """What verifies restore points."""
        from adapters.disks.disk_files import DiskFiles
        from adapters.guests.outside import OutsideGuestFileSystems
        from adapters.labs.picture_archive import FolderPictureArchive
        from adapters.labs.qemu import QemuLab
        from adapters.labs.workbench import FolderWorkbench
        from adapters.reading.tesseract import TesseractReader
        from verification.verify_point import VerificationSettings, VerificationWorkflow

        content = self.configuration.content
        lab_folder = self.configuration.lab_folder
        return VerificationWorkflow(
            reader=self.reader(vault),
            log=self.shipped_log(vault),
            guests=OutsideGuestFileSystems(),
            lab=QemuLab(
                lab_folder, memory_bytes_max=parse_size(content.lab.memory), processors_max=content.lab.processors
            ),
            workbench=FolderWorkbench(lab_folder, _new_raw_image, DiskFiles([lab_folder])),
            console_reader=TesseractReader(),
            pictures=FolderPictureArchive(self._state("pictures")),
            outbox=self.outbox,
            locks=self.locks,
            open_verifications=self._open_verifications,
            clock=self.clock,
            progress=progress,
            new_id=uuid4,
            signed_head=self.auditing.head_for_mails,
            settings=VerificationSettings(
                memory_bytes_max=parse_size(content.lab.memory),
                processors_max=content.lab.processors,
                seconds_max=content.lab.minutes_max * 60,
                workers=self.configuration.workers,
                repository_name=self.configuration.repository_folder.name,
                sender=content.mail.sender,
                recipients=content.mail.recipients,
                redact=content.mail.redact,
            ),
        )

    def prune_workflow(self, vault: Vault, progress: Progress, repack_below_percent: float | None) -> PruneWorkflow:
        """What reclaims space; the configuration's threshold when none is given."""
        from domain.model.prune_plan import PrunePolicy
        from domain.workflows.prune import PruneWorkflow

        below = self.configuration.content.prune.repack_below_percent
        return PruneWorkflow(
            vault=vault,
            log=self.shipped_log(vault),
            index=self.index,
            locks=self.locks,
            clock=self.clock,
            progress=progress,
            new_id=uuid4,
            policy=PrunePolicy(repack_below_percent=below if repack_below_percent is None else repack_below_percent),
        )

    def scrub_workflow(self, vault: Vault | None, progress: Progress) -> ScrubWorkflow:
        """What rereads the store; without a vault it can only compare packs with their names."""
        from domain.workflows.scrub import ScrubWorkflow

        return ScrubWorkflow(
            store=self.store,
            vault=vault,
            log=self.shipped_log(vault) if vault is not None else self.writing_log,
            index=self.index,
            locks=self.locks,
            clock=self.clock,
            progress=progress,
            new_id=uuid4,
        )

    def touched_points(self, vault: Vault) -> tuple[TouchedPoint, ...]:
        """The restore points that damage touches."""
        from domain.workflows.touched import touched_points

        self.catalog.catch_up()
        return tuple(touched_points(self.reader(vault), self.index, self.catalog.points()))

    def check(self) -> Iterator[Checked]:
        """Check the files of the repository, the packs aside."""
        from adapters.checking import checked_files

        with self.locks.shared(_DRAFTS_LOCK):
            yield from checked_files(self.store, self._events_path, self._catalog_path, self._index_path)

    def _open_verifications(self) -> Sequence[UUID]:
        self.catalog.catch_up()
        return [one.verification_id for one in self.catalog.verifications() if one.word is None and not one.error]

    def reader(self, vault: Vault) -> ChunkReader:
        """What reads chunks back."""
        from domain.workflows.chunk_reading import ChunkReader

        self.index.catch_up()
        return ChunkReader(vault, self.index)

    def retention_workflow(self) -> RetentionWorkflow:
        """What decides which points are kept."""
        from domain.workflows.retention import RetentionWorkflow

        retention = self.configuration.content.retention
        return RetentionWorkflow(
            log=self.writing_log,
            catalog=self.catalog,
            locks=self.locks,
            clock=self.clock,
            new_id=uuid4,
            policies=retention.policies(),
            zone=retention.zone() or local_zone(),
        )

    def restore_to_folder(
        self,
        vault: Vault,
        point: RestorePoint,
        disks: Sequence[StoredDisk],
        target: Path,
        image_format: ImageFormat,
        progress: Progress,
        *,
        overwrite: bool,
    ) -> RestoredFolder:
        """Restore a point into a folder."""
        from adapters.restore_folder import restore_to_folder
        from domain.workflows.point_use import point_in_use

        with point_in_use(self.locks, self.log, point.point_id):
            return restore_to_folder(
                self.reader(vault),
                _new_image,
                point,
                disks,
                target,
                image_format,
                progress,
                overwrite=overwrite,
                workers=self.configuration.workers,
            )

    def deliver_reports(self) -> DeliverySummary:
        """Deliver the mails that are due."""
        from adapters.mail_transport import transport_for
        from domain.workflows.report_delivery import deliver_reports

        transport = transport_for(self.configuration, self._smtp_password_given)
        return deliver_reports(
            self.outbox, transport, self.configuration.content.mail.transport, self.writing_log, self.clock
        )

    @property
    def mail_destination(self) -> str:
        """Where mails go, in words."""
        mail = self.configuration.content.mail
        return str(self.configuration.path(mail.folder)) if mail.transport == "folder" else mail.smtp.host

    @property
    def run_turn(self) -> RunTurn:
        """What keeps two runs from overlapping."""
        from adapters.run_turn import RunTurn

        return RunTurn(self.locks, self._state("run.json"), self.clock)

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


def _new_raw_image(path: Path, size_bytes: int, sector_size_bytes: int) -> DiskImageWriter:
    from adapters.disks.writing.create_image import create_image

    return create_image(path, "raw", size_bytes, sector_size_bytes, "")


def _new_image(
    path: Path, image_format: ImageFormat, size_bytes: int, sector_size_bytes: int, disk_id: str
) -> DiskImageWriter:
    from adapters.disks.writing.create_image import create_image

    return create_image(path, image_format, size_bytes, sector_size_bytes, disk_id)
