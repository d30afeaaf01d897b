"""One verification of one restore point: recover, examine, boot, look, judge, report. Every step is an event."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

from blake3 import blake3

from domain.content.entry_proof import EntryProof
from domain.errors import AtestaError, BusyError, DamagedDataError, EnvironmentTroubleError
from domain.events.restore_point import StoredDisk, VerificationRecorded
from domain.events.stream_rules import RESTORE_POINT, VERIFICATION_RUN, folded
from domain.events.verification import (
    ConsoleCaptured,
    DataVerified,
    FileSystemsChecked,
    LabBooted,
    LabTornDown,
    ReportQueued,
    VerdictReached,
    VerificationFailed,
    VerificationStarted,
)
from domain.model.machines import Controller, DiskPlace, Machine
from domain.model.verdicts import Verdict
from domain.ports.catalog import RestorePoint
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.guests import DiskFinding, GuestFileSystems
from domain.ports.lab import Lab, LabDisk, LabPlan
from domain.ports.locks import MachineLocks
from domain.ports.mail import Outbox, OutgoingMail
from domain.ports.progress import Progress
from domain.ports.reading import ConsoleReader
from domain.ports.workbench import Bench, PictureArchive, Workbench
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.contention import again_when_busy
from domain.workflows.event_stream import EventStream
from domain.workflows.mailing import complete_mails, queue_mails
from domain.workflows.point_use import point_in_use
from domain.workflows.restore import restore_disk
from verification.boot_watch import WatchLimits
from verification.lab_run import BootRecord, watch
from verification.picture import picture_png, reel_gif
from verification.report import BackupFigures, ReportedDisk, VerificationReport, report_mails
from verification.verdict import DataCheck, judge

_PROCESSORS_DEFAULT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationSettings:
    """The bounds of the lab, and who gets the report."""

    memory_bytes_max: int
    processors_max: int
    seconds_max: float
    workers: int
    repository_name: str
    sender: str
    recipients: tuple[str, ...]
    redact: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationOutcome:
    """What a verification found. ``picture`` is where the console's picture is kept, if there was one."""

    verification_id: UUID
    verdict: Verdict
    restore_s: float
    picture: Path | None
    mail_keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Recovered:
    data: DataCheck
    findings: tuple[DiskFinding, ...]
    restore_s: float
    trouble: str = ""


@dataclass(frozen=True, slots=True)
class _Pictures:
    png: bytes | None
    gif: bytes | None
    kept_at: Path | None


class VerificationWorkflow:
    """Verifies restore points in a lab."""

    def __init__(
        self,
        *,
        reader: ChunkReader,
        log: EventLog,
        guests: GuestFileSystems,
        lab: Lab,
        workbench: Workbench,
        console_reader: ConsoleReader,
        pictures: PictureArchive,
        outbox: Outbox,
        locks: MachineLocks,
        open_verifications: Callable[[], Sequence[UUID]],
        clock: Clock,
        progress: Progress,
        new_id: Callable[[], UUID],
        settings: VerificationSettings,
        signed_head: Callable[[], str] = str,
        overrides_of: Callable[[str], Sequence[str]] = lambda _machine_id: (),
        proven: Callable[[Sequence[str], UUID, int], tuple[EntryProof, ...]] = lambda *_events: (),
    ) -> None:
        self._reader = reader
        self._log = log
        self._guests = guests
        self._lab = lab
        self._workbench = workbench
        self._console_reader = console_reader
        self._pictures = pictures
        self._outbox = outbox
        self._locks = locks
        self._open_verifications = open_verifications
        self._clock = clock
        self._progress = progress
        self._new_id = new_id
        self._settings = settings
        self._signed_head = signed_head
        self._overrides_of = overrides_of
        self._proven = proven

    def verify(self, point: RestorePoint) -> VerificationOutcome:
        """Verify one restore point and queue its report.

        Damage and lab trouble end in a verdict, not in an exception. Raises BadInputError when the point has expired,
        BusyError when its data is being reclaimed, and both EnvironmentTroubleError and BusyError when events, pictures
        or mails cannot be kept.
        """
        for sentence in (*self._lab.sweep(), *self._workbench.sweep()):
            self._progress.say(sentence)
        self._close_interrupted()
        stream = EventStream(self._log, self._clock, self._new_id(), VERIFICATION_RUN)
        with (
            point_in_use(self._locks, self._log, point.point_id),
            self._locks.held(_lock_name(stream.stream_id)),
        ):
            return self._verify_in(stream, point)

    def _close_interrupted(self) -> None:
        """End verifications that were killed: those without an end whose lock nobody holds."""
        for verification_id in self._open_verifications():
            try:
                with self._locks.held(_lock_name(verification_id)):
                    stream = EventStream.resumed(self._log, self._clock, verification_id, VERIFICATION_RUN)
                    self._fail(stream, "interrupted: it was killed or the power went")
            except BusyError:
                continue

    def _verify_in(self, stream: EventStream, point: RestorePoint) -> VerificationOutcome:
        before = self._log.last_number()
        with stream.turn() as place:
            stream.append(
                VerificationStarted(
                    **place, point_id=point.point_id, machine_id=point.machine_id, machine_name=point.machine.name
                )
            )
        try:
            return self._run(stream, point, before)
        except BaseException as error:
            self._fail(stream, str(error) if isinstance(error, AtestaError) else f"{type(error).__name__}: {error}")
            raise

    def _fail(self, stream: EventStream, error: str) -> None:
        """Record that a verification ended without a verdict, unless it has one."""

        def attempt() -> None:
            stream.catch_up()
            if stream.allows(VerificationFailed):
                with stream.turn() as place:
                    stream.append(VerificationFailed(**place, error=error))

        again_when_busy(attempt)

    def _run(self, stream: EventStream, point: RestorePoint, before: int) -> VerificationOutcome:
        boot: BootRecord | None = None
        with self._torn_down_afterwards(stream), self._workbench.opened() as bench:
            recovered = self._recover(stream, point, bench)
            trouble = recovered.trouble
            if recovered.data.complete:
                try:
                    boot = self._boot(stream, point, bench)
                except AtestaError as error:
                    trouble = f"The lab could not carry the boot through: {error}"
        pictures = self._capture(stream, boot)
        verdict = judge(data=recovered.data, disks=recovered.findings, boot=boot)
        if trouble:
            verdict = replace(verdict, reasons=(trouble, *verdict.reasons))
        # The mails come first: a verdict without its mail could never be mended, a mail without its event can.
        report = self._report(point, verdict, recovered, boot, pictures)
        keys = queue_mails(self._outbox, self._mails(stream, report))
        # Another verification of the point, a hold, or whoever delivers those mails may append at the same moment.
        again_when_busy(lambda: self._record_verdict(stream, point, verdict, recovered.restore_s))
        again_when_busy(lambda: self._record_report(stream, len(keys)))
        self._add_proof(stream, report, before)
        return VerificationOutcome(
            verification_id=stream.stream_id,
            verdict=verdict,
            restore_s=recovered.restore_s,
            picture=pictures.kept_at,
            mail_keys=keys,
        )

    @contextmanager
    def _torn_down_afterwards(self, stream: EventStream) -> Iterator[None]:
        """Look after the lab when a run has left it, on every path, and record that nothing of it stayed."""
        try:
            yield
        finally:
            left = (*self._lab.sweep(), *self._workbench.sweep())
            with stream.turn() as place:
                stream.append(LabTornDown(**place, removed=left))

    def _recover(self, stream: EventStream, point: RestorePoint, bench: Bench) -> _Recovered:
        """Write the disks out for the lab, which reads and rehashes every chunk, and look at them from outside."""
        started_s = self._clock.monotonic_s()
        chunks = 0
        findings: list[DiskFinding] = []
        try:
            for disk in point.disks:
                chunks += self._recover_disk(stream, disk, bench)
            restore_s = self._clock.monotonic_s() - started_s
            for disk in point.disks:
                findings.append(self._examine(stream, disk, bench))  # noqa: PERF401 - it records an event
        except DamagedDataError as error:
            data = DataCheck(chunks=chunks, size_bytes=point.size_bytes, complete=False, damage=(str(error),))
            return _Recovered(data, tuple(findings), self._clock.monotonic_s() - started_s)
        except AtestaError as error:
            data = DataCheck(chunks=chunks, size_bytes=point.size_bytes, complete=False)
            trouble = f"The disks could not be recovered for the lab: {error}"
            return _Recovered(data, tuple(findings), self._clock.monotonic_s() - started_s, trouble)
        return _Recovered(
            DataCheck(chunks=chunks, size_bytes=point.size_bytes, complete=True), tuple(findings), restore_s
        )

    def _recover_disk(self, stream: EventStream, disk: StoredDisk, bench: Bench) -> int:
        started_s = self._clock.monotonic_s()
        writer = bench.new_disk(disk.number, disk.size_bytes, disk.sector_size_bytes)
        try:
            restored = restore_disk(self._reader, disk, writer, self._progress, self._settings.workers)
            writer.finish()
        finally:
            writer.abort()
        with stream.turn() as place:
            stream.append(
                DataVerified(
                    **place,
                    disk_number=disk.number,
                    chunks=restored.chunks,
                    data_bytes=restored.data_bytes,
                    restore_s=self._clock.monotonic_s() - started_s,
                )
            )
        return restored.chunks

    def _examine(self, stream: EventStream, disk: StoredDisk, bench: Bench) -> DiskFinding:
        opened = bench.open_disk(disk.number)
        try:
            finding = self._guests.examine(opened)
        finally:
            opened.close()
        with stream.turn() as place:
            stream.append(
                FileSystemsChecked(
                    **place,
                    disk_number=disk.number,
                    partition_table=finding.partition_table,
                    volumes=tuple(
                        f"{volume.number}: {volume.file_system}: {volume.remark}" for volume in finding.volumes
                    ),
                    damaged=sum(volume.readable is False for volume in finding.volumes),
                )
            )
        return finding

    def _boot(self, stream: EventStream, point: RestorePoint, bench: Bench) -> BootRecord:
        plan = self._plan(point.machine, point.disks, bench)
        self._progress.say("Booting in the lab")
        with self._lab.powered_on(plan) as machine:
            with stream.turn() as place:
                stream.append(
                    LabBooted(
                        **place,
                        firmware=plan.firmware,
                        accelerator=machine.accelerator,
                        memory_bytes=plan.memory_bytes,
                        processors=plan.processors,
                    )
                )
            limits = WatchLimits(seconds_max=self._settings.seconds_max)
            return watch(machine, self._console_reader, self._clock, limits, self._progress)

    def _plan(self, machine: Machine, disks: Sequence[StoredDisk], bench: Bench) -> LabPlan:
        places = [disk.place for disk in machine.disks] or [DiskPlace(controller=Controller.SCSI)]
        settings = machine.settings
        return LabPlan(
            label="verification",
            firmware=settings.firmware,
            disks=tuple(
                LabDisk(
                    image=bench.disk_path(disk.number),
                    size_bytes=disk.size_bytes,
                    place=place,
                    sector_size_bytes=disk.sector_size_bytes,
                )
                for disk, place in zip(disks, places, strict=True)
            ),
            memory_bytes=min(settings.memory_bytes or self._settings.memory_bytes_max, self._settings.memory_bytes_max),
            processors=min(settings.processors or _PROCESSORS_DEFAULT, self._settings.processors_max),
            seconds_max=self._settings.seconds_max,
        )

    def _capture(self, stream: EventStream, boot: BootRecord | None) -> _Pictures:
        if boot is None or boot.frame is None:
            return _Pictures(None, None, None)
        redact = self._settings.redact
        png = picture_png(boot.frame, redact=redact)
        gif = reel_gif(boot.reel, redact=redact)
        png_digest = blake3(png).digest()
        kept_at = self._pictures.keep(png_digest, "png", png)
        gif_digest = None
        if gif is not None:
            gif_digest = blake3(gif).digest()
            self._pictures.keep(gif_digest, "gif", gif)
        with stream.turn() as place:
            stream.append(
                ConsoleCaptured(
                    **place,
                    picture_digest=png_digest,
                    picture_bytes=len(png),
                    reel_digest=gif_digest,
                    console_state=boot.state,
                    elapsed_s=boot.watched_s,
                )
            )
        return _Pictures(png, gif, kept_at)

    def _record_verdict(self, stream: EventStream, point: RestorePoint, verdict: Verdict, restore_s: float) -> None:
        stream.catch_up()
        of_point = folded(RESTORE_POINT, self._log.stream(point.point_id))
        with stream.turn() as place:
            reached = VerdictReached(
                **place,
                word=verdict.word,
                grade=verdict.grade,
                console_state=verdict.console_state,
                reasons=verdict.reasons,
                not_proven=verdict.not_proven,
                boot_s=verdict.boot_s,
                restore_s=restore_s,
            )
            recorded = VerificationRecorded(
                originator_id=point.point_id,
                originator_version=of_point.version + 1,
                at=place["at"],
                verification_id=stream.stream_id,
                word=verdict.word,
                grade=verdict.grade,
            )
            stream.append(reached, recorded)

    def _record_report(self, stream: EventStream, recipients: int) -> None:
        stream.catch_up()
        with stream.turn() as place:
            stream.append(ReportQueued(**place, mail_key=stream.stream_id.hex, recipients=recipients))

    def _add_proof(self, stream: EventStream, report: VerificationReport, before: int) -> None:
        """Give the mails that wait a head over the verdict, and the proofs of what began after ``before`` under it."""
        proofs = self._proven((VerificationStarted.TOPIC, VerdictReached.TOPIC), stream.stream_id, before)
        if not proofs:
            return
        complete = replace(report, signed_head=proofs[-1].note, proofs=proofs)
        try:
            complete_mails(self._outbox, self._mails(stream, complete))
        except EnvironmentTroubleError as error:
            self._progress.say(f"The report goes out without its proof: {error}")

    def _mails(self, stream: EventStream, report: VerificationReport) -> tuple[OutgoingMail, ...]:
        settings = self._settings
        return report_mails(report, key=stream.stream_id.hex, sender=settings.sender, recipients=settings.recipients)

    def _report(
        self,
        point: RestorePoint,
        verdict: Verdict,
        recovered: _Recovered,
        boot: BootRecord | None,
        pictures: _Pictures,
    ) -> VerificationReport:
        findings: list[DiskFinding | None] = [*recovered.findings]
        findings += [None] * (len(point.disks) - len(findings))
        return VerificationReport(
            machine_name=point.machine.name,
            point_id=point.short_id,
            point_taken_at=point.taken_at.astimezone(),
            verified_at=self._local_now(),
            verdict=verdict,
            restore_s=recovered.restore_s,
            accelerator=boot.accelerator if boot else "",
            disks=tuple(
                ReportedDisk(name=disk.name, size_bytes=disk.size_bytes, finding=finding)
                for disk, finding in zip(point.disks, findings, strict=True)
            ),
            repository_name=self._settings.repository_name,
            console_text=boot.text if boot else "",
            evidence=boot.evidence if boot else "",
            picture_png=pictures.png,
            reel_gif=pictures.gif,
            backup=BackupFigures(
                read_bytes=point.read_bytes,
                new_bytes=point.new_bytes,
                deduplicated_bytes=point.duplicate_bytes,
                compressed_bytes=point.stored_bytes,
                excluded_bytes=point.excluded_bytes,
                kind=point.kind,
                cause=point.told_cause,
            ),
            redacted=self._settings.redact,
            signed_head=self._signed_head(),
            overrides=tuple(self._overrides_of(point.machine_id)),
        )

    def _local_now(self) -> datetime:
        return self._clock.now().astimezone()


def _lock_name(verification_id: UUID) -> str:
    return f"verification {verification_id.hex}"
