"""One Hyper-V host: a method for each verb, typed in and out."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from adapters.hyperv.errors import HostBusyError, HostCode, JobFailedError
from adapters.hyperv.remote_call import VerbCaller, bounded
from adapters.hyperv.verb_schemas import (
    AffectedElement,
    Arguments,
    ChangedRangesArguments,
    ChangedRangesReply,
    CheckpointArguments,
    ConfigurationFileReply,
    DoctorFacts,
    FrozenDiskReply,
    GuestFacts,
    HostFacts,
    JobArguments,
    JobReply,
    ListMachinesArguments,
    MachineArguments,
    MachineReply,
    MergeReply,
    Number64,
    ReferencePointArguments,
    ReferencePointReply,
    SetStateArguments,
    StartedJob,
    TakeCheckpointArguments,
    ThumbnailReply,
)

_UNDER_WAY = frozenset({2, 3, 4, 6})
_SUCCESS = frozenset({7, 32768})
_WAIT_FIRST_S = 0.2
_WAIT_MAX_S = 5.0

RECOVERY_CHECKPOINT_CLASS = "Msvm_VirtualSystemSettingData"
REFERENCE_POINT_CLASS = "Msvm_VirtualSystemReferencePoint"


@dataclass(frozen=True, slots=True, kw_only=True)
class FinishedJob:
    """A job that ended well. ``has_warnings`` tells the state 32768; ``affected`` is what it made or changed."""

    affected: tuple[AffectedElement, ...] = ()
    has_warnings: bool = False

    def id_of(self, kind: str) -> str:
        """The id of the only affected element of a CIM class; empty when there is none or several."""
        found = [element.id for element in self.affected if element.kind == kind]
        return found[0] if len(found) == 1 else ""


class HyperVHost:
    """The verbs of one host, over ``caller``. ``sleep`` and ``monotonic`` are the waiting, exchangeable in tests."""

    def __init__(
        self,
        caller: VerbCaller,
        *,
        sleep: Callable[[float], None] = time.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._caller = caller
        self._sleep = sleep
        self._monotonic = monotonic

    @property
    def name(self) -> str:
        """The host's name, for messages."""
        return self._caller.host

    def host_facts(self) -> HostFacts:
        """What the host says of itself."""
        return self._caller.call("host-facts", Arguments(), HostFacts)

    def list_machines(self, machine_id: str = "") -> tuple[MachineReply, ...]:
        """All machines of the host; with an id only that one, or none."""
        replies = self._caller.call(
            "list-machines", ListMachinesArguments(machine_id=machine_id), tuple[MachineReply, ...]
        )
        return tuple(reply for reply in replies if not machine_id or reply.id.casefold() == machine_id.casefold())

    def take_checkpoint(
        self, machine_id: str, *, consistency: int, ignore_not_snapshottable: bool = False
    ) -> StartedJob:
        """Start a recovery checkpoint: ``consistency`` 1 application, 2 crash. Not to be repeated without looking."""
        arguments = TakeCheckpointArguments(
            machine_id=machine_id,
            consistency=1 if consistency == 1 else 2,
            ignore_not_snapshottable=ignore_not_snapshottable,
        )
        return self._caller.call("take-checkpoint", arguments, StartedJob)

    def job(self, job: str) -> JobReply:
        """How far a job is. Raises JobUnknownError some minutes after its end."""
        return self._caller.call("job", JobArguments(job=job), JobReply)

    def wait(self, job: str, deadline_seconds: float, *, keep_on: Callable[[], None] = lambda: None) -> FinishedJob:
        """Wait for a job; an empty one is done. ``keep_on`` is called between looks and may raise to end the waiting.

        Raises JobFailedError, JobUnknownError, HostBusyError after ``deadline_seconds``.
        """
        if not job:
            return FinishedJob()
        end = self._monotonic() + deadline_seconds
        wait_s = _WAIT_FIRST_S
        while (reply := self.job(job)).state in _UNDER_WAY:
            keep_on()
            if self._monotonic() >= end:
                raise HostBusyError(
                    f"A job on the host is not done after {deadline_seconds:.0f} s: {reply.percent} % of it.",
                    code=HostCode.TIMEOUT,
                    where=self.name,
                    next_step="It goes on there; the next run looks at what it left.",
                )
            self._sleep(min(wait_s, max(0.0, end - self._monotonic())))
            wait_s = min(_WAIT_MAX_S, wait_s * 1.5)
        if reply.state not in _SUCCESS or reply.error_code:
            told = bounded(reply.error_text) or "no reason given"
            raise JobFailedError(
                f"A job on the host failed: {told} (state {reply.state}, code {reply.error_code}).",
                code=reply.error_code,
                where=self.name,
            )
        return FinishedJob(affected=reply.affected, has_warnings=reply.state != 7)

    def checkpoint_disks(self, machine_id: str, checkpoint: str) -> tuple[FrozenDiskReply, ...]:
        """The files that a checkpoint holds still."""
        arguments = CheckpointArguments(machine_id=machine_id, checkpoint=checkpoint)
        return self._caller.call("checkpoint-disks", arguments, tuple[FrozenDiskReply, ...])

    def configuration_files(self, machine_id: str, checkpoint: str) -> tuple[ConfigurationFileReply, ...]:
        """The files of a checkpoint's configuration."""
        arguments = CheckpointArguments(machine_id=machine_id, checkpoint=checkpoint)
        return self._caller.call("configuration-files", arguments, tuple[ConfigurationFileReply, ...])

    def changed_ranges(self, path: str, rct_id: str, *, offset: int, length: int) -> ChangedRangesReply:
        """What changed in a window of a disk since ``rct_id``, in the guest's bytes."""
        arguments = ChangedRangesArguments(path=path, rct_id=rct_id, offset=Number64(offset), length=Number64(length))
        return self._caller.call("changed-ranges", arguments, ChangedRangesReply)

    def convert_checkpoint(self, machine_id: str, checkpoint: str) -> StartedJob:
        """Start turning a recovery checkpoint into a reference point. Not to be repeated without looking."""
        arguments = CheckpointArguments(machine_id=machine_id, checkpoint=checkpoint)
        return self._caller.call("convert-checkpoint", arguments, StartedJob)

    def reference_points(self, machine_id: str) -> tuple[ReferencePointReply, ...]:
        """All reference points of a machine."""
        arguments = MachineArguments(machine_id=machine_id)
        return self._caller.call("reference-points", arguments, tuple[ReferencePointReply, ...])

    def destroy_reference_point(self, machine_id: str, reference_point: str) -> StartedJob:
        """Start destroying a reference point; NotOnHostError when it is gone."""
        arguments = ReferencePointArguments(machine_id=machine_id, reference_point=reference_point)
        return self._caller.call("destroy-reference-point", arguments, StartedJob)

    def destroy_checkpoint(self, machine_id: str, checkpoint: str) -> StartedJob:
        """Start destroying a recovery checkpoint; NotOnHostError when it is gone. A person's is refused."""
        arguments = CheckpointArguments(machine_id=machine_id, checkpoint=checkpoint)
        return self._caller.call("destroy-checkpoint", arguments, StartedJob)

    def set_state(self, machine_id: str, state: int) -> StartedJob:
        """Start (2) or save (6) a machine; nothing happens when it is so already."""
        arguments = SetStateArguments(machine_id=machine_id, state=2 if state == 2 else 6)
        return self._caller.call("set-state", arguments, StartedJob)

    def merge_state(self, machine_id: str) -> MergeReply:
        """Whether the machine's disks are being merged."""
        return self._caller.call("merge-state", MachineArguments(machine_id=machine_id), MergeReply)

    def doctor_facts(self) -> DoctorFacts:
        """Rights of the user, limits of WinRM, and which classes and commands there are."""
        return self._caller.call("doctor-facts", Arguments(), DoctorFacts)

    def thumbnail(self, machine_id: str) -> ThumbnailReply:
        """The console of a machine now. Raises HostRefusalError with NO_FRAME while it shows nothing."""
        return self._caller.call("thumbnail", MachineArguments(machine_id=machine_id), ThumbnailReply)

    def guest_facts(self, machine_id: str) -> GuestFacts:
        """The heartbeat of a machine, and what its guest tells of itself."""
        return self._caller.call("guest-facts", MachineArguments(machine_id=machine_id), GuestFacts)
