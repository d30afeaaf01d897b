"""What to read of each frozen disk, decided before anything is read: excluded ranges, and how changes are known."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from domain.content.chunking import GRID_BYTES
from domain.errors import DamagedDataError
from domain.events.backup import ChangesDetermined, ExtentsCaptured, RangesExcluded
from domain.events.restore_point import StoredDisk
from domain.model.disk_changes import ChangeDecision, ChangeMethod, DiskState, choose_method, touched_extents
from domain.model.extents import Extent, merged, total_bytes
from domain.ports.changes import ChangesUnknownError, ChangeTracking
from domain.ports.disks import FrozenDisk
from domain.ports.guests import GuestFileSystems
from domain.ports.source import FrozenMachine
from domain.workflows.event_stream import EventStream

NO_PARENT = ChangeDecision(ChangeMethod.WHOLE, "there is no restore point to start from")
DamagedRanges = Callable[[StoredDisk], Sequence[Extent]]


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """One frozen disk and what is to be read of it.

    ``touched`` (ascending, merged, on the grid) is all that may differ from ``parent`` and counts for ``tracked`` only.
    """

    number: int
    disk: FrozenDisk
    name: str
    mark: str
    excluded: tuple[Extent, ...]
    allocated_bytes: int
    decision: ChangeDecision
    parent: StoredDisk | None
    touched: tuple[Extent, ...] = ()

    @property
    def state(self) -> DiskState:
        """What the next backup must know of this one."""
        return DiskState(
            disk_id=self.disk.disk_id, size_bytes=self.disk.size_bytes, mark=self.mark, excluded=self.excluded
        )

    @property
    def bytes_to_read(self) -> int:
        """What the progress counts."""
        return total_bytes(self.touched) if self.decision.method is ChangeMethod.TRACKED else self.allocated_bytes

    def as_compared(self, cause: str) -> DiskPlan:
        """The same disk, all of it compared with the parent."""
        return replace(self, decision=ChangeDecision(ChangeMethod.COMPARED, cause), touched=())

    def as_whole(self, cause: str) -> DiskPlan:
        """The same disk, read without a parent."""
        return replace(self, decision=ChangeDecision(ChangeMethod.WHOLE, cause), parent=None, touched=())


class DiskPlanner:
    """Plans the disks of one run and records what it finds.

    ``damaged_ranges`` says which ranges of a parent's disk cannot be read back, and so must be read anew.
    """

    def __init__(
        self, stream: EventStream, guests: GuestFileSystems, damaged_ranges: DamagedRanges, *, exclude_swap: bool
    ) -> None:
        self._stream = stream
        self._guests = guests
        self._damaged_ranges = damaged_ranges
        self._exclude_swap = exclude_swap

    def plan(self, frozen: FrozenMachine, parent_disks: Sequence[StoredDisk] | None) -> list[DiskPlan]:
        """A plan for each disk. ``parent_disks`` is None for a full. Raises what the disks raise."""
        plans = []
        described = zip(frozen.disks, frozen.machine.disks, frozen.change_tracking, strict=True)
        for number, (disk, shown, tracking) in enumerate(described):
            excluded = self._exclude(number, disk)
            plan = DiskPlan(
                number=number,
                disk=disk,
                name=shown.name,
                mark=tracking.mark if tracking is not None else "",
                excluded=excluded,
                allocated_bytes=self._capture(number, disk),
                decision=NO_PARENT,
                parent=None,
            )
            plans.append(plan if parent_disks is None else self._with_changes(plan, parent_disks, tracking))
        return plans

    def record(self, plans: Sequence[DiskPlan]) -> None:
        """Say for each disk what is to be read and why."""
        for plan in plans:
            with self._stream.turn() as place:
                self._stream.append(
                    ChangesDetermined(
                        **place,
                        disk_number=plan.number,
                        disk_id=plan.disk.disk_id,
                        method=plan.decision.method,
                        cause=plan.decision.cause,
                        parent_root=plan.parent.root if plan.parent is not None else None,
                        changed_bytes=plan.bytes_to_read,
                        extent_count=len(plan.touched),
                    )
                )

    def _with_changes(
        self, plan: DiskPlan, parent_disks: Sequence[StoredDisk], tracking: ChangeTracking | None
    ) -> DiskPlan:
        same = [disk for disk in parent_disks if disk.disk_id == plan.disk.disk_id]
        parent = same[0] if len(same) == 1 else None
        before = _state_of(parent) if parent is not None else None
        decision = choose_method(plan.state, before, has_tracking=tracking is not None)
        plan = replace(plan, decision=decision, parent=parent)
        if decision.method is not ChangeMethod.TRACKED:
            return plan
        assert tracking is not None
        assert parent is not None
        assert before is not None
        try:
            changed = tracking.changed_since(before.mark)
        except ChangesUnknownError as unknown:
            return replace(plan, decision=ChangeDecision(ChangeMethod.COMPARED, unknown.what))
        damaged = self._damaged_ranges(parent)
        touched = touched_extents((*changed, *damaged), plan.state, before, grid_bytes=GRID_BYTES)
        return replace(plan, touched=touched)

    def _exclude(self, number: int, disk: FrozenDisk) -> tuple[Extent, ...]:
        if not self._exclude_swap:
            return ()
        excluded: list[Extent] = []
        for swap in self._guests.swap_ranges(disk):
            for extent in swap.extents:
                if extent.offset % GRID_BYTES or extent.length % GRID_BYTES or extent.end > disk.size_bytes:
                    raise DamagedDataError("A range to exclude is off the grid.", where=swap.where)
            with self._stream.turn() as place:
                self._stream.append(
                    RangesExcluded(**place, disk_number=number, kind=swap.kind, where=swap.where, extents=swap.extents)
                )
            excluded.extend(swap.extents)
        return tuple(merged(sorted(excluded)))

    def _capture(self, number: int, disk: FrozenDisk) -> int:
        allocated = count = 0
        for extent in disk.allocated_extents():
            allocated += extent.length
            count += 1
        with self._stream.turn() as place:
            self._stream.append(
                ExtentsCaptured(
                    **place,
                    disk_number=number,
                    disk_id=disk.disk_id,
                    size_bytes=disk.size_bytes,
                    allocated_bytes=allocated,
                    extent_count=count,
                )
            )
        return allocated


def _state_of(disk: StoredDisk) -> DiskState:
    return DiskState(disk_id=disk.disk_id, size_bytes=disk.size_bytes, mark=disk.change_mark, excluded=disk.excluded)
