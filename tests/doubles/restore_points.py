"""A restore point as the catalog would give it, with what a test does not care about filled in."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

from domain.events.restore_point import StoredDisk, StoredFile
from domain.model.machines import Machine
from domain.model.protection import Consistency
from domain.ports.catalog import RestorePoint

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)


def restore_point(
    machine: Machine,
    *,
    point_id: UUID,
    sequence: int = 1,
    taken_at: datetime = NOON,
    disks: tuple[StoredDisk, ...] = (),
    files: tuple[StoredFile, ...] = (),
) -> RestorePoint:
    """A full of ``machine``."""
    return RestorePoint(
        point_id=point_id,
        short_id=point_id.hex[:8],
        sequence=sequence,
        machine_id=machine.machine_id,
        machine=machine,
        taken_at=taken_at,
        kind="full",
        cause="",
        consistency=Consistency.CRASH,
        disks=disks,
        files=files,
        excluded_bytes=0,
        new_bytes=0,
        duplicate_bytes=0,
        stored_bytes=0,
        read_bytes=0,
        seconds=0,
        word=None,
        grade=None,
    )
