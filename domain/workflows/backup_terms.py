"""What policy says about a backup, and what a person wants to know of one that is over."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.model.machines import Machine, matches
from domain.model.protection import Consistency


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """What policy says about a backup.

    ``keep_swap_of``: names or patterns of machines whose swap is stored. ``full`` asks for a full whatever there is to
    start from; ``compare_source`` reads the frozen disks again and compares them with what was stored,
    ``compare_source_every`` does so in each nth run of a machine (0: never);
    ``audit_samples`` pieces of each tracked disk are read to see whether change tracking is honest (0: none).
    """

    exclude_swap: bool = True
    keep_swap_of: tuple[str, ...] = ()
    workers: int = 2
    full: bool = False
    compare_source: bool = False
    compare_source_every: int = 0
    audit_samples: int = 16

    def excludes_swap_of(self, machine: Machine) -> bool:
        """Whether this machine's swap is left out."""
        return self.exclude_swap and not any(matches(machine, pattern) for pattern in self.keep_swap_of)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What a person wants to know of a finished backup; sizes in bytes."""

    point_id: UUID
    backup_id: UUID
    machine: Machine
    taken_at: datetime
    kind: str
    cause: str
    consistency: Consistency
    size_bytes: int
    read_bytes: int
    zero_bytes: int
    new_bytes: int
    duplicate_bytes: int
    excluded_bytes: int
    stored_bytes: int
    compared_bytes: int
    seconds: float
    remarks: tuple[str, ...]
