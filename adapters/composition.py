"""The composition root: what is done with an installation, and which adapters stand behind the ports of each work.

Each is made, and its module imported, when a command first asks for it: none waits for another one's libraries.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from adapters.clock import local_zone
from adapters.configuration import parse_size
from adapters.installation import Installation
from domain.errors import DamagedDataError

if TYPE_CHECKING:
    from adapters.head_publishing import PublishedHeads
    from adapters.restore_folder import RestoredFolder
    from adapters.run_turn import RunTurn
    from domain.events.restore_point import StoredDisk
    from domain.ports.catalog import RestorePoint
    from domain.ports.disks import DiskImageWriter, ImageFormat
    from domain.ports.progress import Progress
    from domain.workflows.backup import BackupWorkflow
    from domain.workflows.chunk_reading import ChunkReader
    from domain.workflows.mailing import DeliverySummary
    from domain.workflows.prune import PruneWorkflow
    from domain.workflows.retention import RetentionWorkflow
    from domain.workflows.scrub import ScrubWorkflow
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
_ACTIVITIES_LOOKED_AT = 200


class Atesta(Installation):
    """The program, put together for one configuration."""

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
        from domain.workflows.backup_terms import BackupSettings
        from domain.workflows.timed_log import TimedLog

        self._refuse_lost_packs()
        policy = self.configuration.content.backup
        return BackupWorkflow(
            vault=vault,
            log=TimedLog(self.shipped_log(vault), vault.stages),
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
            overrides_of=self._overrides_to_tell,
            proven=self.auditing.proofs_for_mails,
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

    def _open_verifications(self) -> Sequence[UUID]:
        self.catalog.catch_up()
        return [one.verification_id for one in self.catalog.verifications() if one.word is None and not one.error]

    def _overrides_to_tell(self, machine_id: str) -> Sequence[str]:
        from domain.workflows.overrides import overrides_to_tell

        self.catalog.catch_up()
        return overrides_to_tell(self.catalog.activities(machine_id=machine_id, limit=_ACTIVITIES_LOOKED_AT))

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

    def publish_heads(self) -> PublishedHeads:
        """Publish heads as configured; mails with them go out with the next delivery. What fails is in the answer."""
        from adapters.head_publishing import PublishedHeads, publish_as_configured

        if self.configuration.content.audit.publish.is_nowhere:
            return PublishedHeads()
        auditing = self.auditing
        return publish_as_configured(
            self.configuration, auditing.tree, auditing.verifier_keys(), self.outbox, self.clock
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


def _new_raw_image(path: Path, size_bytes: int, sector_size_bytes: int) -> DiskImageWriter:
    from adapters.disks.writing.create_image import create_image

    return create_image(path, "raw", size_bytes, sector_size_bytes, "")


def _new_image(
    path: Path, image_format: ImageFormat, size_bytes: int, sector_size_bytes: int, disk_id: str
) -> DiskImageWriter:
    from adapters.disks.writing.create_image import create_image

    return create_image(path, image_format, size_bytes, sector_size_bytes, disk_id)
