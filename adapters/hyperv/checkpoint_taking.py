"""Taking a recovery checkpoint of a machine, with everything that it leaves behind owed before it is done."""

from __future__ import annotations

from dataclasses import dataclass

from adapters.hyperv.errors import HostRefusalError, HostSilentError, JobFailedError, JobUnknownError
from adapters.hyperv.host import RECOVERY_CHECKPOINT_CLASS, HyperVHost
from adapters.hyperv.patience import Patience, Watch
from adapters.hyperv.verb_schemas import MachineReply
from domain.errors import EnvironmentTroubleError
from domain.model.debts import DebtKind
from domain.model.protection import Consistency, SnapshotMethod, SnapshotPlan
from domain.model.reference_points import appeared
from domain.model.snapshot_method import crash_taken
from domain.ports.source_journal import SourceJournal

STATE_RUNNING, STATE_SAVED = 2, 6
_LEVEL = {Consistency.APPLICATION: 1}
_CRASH_LEVEL = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenCheckpoint:
    """A recovery checkpoint and how it came about."""

    checkpoint_id: str
    consistency: Consistency
    remarks: tuple[str, ...]


class CheckpointTaking:
    """One machine's checkpoint. ``keeps``: it is to become the reference point once its restore point is committed."""

    def __init__(
        self, host: HyperVHost, machine: MachineReply, journal: SourceJournal, patience: Patience, *, keeps: bool
    ) -> None:
        self._host = host
        self._machine = machine
        self._journal = journal
        self._patience = patience
        self._watch = Watch(host, machine.id, patience)
        self._keeps = keeps

    def take(self, plan: SnapshotPlan) -> TakenCheckpoint:
        """Take it as planned; a machine that is saved for it runs again when this returns.

        Raises EnvironmentTroubleError or BusyError; what is left then is in the journal.
        """
        if plan.method is not SnapshotMethod.SAVED_STATE:
            return self._with_fallback(plan)
        self._save()
        taken = self._with_fallback(plan)
        self._resume()
        return taken

    def _with_fallback(self, plan: SnapshotPlan) -> TakenCheckpoint:
        asked = plan.consistency_asked
        try:
            checkpoint = self._attempt(_LEVEL.get(asked, _CRASH_LEVEL))
        except JobFailedError as error:
            if asked is not Consistency.APPLICATION:
                raise
            if not crash_taken(plan):
                raise _refused_by_guest(error) from error
            self._remove_what_appeared()
            checkpoint = self._attempt(_CRASH_LEVEL)
            remark = f"The guest could not be made application-consistent; crash-consistent instead. {error.what}"
            return TakenCheckpoint(checkpoint_id=checkpoint, consistency=Consistency.CRASH, remarks=(remark,))
        return TakenCheckpoint(checkpoint_id=checkpoint, consistency=asked, remarks=())

    def _attempt(self, level: int) -> str:
        before = self._recovery_checkpoints()
        what = f"a recovery checkpoint of {self._machine.name}"
        self._journal.owe(DebtKind.CHECKPOINT, what, before=before, keeps=self._keeps)
        try:
            started = self._host.take_checkpoint(self._machine.id, consistency=level)
            finished = self._host.wait(started.job, self._patience.job_seconds)
            told = finished.id_of(RECOVERY_CHECKPOINT_CLASS) or started.checkpoint
        except (JobUnknownError, HostSilentError):
            told = ""
        checkpoint = told or self._the_only_new_one(before)
        self._journal.owe(DebtKind.CHECKPOINT, what, subject=checkpoint, before=before, keeps=self._keeps)
        return checkpoint

    def _the_only_new_one(self, before: tuple[str, ...]) -> str:
        """For a job that does not say what it made, or an answer that was lost."""
        self._watch.idle()
        new = appeared(before, self._recovery_checkpoints())
        if len(new) != 1:
            raise self._cannot_tell(f"The host does not say which checkpoint it took, and {len(new)} are new.")
        return new[0]

    def _remove_what_appeared(self) -> None:
        """A failed attempt should leave nothing. What it left is removed, if it can be nothing else."""
        debts = [debt for debt in self._journal.debts() if debt.kind is DebtKind.CHECKPOINT]
        self._watch.idle()
        new = appeared(debts[-1].before, self._recovery_checkpoints()) if debts else ()
        if len(new) > 1:
            raise self._cannot_tell(f"A checkpoint failed, and {len(new)} are new that it may have left.")
        for checkpoint in new:
            self._host.wait(self._host.destroy_checkpoint(self._machine.id, checkpoint).job, self._patience.job_seconds)
        self._watch.idle()

    def _cannot_tell(self, what: str) -> EnvironmentTroubleError:
        return EnvironmentTroubleError(
            what,
            where=f"{self._host.name}: {self._machine.name}",
            next_step="Let one backup program at a time work on the machine, then run the backup again.",
        )

    def _recovery_checkpoints(self) -> tuple[str, ...]:
        return tuple(one.id for one in self._watch.look().checkpoints if one.kind == "recovery")

    def _save(self) -> None:
        self._journal.owe(DebtKind.SAVED_STATE, f"{self._machine.name} is saved for a moment and is to run again")
        self._host.wait(self._host.set_state(self._machine.id, STATE_SAVED).job, self._patience.job_seconds)

    def _resume(self) -> None:
        self._host.wait(self._host.set_state(self._machine.id, STATE_RUNNING).job, self._patience.job_seconds)
        for debt in self._journal.debts():
            if debt.kind is DebtKind.SAVED_STATE:
                self._journal.done(debt, f"{self._machine.name} runs again")


def _refused_by_guest(error: HostRefusalError) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"The guest could not be made application-consistent, and the policy does not allow less. {error.what}",
        where=error.where,
        next_step="See the guest's VSS writers (`vssadmin list writers`), or allow crash consistency for the host.",
    )
