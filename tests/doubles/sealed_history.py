"""A small history with its tree, its key and its heads, from which evidence bundles can be made and doctored."""

from __future__ import annotations

import io
import itertools
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from eventsourcing.persistence import StoredEvent
from PIL import Image

from adapters.eventstore.event_mapper import EventMapper
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash, root_of, tree_nodes
from domain.content.shipped_log import StoredRow
from domain.content.signed_note import SigningKey, TreeHead, origin_of
from domain.events import backup, recovery, restore_point, retention, verification
from domain.events.recorded import RecordedEvent
from domain.model.machines import Firmware, Machine, MachineSettings
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.verdicts import ConsoleState, Grade, VerdictWord
from domain.ports.evidence import KeptPicture

REPOSITORY = bytes(range(16))
ORIGIN = origin_of(REPOSITORY)
START = datetime(2026, 3, 1, tzinfo=UTC)


class SealedHistory:
    """Events are appended at a clock that goes on by a minute each; numbers have gaps, as they may."""

    def __init__(self, secret: bytes = b"k" * 32) -> None:
        self.key = SigningKey(ORIGIN, secret)
        self.events: list[RecordedEvent] = []
        self.now = START
        self._stored: list[StoredRow] = []
        self._mapper = EventMapper()
        self._ids = (UUID(int=number << 64 | 7) for number in itertools.count(1))
        self.kept_heads: list[str] = []

    def append(self, event_class: type[RecordedEvent], stream: UUID, **fields: Any) -> RecordedEvent:
        """Append an event to the end of its stream."""
        version = sum(event.originator_id == stream for event in self.events) + 1
        event = event_class(originator_id=stream, originator_version=version, at=self.now, **fields)
        stored = self._mapper.to_stored_event(event)
        self.now += timedelta(minutes=1)
        self.events.append(event)
        number = len(self.events) * 2 + 5
        self._stored.append(StoredRow(number, stream.bytes, version, stored.topic, stored.state))
        return event

    def stored(self) -> list[StoredRow]:
        """All rows."""
        return list(self._stored)

    def backed_up(self, name: str, *, error: str = "") -> UUID:
        """A backup of a machine; returns its point."""
        run, point = next(self._ids), next(self._ids)
        method = SnapshotMethod.CHILD_VM_SNAPSHOT
        self.append(
            backup.BackupStarted,
            run,
            machine_id=f"id-{name}",
            machine_name=name,
            kind="full",
            cause="due",
            parent_id=b"",
        )
        self.append(
            backup.PrepareForSnapshot, run, method=method, reason="best", consistency_asked=Consistency.APPLICATION
        )
        self.append(
            backup.SnapshotTaken,
            run,
            method=method,
            consistency_asked=Consistency.APPLICATION,
            consistency_reached=Consistency.CRASH,
            remarks=(),
            disk_count=1,
        )
        self.append(
            recovery.PackAdopted,
            next(self._ids),
            pack_id=bytes(32),
            pack_bytes=9,
            pack_kind=1,
            chunk_count=1,
            table=b"t" * 500,
        )
        if error:
            self.append(backup.BackupFailed, run, reason="EnvironmentTroubleError", error=error)
            return point
        self.append(backup.PostSnapshot, run, method=method, remarks=())
        self.append(
            restore_point.RestorePointCommitted,
            point,
            backup_id=run,
            machine_id=f"id-{name}",
            machine=Machine(
                machine_id=f"id-{name}",
                name=name,
                host="hv",
                settings=MachineSettings(firmware=Firmware.UEFI),
                disks=(),
            ),
            taken_at=self.now,
            consistency=Consistency.CRASH,
            kind="full",
            disks=(),
            files=(),
            excluded_bytes=0,
        )
        self.append(
            backup.BackupCompleted,
            run,
            point_id=point.bytes,
            read_bytes=1 << 40,
            new_bytes=300,
            duplicate_bytes=3,
            zero_bytes=4,
            excluded_bytes=5,
            stored_bytes=70_000,
            seconds=7.25,
        )
        return point

    def verified(
        self, name: str, point: UUID, word: VerdictWord | None = VerdictWord.BOOTED, picture: bytes = b""
    ) -> UUID:
        """A verification; without a word it was not carried out."""
        run = next(self._ids)
        self.append(verification.VerificationStarted, run, point_id=point, machine_id=f"id-{name}", machine_name=name)
        if word is None:
            self.append(verification.VerificationFailed, run, error="no emulator")
            return run
        if picture:
            self.append(
                verification.ConsoleCaptured,
                run,
                picture_digest=picture,
                picture_bytes=7,
                reel_digest=None,
                console_state=ConsoleState.SIGN_IN,
                elapsed_s=35.0,
            )
        booted = word is VerdictWord.BOOTED
        self.append(
            verification.VerdictReached,
            run,
            word=word,
            grade=Grade.BOOT if booted else Grade.FILE_SYSTEMS,
            console_state=ConsoleState.SIGN_IN if booted else ConsoleState.PANIC,
            reasons=("it <b>panicked</b>",),
            not_proven=("services",),
            boot_s=35.5 if booted else None,
            restore_s=12.25,
        )
        self.append(restore_point.VerificationRecorded, point, verification_id=run, word=word, grade=Grade.BOOT)
        return run

    def expired(self, name: str, point: UUID) -> None:
        """A point that retention let go."""
        run = next(self._ids)
        decision = retention.PointDecision(point_id=point, keep=False, reasons=("7 newer",))
        self.append(retention.RetentionApplied, run, machine_id=f"id-{name}", policy="last 7", decisions=(decision,))
        self.append(restore_point.RestorePointExpired, point, retention_id=run, policy="last 7", reason="7 newer")

    def leaves(self) -> list[bytes]:
        """The leaf hashes."""
        return [leaf_hash(encode_entry(entry_of(row))) for row in self.stored()]

    def head_at(self, size: int) -> str:
        """The head of the first ``size`` leaves, signed."""
        return self.key.sign(TreeHead(ORIGIN, size, root_of(self.leaves()[:size])))

    def rows(self) -> Iterator[tuple[StoredRow, datetime]]:
        """The port: rows with their times."""
        yield from zip(self.stored(), (event.at for event in self.events), strict=True)

    def event(self, row: StoredRow) -> RecordedEvent:
        """The port: the event of a row."""
        return self._mapper.to_domain_event(StoredEvent(UUID(bytes=row.stream), row.version, row.topic, row.state))

    def node(self, level: int, index: int) -> bytes:
        """The port: a subtree."""
        return tree_nodes(self.leaves())(level, index)

    def head(self) -> str:
        """The port: a head over all."""
        return self.head_at(len(self.events))

    def older_heads(self) -> Sequence[str]:
        """The port: heads that were kept."""
        return self.kept_heads

    def verifier_key(self) -> str:
        """The port: the public key."""
        return str(self.key.verifier)

    def seal(self, text: str) -> str:
        """The port: a signed text."""
        return self.key.sign_text(text)


class PaintedPictures:
    """A picture for every digest."""

    def kept(self, digests: Sequence[str], *, originals: bool) -> Iterator[KeptPicture]:
        """A grey square each."""
        content = io.BytesIO()
        Image.new("RGB", (8, 8), "grey").save(content, "WEBP")
        original = b"an original" if originals else b""
        return (KeptPicture(digest=one, small=content.getvalue(), original=original) for one in digests)


def a_month() -> SealedHistory:
    """Ten days before and after March 10 to 20, in which backups and verifications fail and are mended, or not."""
    history = SealedHistory()
    for day in range(30):
        history.now = START + timedelta(days=day)
        point = history.backed_up("web")
        history.verified("web", point, VerdictWord.FAILED if day == 12 else VerdictWord.BOOTED, bytes([day]) * 32)
        if day == 13:
            history.backed_up("mail", error="the host went away")
        other = history.backed_up("mail")
        history.verified(
            "mail", other, None if day == 18 else VerdictWord.UNDECIDED if day >= 19 else VerdictWord.BOOTED
        )
        if day % 5 == 0:
            history.expired("web", point)
        history.kept_heads.append(history.head_at(len(history.events)))
    return history
