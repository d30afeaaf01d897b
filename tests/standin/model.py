"""A stand-in for one Hyper-V host: stateful, and able to misbehave as hosts do. No real Hyper-V stands behind it.

What it does follows the facts that docs/stand-in.md lists. Time passes with requests: each is a tick of work for jobs
and merges, so that nothing depends on how fast a test runs; ``advance`` lets the clock jump.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from threading import RLock
from typing import TYPE_CHECKING
from uuid import uuid4

from domain.model.extents import Extent
from tests.standin.host_work import REFERENCE_POINT_CLASS, SETTINGS_CLASS, HostWork
from tests.standin.jobs import EXCEPTION, WITH_WARNINGS, Affected, Job, JobList, run
from tests.standin.machine import (
    Activity,
    Checkpoint,
    Machine,
    Nic,
    ReferencePoint,
    State,
    standard_services,
)
from tests.standin.machine_files import attached_disk, write_configuration
from tests.standin.misbehaviour import Misbehaviour, Misbehaviours
from tests.standin.virtual_disk import Layer, VirtualDisk

if TYPE_CHECKING:
    from tests.standin.cluster import ClusterModel

DONE, JOB_STARTED = 0, 4096
FAILED, NOT_SUPPORTED, INVALID_PARAMETER, IN_USE, INVALID_STATE, FILE_NOT_FOUND = (
    32768,
    32770,
    32773,
    32774,
    32775,
    32779,
)


class NotThereError(LookupError):
    """A reference names nothing on this host."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a method returned. ``made`` is known only when it was done at once."""

    code: int
    job: str = ""
    made: str = ""


@dataclass(frozen=True, kw_only=True)
class Changes:
    """What GetVirtualDiskChanges returned."""

    code: int
    processed: int = 0
    ranges: Sequence[tuple[int, int]] = ()


class HostModel:
    """One host. ``folder`` holds its drives: ``C`` and ``D``, with the real files of its disks below."""

    def __init__(self, folder: Path, *, name: str = "HV01", drives: Sequence[str] = ("C", "D")) -> None:
        self.folder = folder
        self.name = name
        self.drives = {letter: folder / letter for letter in drives}
        for place in (*self.drives.values(), folder / "oracle"):
            place.mkdir(parents=True, exist_ok=True)
        self.os_build = "10.0.20348.2402"
        self.cluster = ""
        self.of_cluster: ClusterModel | None = None
        self.free_memory_bytes = 48 << 30
        self.clock_skew = timedelta()
        self.is_up = True
        self.boots = 1
        self.job_ticks = 2
        self.machines: dict[str, Machine] = {}
        self.jobs = JobList()
        self.misbehaviours = Misbehaviours()
        self.work = HostWork(self.misbehaviours, self.now)
        self.lock = RLock()
        self.on_reboot: list[Callable[[], None]] = []
        self.on_change: list[Callable[[], None]] = []
        self._elapsed = 0.0

    def add_machine(
        self,
        name: str,
        disks: Sequence[bytes | Path] = (),
        *,
        machine_id: str | None = None,
        home: str = "",
        generation: int = 2,
        version: str = "10.0",
        state: State = State.RUNNING,
    ) -> Machine:
        """A machine with disks made from raw content; on SCSI for generation 2, on IDE for generation 1."""
        home = home or f"D:\\VMs\\{name}"
        identity = (machine_id or str(uuid4())).upper()
        folder = self.local_path(home)
        machine = Machine(
            id=identity, name=name, home=home, folder=folder, generation=generation, version=version, state=state
        )
        machine.integration = standard_services()
        machine.nics = [Nic(name="Network Adapter", switch="External", mac=f"00155D{len(self.machines):06X}")]
        for number, content in enumerate(disks):
            machine.disks.append(self._new_disk(machine, number, content, f"disk{number}"))
        write_configuration(machine, machine.configuration_file)
        with self.lock:
            self.machines[identity] = machine
            self.changed()
        return machine

    def replace_disk(self, machine: Machine, number: int, content: bytes | Path) -> VirtualDisk:
        """Another disk in the same slot: the InstanceID of its setting stays, its GUID does not."""
        machine.disks[number] = self._new_disk(machine, number, content, f"new{number}")
        self.changed()
        return machine.disks[number]

    def misbehave(self, *what: Misbehaviour, times: int | None = None) -> None:
        for each in what:
            if times is None:
                self.misbehaviours.switch_on(each)
            else:
                self.misbehaviours.switch_on(each, times=times)

    def behave(self, *what: Misbehaviour) -> None:
        for each in what or tuple(Misbehaviour):
            self.misbehaviours.switch_off(each)

    def take_user_checkpoint(self, machine: Machine, name: str = "before the update") -> Checkpoint:
        """What a person does in Hyper-V Manager."""
        with self.lock:
            made = self.work.freeze(machine, "user", name, 0)
            self.changed()
            return made

    def delete_user_checkpoint(self, machine: Machine, checkpoint: Checkpoint) -> None:
        self.work.drop(machine, checkpoint)

    def apply_user_checkpoint(self, machine: Machine, checkpoint: Checkpoint) -> None:
        """Go back: change tracking begins anew."""
        with self.lock:
            for disk in machine.disks:
                disk.revert(checkpoint.id)
            machine.checkpoints = machine.checkpoints[: machine.checkpoints.index(checkpoint) + 1]
            machine.reference_points.clear()
            self.changed()

    def lose_reference_points(self, machine: Machine) -> None:
        """Someone else destroyed them."""
        for point in tuple(machine.reference_points):
            self.work.forget_point(machine, point)

    def remove_machine(self, machine: Machine) -> None:
        """Deleted, or moved away; its files stay where they are."""
        with self.lock:
            del self.machines[machine.id]
            self.changed()

    def release(self, machine: Machine) -> None:
        """The machine goes to another node; what was under way here is not done."""
        with self.lock:
            for job in self.jobs.all():
                if job.machine_id == machine.id and not job.has_ended:
                    job.finally_()
                    self.jobs.forget(job)
            self.remove_machine(machine)

    def adopt(self, machine: Machine) -> None:
        """The machine comes from another node."""
        with self.lock:
            self.machines[machine.id] = machine
            self.changed()

    def reboot(self) -> None:
        """Jobs and shells are gone, checkpoints stay; running machines come up again, merges begin anew."""
        with self.lock:
            self.jobs.clear()
            self.boots += 1
            for machine in self.machines.values():
                machine.activities.clear()
        for told in self.on_reboot:
            told()

    def advance(self, seconds: float) -> None:
        """The host's clock goes on, and so does its work."""
        with self.lock:
            self._elapsed += seconds
            for _ in range(min(100, int(seconds))):
                self.tick()
            self.jobs.expire(self._elapsed)

    def leftovers(self) -> list[str]:
        """What a backup must not leave behind: recovery checkpoints, and more than one reference point a machine."""
        found = []
        for machine in self.machines.values():
            found += [f"{machine.name}: {held.id}" for held in machine.checkpoints if held.kind == "recovery"]
            found += [f"{machine.name}: {point.id}" for point in machine.reference_points[:-1]]
            held_layers = {held.id for held in machine.checkpoints}
            found += [
                f"{machine.name}: {layer.path}"
                for disk in machine.disks
                for layer in disk.layers[:-1]
                if layer.held_by not in held_layers
            ]
        return found

    def local_path(self, host_path: str) -> Path:
        """Where a path of the host lies on this machine."""
        drive, _, rest = host_path.partition(":\\")
        if drive.upper() not in self.drives or not rest:
            raise NotThereError(host_path)
        return self.drives[drive.upper()].joinpath(*rest.split("\\"))

    def held_files(self) -> set[str]:
        """The files that the host holds open for itself: leaves of machines that run."""
        with self.lock:
            running = [machine for machine in self.machines.values() if machine.state is State.RUNNING]
            return {disk.leaf.path for machine in running for disk in machine.disks}

    def now(self) -> datetime:
        """The host's clock."""
        return datetime.now(UTC) + timedelta(seconds=self._elapsed) + self.clock_skew

    def tick(self) -> None:
        """Work goes on. Each request to the host calls this first."""
        with self.lock:
            for machine in self.machines.values():
                self.work.merge_a_little(machine)
            self.jobs.tick(self._elapsed)
            self.changed()

    def changed(self) -> None:
        """Tell who follows which files are live."""
        for told in self.on_change:
            told()

    def machine(self, machine_id: str) -> Machine:
        found = self.machines.get(machine_id.upper())
        if found is None:
            raise NotThereError(machine_id)
        return found

    def checkpoint(self, checkpoint_id: str) -> tuple[Machine, Checkpoint]:
        for machine in self.machines.values():
            for held in machine.checkpoints:
                if held.id.upper() == checkpoint_id.upper():
                    return machine, held
        raise NotThereError(checkpoint_id)

    def reference_point(self, point_id: str) -> tuple[Machine, ReferencePoint]:
        for machine in self.machines.values():
            for point in machine.reference_points:
                if point.id.upper() == point_id.upper():
                    return machine, point
        raise NotThereError(point_id)

    def job(self, job_id: str) -> Job:
        """A job that the host still knows."""
        with self.lock:
            found = self.jobs.get(job_id)
            if found is None:
                raise NotThereError(job_id)
            if self.misbehaviours.happens(Misbehaviour.JOB_FORGOTTEN):
                self.forget_job(found)
                raise NotThereError(job_id)
            return found

    def forget_job(self, job: Job) -> None:
        """Do it, and know nothing of it."""
        if not job.has_ended:
            run(job, self._elapsed)
        self.jobs.forget(job)

    def create_recovery_checkpoint(self, machine_id: str, *, consistency: int, ignore: bool) -> Outcome:
        """CreateSnapshot with type 32768."""
        machine = self.machine(machine_id)
        if self._is_busy(machine) or self._happens(Misbehaviour.CHECKPOINT_REFUSED):
            return Outcome(code=INVALID_STATE)
        work = partial(self.work.take_recovery_checkpoint, machine, consistency, ignore)
        return self._started("CreateSnapshot", machine, Activity.CREATING_CHECKPOINT, work)

    def convert_to_reference_point(self, checkpoint_id: str) -> Outcome:
        """ConvertToReferencePoint: the checkpoint goes, the merge begins."""
        machine, checkpoint = self.checkpoint(checkpoint_id)
        if checkpoint.kind != "recovery" or self._happens(Misbehaviour.CONVERSION_REFUSED):
            return Outcome(code=INVALID_STATE)
        if self._is_busy(machine):
            return Outcome(code=INVALID_STATE)
        if not machine.tracks_changes:
            return Outcome(code=NOT_SUPPORTED)
        work = partial(self.work.convert, machine, checkpoint)
        return self._started("ConvertToReferencePoint", machine, Activity.DELETING_CHECKPOINT, work)

    def destroy_checkpoint(self, checkpoint_id: str) -> Outcome:
        """DestroySnapshot."""
        machine, checkpoint = self.checkpoint(checkpoint_id)
        if self._happens(Misbehaviour.DESTROY_REFUSED):
            return Outcome(code=IN_USE)
        if self._is_busy(machine):
            return Outcome(code=INVALID_STATE)
        work = partial(self.work.destroy_checkpoint, machine, checkpoint)
        return self._started("DestroySnapshot", machine, Activity.DELETING_CHECKPOINT, work)

    def destroy_reference_point(self, point_id: str) -> Outcome:
        """DestroyReferencePoint."""
        machine, point = self.reference_point(point_id)
        if self._happens(Misbehaviour.DESTROY_REFUSED):
            return Outcome(code=IN_USE)
        work = partial(self.work.destroy_point, machine, point)
        return self._started("DestroyReferencePoint", machine, None, work)

    def request_state_change(self, machine_id: str, state: int) -> Outcome:
        """RequestStateChange: 2 starts, 3 turns off, 6 saves."""
        machine = self.machine(machine_id)
        allowed = {State.RUNNING: {State.OFF, State.SAVED}, State.OFF: {State.RUNNING}, State.SAVED: {State.RUNNING}}
        asked = {2: State.RUNNING, 3: State.OFF, 6: State.SAVED}.get(state)
        if asked is None:
            return Outcome(code=INVALID_PARAMETER)
        if asked not in allowed[machine.state]:
            return Outcome(code=INVALID_STATE)
        return self._started("RequestStateChange", machine, None, partial(self.work.change_state, machine, asked))

    def virtual_disk_changes(self, path: str, limit_id: str, offset: int, length: int) -> Changes:
        """GetVirtualDiskChanges: of a file that a checkpoint holds still, or of a machine that does not run."""
        for what, code in _CHANGES_MISBEHAVING.items():
            if self._happens(what):
                return Changes(code=code)
        found = self.find_layer(path)
        if found is None:
            return Changes(code=FILE_NOT_FOUND)
        machine, disk, layer = found
        if layer.frozen_at is None and machine.state is State.RUNNING:
            return Changes(code=IN_USE)
        until = disk.now if layer.frozen_at is None else layer.frozen_at
        since = disk.tracked.get(limit_id)
        if since is None or since > until or offset >= disk.size_bytes or length <= 0:
            return Changes(code=INVALID_PARAMETER)
        if self._happens(Misbehaviour.CHANGES_STAND_STILL):
            return Changes(code=DONE)
        processed = min(length, disk.size_bytes - offset)
        if self._happens(Misbehaviour.CHANGES_IN_PIECES):
            processed = min(processed, 1 << 20)
        return Changes(code=DONE, processed=processed, ranges=disk.changed(since, until, Extent(offset, processed)))

    def _new_disk(self, machine: Machine, number: int, content: bytes | Path, stem: str) -> VirtualDisk:
        path = f"{machine.home}\\Virtual Hard Disks\\{stem}.vhdx"
        oracle = self.folder / "oracle" / f"{machine.id}-{stem}.raw"
        return attached_disk(machine, number, content, path, file=self.local_path(path), oracle=oracle)

    def _happens(self, what: Misbehaviour) -> bool:
        return self.misbehaviours.happens(what)

    def _is_busy(self, machine: Machine) -> bool:
        return bool(machine.activities) or machine.merge_ticks_left > 0

    def _started(
        self, kind: str, machine: Machine, activity: Activity | None, work: Callable[[], list[Affected]]
    ) -> Outcome:
        with self.lock:
            job = Job(kind=kind, machine_id=machine.id, work=work, ticks=self.job_ticks, ticks_left=self.job_ticks)
            if activity is not None:
                machine.activities.append(activity)
                job.finally_ = partial(_remove, machine.activities, activity)
            job.work = partial(self._with_misbehaviour, job, work)
            job.hangs = self._happens(Misbehaviour.JOB_HANGS)
            if self._happens(Misbehaviour.AT_ONCE):
                run(job, self._elapsed)
                self.changed()
                return _outcome_of(job)
            return Outcome(code=JOB_STARTED, job=self.jobs.add(job).id)

    def _with_misbehaviour(self, job: Job, work: Callable[[], list[Affected]]) -> list[Affected]:
        affected = work()
        if self._happens(Misbehaviour.JOB_WARNS):
            job.ends_in = WITH_WARNINGS
        return [] if self._happens(Misbehaviour.AFFECTED_UNTOLD) else affected

    def find_layer(self, path: str) -> tuple[Machine, VirtualDisk, Layer] | None:
        for machine in self.machines.values():
            for disk in machine.disks:
                for layer in disk.layers:
                    if layer.path.casefold() == path.casefold():
                        return machine, disk, layer
        return None


def _outcome_of(job: Job) -> Outcome:
    if job.state == EXCEPTION:
        return Outcome(code=job.error_code)
    made = [element.id for element in job.affected if element.kind in {SETTINGS_CLASS, REFERENCE_POINT_CLASS}]
    return Outcome(code=DONE, made=made[0] if made else "")


def _remove(activities: list[Activity], activity: Activity) -> None:
    if activity in activities:
        activities.remove(activity)


_CHANGES_MISBEHAVING = {
    Misbehaviour.CHANGES_FILE_MISSING: FILE_NOT_FOUND,
    Misbehaviour.CHANGES_AS_JOB: JOB_STARTED,
    Misbehaviour.CHANGES_FAIL: FAILED,
}
