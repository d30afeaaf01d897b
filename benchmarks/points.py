"""The events of a restore point as backups and retention runs record them, for repositories that have no machines."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

from domain.events.restore_point import RestorePointCommitted, RestorePointExpired, StoredDisk
from domain.model.machines import Firmware, Machine, MachineSettings
from domain.model.protection import Consistency


def committed(disk: StoredDisk) -> RestorePointCommitted:
    """A point of one disk."""
    settings = MachineSettings(firmware=Firmware.BIOS, processors=1, memory_bytes=1 << 30)
    machine = Machine(machine_id="m", name="measured", host="here", settings=settings, disks=())
    return RestorePointCommitted(
        originator_id=uuid4(),
        originator_version=1,
        at=datetime.now(UTC),
        backup_id=uuid4(),
        machine_id="m",
        machine=machine,
        taken_at=datetime.now(UTC),
        consistency=Consistency.CRASH,
        kind="full",
        disks=(disk,),
        files=(),
        excluded_bytes=0,
    )


def expired(point_id: UUID) -> RestorePointExpired:
    """Its end."""
    return RestorePointExpired(
        originator_id=point_id,
        originator_version=2,
        at=datetime.now(UTC),
        retention_id=uuid4(),
        policy="measured",
        reason="measured",
    )
