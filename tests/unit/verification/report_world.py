"""A report to lay out."""

from __future__ import annotations

import functools
from datetime import UTC, datetime, timedelta

from domain.model.extents import Extent
from domain.model.verdicts import ConsoleState, Grade, Verdict, VerdictWord
from domain.ports.guests import DiskFinding, VolumeFinding
from tests.unit.verification.console_world import frame_from
from verification.picture import picture_png
from verification.report import BackupFigures, ReportedDisk, VerificationReport

GIB = 1 << 30
TAKEN = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)

BOOTED = Verdict(
    word=VerdictWord.BOOTED,
    grade=Grade.BOOT,
    console_state=ConsoleState.SIGN_IN,
    reasons=("The guest started and asks for a sign-in.",),
    not_proven=("The network was not tested: the lab has no uplink.",),
    boot_s=38.2,
)
PANICKED = Verdict(
    word=VerdictWord.FAILED,
    grade=Grade.FILE_SYSTEMS,
    console_state=ConsoleState.PANIC,
    reasons=("The Linux kernel stopped with a panic.",),
    not_proven=("That the machine comes back.",),
    boot_s=None,
)


HEAD = (
    "atesta/00112233445566778899aabbccddeeff\n1842\n4J5Y0M1kYJ0mZr1bq0G8yq0mQ2n4mQ5fXK0m0c0x0aE=\n\n"
    "\u2014 atesta/00112233445566778899aabbccddeeff AAAAAAAA\n"
)


def a_report(
    verdict: Verdict = BOOTED, *, name: str = "web01", guest_text: str = "web01 login: _", redacted: bool = False
) -> VerificationReport:
    volume = VolumeFinding(
        number=1, extent=Extent(offset=0, length=GIB), file_system="ext4", readable=True, remark=guest_text
    )
    return VerificationReport(
        machine_name=name,
        point_id="7f3a9c21",
        point_taken_at=TAKEN,
        verified_at=TAKEN + timedelta(minutes=4),
        verdict=verdict,
        restore_s=12.4,
        accelerator="tcg",
        disks=(
            ReportedDisk(name=name, size_bytes=4 * GIB, finding=DiskFinding(partition_table="gpt", volumes=(volume,))),
            ReportedDisk(name="data", size_bytes=120 * GIB, finding=None),
        ),
        repository_name="main",
        console_text=guest_text,
        evidence=guest_text,
        picture_png=_picture("uefi_login" if verdict is BOOTED else "panic"),
        backup=BackupFigures(
            read_bytes=GIB,
            new_bytes=GIB // 4,
            deduplicated_bytes=GIB // 2,
            compressed_bytes=GIB // 8,
            excluded_bytes=GIB,
            kind="incremental",
            cause="it starts from the last point, 0a1b2c3d",
        ),
        redacted=redacted,
        signed_head=HEAD,
    )


@functools.cache
def _picture(name: str) -> bytes:
    return picture_png(frame_from(name))
