"""Events of one verification of a restore point, from reading the data back to the mail."""

from __future__ import annotations

from uuid import UUID

from domain.events.recorded import RecordedEvent, named
from domain.model.machines import Firmware
from domain.model.verdicts import ConsoleState, Grade, VerdictWord


@named("verification-started:1")
class VerificationStarted(RecordedEvent):
    """A verification of a restore point began."""

    point_id: UUID
    machine_id: str
    machine_name: str


@named("data-verified:1")
class DataVerified(RecordedEvent):
    """All chunks of a disk were read back, opened, rehashed and found equal to their ids."""

    disk_number: int
    chunks: int
    data_bytes: int
    restore_s: float


@named("file-systems-checked:1")
class FileSystemsChecked(RecordedEvent):
    """What the recovered disk looks like from outside, a sentence a volume."""

    disk_number: int
    partition_table: str
    volumes: tuple[str, ...]
    damaged: int


@named("lab-booted:1")
class LabBooted(RecordedEvent):
    """The recovered machine was powered on in the lab, without an uplink."""

    firmware: Firmware
    accelerator: str
    memory_bytes: int
    processors: int


@named("console-captured:1")
class ConsoleCaptured(RecordedEvent):
    """The picture of the console; its bytes are kept beside the event store under the digest (BLAKE3)."""

    picture_digest: bytes
    picture_bytes: int
    reel_digest: bytes | None
    console_state: ConsoleState
    elapsed_s: float


@named("verdict-reached:1")
class VerdictReached(RecordedEvent):
    """The judgement."""

    word: VerdictWord
    grade: Grade
    console_state: ConsoleState
    reasons: tuple[str, ...]
    not_proven: tuple[str, ...]
    boot_s: float | None
    restore_s: float


@named("lab-torn-down:1")
class LabTornDown(RecordedEvent):
    """Nothing of the lab run is left; ``removed`` says what had to be removed after the machine itself was gone."""

    removed: tuple[str, ...]


@named("report-queued:1")
class ReportQueued(RecordedEvent):
    """The report mail is in the durable outbox."""

    mail_key: str
    recipients: int


@named("report-mailed:1")
class ReportMailed(RecordedEvent):
    """The mail was handed over to the transport."""

    mail_key: str
    transport: str
    attempts: int


@named("verification-failed:1")
class VerificationFailed(RecordedEvent):
    """The verification itself could not be carried through; it says nothing about the restore point."""

    error: str
