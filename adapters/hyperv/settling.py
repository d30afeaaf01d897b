"""Putting right what a run left on a host: a saved machine, a checkpoint, a conversion cut short, old reference points.

Everything is decided from the journal and from what the host holds now, so it does not matter whether the run that owes
it has just ended or was killed days ago. Each step may be done again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from adapters.hyperv.changes import mark_of
from adapters.hyperv.checkpoint_taking import STATE_RUNNING
from adapters.hyperv.errors import HostRefusalError, HostSilentError, JobUnknownError, NotOnHostError
from adapters.hyperv.host import REFERENCE_POINT_CLASS, HyperVHost
from adapters.hyperv.machine_facts import power_of
from adapters.hyperv.patience import Patience, Watch
from adapters.hyperv.reference_point_lists import held_points, tracked_disks
from adapters.hyperv.verb_schemas import FrozenDiskReply, MachineReply, StartedJob
from domain.errors import EnvironmentTroubleError
from domain.model.debts import Debt, DebtKind
from domain.model.reference_points import OwnReferencePoint, appeared, plan_reference_points
from domain.model.snapshot_method import PowerState
from domain.ports.source_journal import SourceJournal

_LOOKS_AT_POWER = 3
_ORDER = (DebtKind.SAVED_STATE, DebtKind.CONVERSION, DebtKind.CHECKPOINT)


class Settling:
    """The debts of one machine on one host."""

    def __init__(self, host: HyperVHost, machine_id: str, journal: SourceJournal, patience: Patience) -> None:
        self._host = host
        self._machine_id = machine_id
        self._journal = journal
        self._patience = patience
        self._watch = Watch(host, machine_id, patience)
        self._remarks: list[str] = []

    def settle(self) -> tuple[str, ...]:
        """Settle everything; an outage first. Returns what a person should know.

        Raises EnvironmentTroubleError, BusyError or NotOnHostError; what is not done then stays owed.
        """
        debts = sorted(self._journal.debts(), key=lambda debt: _ORDER.index(debt.kind))
        settle = {
            DebtKind.SAVED_STATE: self._resume,
            DebtKind.CONVERSION: self._after_conversion,
            DebtKind.CHECKPOINT: self._checkpoint,
        }
        for debt in debts:
            if debt in self._still_owed(debt):
                settle[debt.kind](debt)
        if debts or len(self._journal.reference_points()) > 1:
            self._reference_points()
        return tuple(self._remarks)

    def _still_owed(self, debt: Debt) -> Sequence[Debt]:
        """The debt itself, unless settling another one settled it."""
        return [one for one in self._journal.debts() if (one.run_id, one.kind) == (debt.run_id, debt.kind)]

    def _resume(self, debt: Debt) -> None:
        """The machine ran before. A save that was asked for may not show at once: a running one is looked at again."""
        power = power_of(self._watch.idle())
        for _ in range(_LOOKS_AT_POWER - 1):
            if power is not PowerState.RUNNING:
                break
            self._watch.pause()
            power = power_of(self._watch.idle())
        if power is PowerState.SAVED:
            self._carried_out(lambda: self._host.set_state(self._machine_id, STATE_RUNNING))
            if power_of(self._watch.idle()) is not PowerState.RUNNING:
                raise self._not_so("The host says that the machine was started, but it does not run.")
            self._journal.done(debt, "the machine runs again")
            self._remarks.append("The machine had been saved for a backup and runs again.")
        elif power is PowerState.RUNNING:
            self._journal.done(debt, "the machine runs")
        else:
            self._journal.done(debt, f"somebody changed its state: it is {power}")
            self._remarks.append(f"The machine had been saved for a backup; it is {power} now and was left as it is.")

    def _after_conversion(self, debt: Debt) -> None:
        """A conversion was begun. Its checkpoint is still there, or became the reference point that is new."""
        if debt.subject in _recovery_checkpoints(self._watch.idle()):
            self._journal.done(debt, "the checkpoint was not converted")
            return
        own = [point.reference_point_id for point in self._journal.reference_points()]
        new = appeared(debt.before, self._reference_point_ids(), own)
        if len(new) == 1:
            point = OwnReferencePoint(reference_point_id=new[0], mark=mark_of(debt.subject), disks=(), is_certain=False)
            self._journal.advanced(debt, point)
        elif new:
            self._remarks.append(
                f"A backup was cut short while its checkpoint became a reference point; {len(new)} are new on the "
                "host, and which one is Atesta's cannot be told. `atesta doctor` lists them."
            )
        self._journal.done(debt, "the conversion was over")

    def _checkpoint(self, debt: Debt) -> None:
        there = _recovery_checkpoints(self._watch.idle())
        mine = (debt.subject,) if debt.subject else appeared(debt.before, there)
        mine = tuple(one for one in mine if one in there)
        if len(mine) > 1:
            raise EnvironmentTroubleError(
                f"A backup was cut short while it took a checkpoint; {len(mine)} recovery checkpoints are new, and "
                "which one is Atesta's cannot be told.",
                where=f"{self._host.name}: {self._machine_id}: {', '.join(mine)}",
                next_step="Remove the ones that no backup program uses on the host, then run the backup again.",
            )
        if not mine:
            self._journal.done(debt, "no checkpoint is left")
            return
        if not (debt.keeps and debt.is_committed and self._is_converted(debt, mine[0])):
            self._destroy(mine[0])
        self._watch_merge()
        self._journal.done(debt, "the checkpoint is gone")

    def _is_converted(self, debt: Debt, checkpoint: str) -> bool:
        """Turn the checkpoint into a reference point. False when the host does not do it; then it is still there."""
        frozen = self._host.checkpoint_disks(self._machine_id, checkpoint)
        before = self._reference_point_ids()
        self._journal.owe_more(
            debt, DebtKind.CONVERSION, "the checkpoint becomes a reference point", subject=checkpoint, before=before
        )
        conversion = next(
            one for one in self._journal.debts() if (one.run_id, one.kind) == (debt.run_id, DebtKind.CONVERSION)
        )
        try:
            self._convert(debt, checkpoint, frozen, before)
        except (JobUnknownError, HostSilentError):
            self._after_conversion(conversion)
            return checkpoint not in _recovery_checkpoints(self._watch.look())
        except HostRefusalError as error:
            if checkpoint not in _recovery_checkpoints(self._watch.idle()):
                self._after_conversion(conversion)
                return True
            self._journal.done(conversion, f"the host refused: {error.what}")
            self._remarks.append(
                f"The checkpoint did not become a reference point, so the next backup reads everything. {error.what}"
            )
            return False
        self._journal.done(conversion, "the checkpoint became a reference point")
        return True

    def _convert(self, debt: Debt, checkpoint: str, frozen: Sequence[FrozenDiskReply], before: tuple[str, ...]) -> None:
        started = self._host.convert_checkpoint(self._machine_id, checkpoint)
        finished = self._host.wait(started.job, self._patience.job_seconds)
        told = started.reference_point or finished.id_of(REFERENCE_POINT_CLASS)
        held = self._host.reference_points(self._machine_id)
        if not told:
            new = appeared(before, [one.id for one in held])
            told = new[0] if len(new) == 1 else ""
        made = [one for one in held if one.id == told]
        if not made:
            self._remarks.append(
                "The host does not say which reference point it made; the next backup reads everything."
            )
            return
        disks = tracked_disks(made[0], frozen)
        point = OwnReferencePoint(reference_point_id=told, mark=mark_of(checkpoint), disks=disks)
        self._journal.advanced(debt, point)
        if len(disks) != len(frozen):
            self._remarks.append(
                f"The reference point tracks {len(disks)} of {len(frozen)} disks; of the others the next backup reads "
                "everything."
            )

    def _reference_points(self) -> None:
        """Keep the newest of Atesta's, destroy its others."""
        plan = plan_reference_points(self._journal.reference_points(), held_points(self._host, self._machine_id))
        for one in plan.destroy:
            with suppress(NotOnHostError):
                self._carried_out(partial(self._host.destroy_reference_point, self._machine_id, one))
            if one in self._reference_point_ids():
                raise self._not_so(f"The host says that the reference point {one} is destroyed, but it is still there.")
            self._journal.gone(one, "superseded and destroyed")
        # The newest one of all stays known even when it is lost: that is what the next backup says then.
        for one in plan.gone if plan.keep else plan.gone[:-1]:
            self._journal.gone(one, "not on the host any more")
        if plan.foreign:
            self._remarks.append(
                f"The host holds {len(plan.foreign)} reference points of this machine that are not Atesta's; another "
                "backup program's, or left over. `atesta doctor` lists them."
            )

    def _destroy(self, checkpoint: str) -> None:
        try:
            self._carried_out(lambda: self._host.destroy_checkpoint(self._machine_id, checkpoint))
        except NotOnHostError:
            return
        if checkpoint in _recovery_checkpoints(self._watch.idle()):
            raise self._not_so(f"The host says that the checkpoint {checkpoint} is removed, but it is still there.")

    def _watch_merge(self) -> None:
        if not self._watch.merged():
            self._remarks.append("The host is still merging the machine's disks; the next backup waits for it.")

    def _carried_out(self, call: Callable[[], StartedJob]) -> None:
        """Have the host do something. When its answer is lost, what became of it is for the caller to look up."""
        try:
            self._host.wait(call().job, self._patience.job_seconds)
        except (JobUnknownError, HostSilentError):
            self._watch.idle()

    def _not_so(self, what: str) -> EnvironmentTroubleError:
        return EnvironmentTroubleError(
            what,
            where=f"{self._host.name}: {self._machine_id}",
            next_step="Look at the machine on the host; the next start tries again.",
        )

    def _reference_point_ids(self) -> tuple[str, ...]:
        return tuple(one.id for one in self._host.reference_points(self._machine_id))


def _recovery_checkpoints(reply: MachineReply) -> tuple[str, ...]:
    return tuple(one.id for one in reply.checkpoints if one.kind == "recovery")
