"""The machine source over one Hyper-V host: recovery checkpoints, their disks over SMB, changes by RCT."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import PureWindowsPath

import msgspec

from adapters.disk_over import DiskOver
from adapters.hyperv.changes import TrackedChanges, mark_of
from adapters.hyperv.checkpoint_taking import CheckpointTaking, TakenCheckpoint
from adapters.hyperv.frozen import FrozenHyperVMachine, dynamic_disks, in_machine_order
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.machine_facts import facts_of, tracks_changes
from adapters.hyperv.patience import Patience, Watch
from adapters.hyperv.reference_point_lists import held_points
from adapters.hyperv.settling import Settling
from adapters.hyperv.verb_schemas import DiskReply, FrozenDiskReply, MachineReply
from domain.errors import BadInputError
from domain.model.machines import ConfigurationFile, Machine
from domain.model.protection import Consistency, SnapshotMethod, SnapshotPlan
from domain.model.reference_points import Baseline, HeldReferencePoint, baseline_for
from domain.model.snapshot_method import Condition, SnapshotPolicy, choose_snapshot_method
from domain.ports.changes import ChangeTracking
from domain.ports.disks import FrozenDisk
from domain.ports.source import FrozenMachine
from domain.ports.source_journal import SourceJournal

_CONFIGURATION_BYTES_MAX = 64 << 20
_DESCRIPTION = "hyper-v.json"
_METHODS = frozenset({SnapshotMethod.CHILD_VM_SNAPSHOT, SnapshotMethod.SAVED_STATE, SnapshotMethod.STOPPED_MACHINE})


class HyperVMachines:
    """The machines of ``host`` that ``wants`` lets through, described by ``describe``.

    ``open_files`` gives the way to the host's files for one backup.
    """

    def __init__(
        self,
        host: HyperVHost,
        open_files: Callable[[], HostFiles],
        describe: Callable[[MachineReply], Machine],
        *,
        policy: SnapshotPolicy,
        wants: Callable[[Machine], bool] = lambda _: True,
        patience: Patience | None = None,
    ) -> None:
        self._host = host
        self._open_files = open_files
        self._describe = describe
        self._policy = policy
        self._wants = wants
        self._patience = patience or Patience()

    def machines(self) -> Sequence[Machine]:
        """The host's machines, as the port says."""
        listed = (self._describe(reply) for reply in self._host.list_machines())
        return sorted(filter(self._wants, listed), key=lambda machine: (machine.name, machine.machine_id))

    def plan(self, machine: Machine) -> SnapshotPlan:
        """Examine the conditions of Child VM Snapshot and choose, once the host leaves the machine alone."""
        reply = Watch(self._host, machine.machine_id, self._patience).idle()
        return choose_snapshot_method(facts_of(reply, self._host.host_facts()), self._policy)

    def frozen(
        self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal
    ) -> AbstractContextManager[FrozenMachine]:
        """Take a recovery checkpoint and open its disks; ``settle`` removes it or makes it the reference point."""
        if plan.method not in _METHODS:
            raise BadInputError(
                f"A machine of a host cannot be frozen with the method {plan.method.value!r}.",
                where=self._host.name,
                next_step="Plan the backup with the source that the machine comes from.",
            )
        return self._frozen(machine, plan, journal)

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:
        """Put right what is owed, as the port says; the host is not asked when nothing is."""
        return Settling(self._host, machine_id, journal, self._patience).settle()

    @contextmanager
    def _frozen(self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal) -> Iterator[FrozenMachine]:
        reply = Watch(self._host, machine.machine_id, self._patience).idle()
        keeps = tracks_changes(reply, self._host.host_facts())
        taken = CheckpointTaking(self._host, reply, journal, self._patience, keeps=keeps).take(plan)
        with ExitStack() as stack:
            files = stack.enter_context(self._open_files())
            pairs = in_machine_order(reply, self._frozen_files(reply, taken), self._where(reply))
            disks = [self._opened(files, stack, live, held) for live, held in pairs]
            consistency, found = self._with_partition_tables(plan, taken, pairs, disks)
            tracking = _Tracking(self._host, reply, taken.checkpoint_id, journal)
            yield FrozenHyperVMachine(
                machine=self._describe(reply),
                consistency_reached=consistency,
                said=(*plan.failed_conditions, *taken.remarks, *found),
                files=files,
                disks=tuple(disks),
                change_tracking=tuple(
                    tracking.of(held, disk) if keeps else None for (_, held), disk in zip(pairs, disks, strict=True)
                ),
                configuration_files=self._configuration(files, reply, taken),
            )

    def _frozen_files(self, reply: MachineReply, taken: TakenCheckpoint) -> Sequence[FrozenDiskReply]:
        return self._host.checkpoint_disks(reply.id, taken.checkpoint_id)

    def _opened(self, files: HostFiles, stack: ExitStack, live: DiskReply, held: FrozenDiskReply) -> FrozenDisk:
        disk = files.disk(held.path)
        stack.callback(disk.close)
        return DiskOver(disk, (held.disk_id or live.disk_id).lower().strip("{}") or disk.disk_id)

    def _with_partition_tables(
        self,
        plan: SnapshotPlan,
        taken: TakenCheckpoint,
        pairs: Sequence[tuple[DiskReply, FrozenDiskReply]],
        disks: Sequence[FrozenDisk],
    ) -> tuple[Consistency, tuple[str, ...]]:
        """The condition that could not be looked at before: dynamic disks are not more than crash-consistent."""
        if taken.consistency is not Consistency.APPLICATION:
            return taken.consistency, ()
        names = [PureWindowsPath(live.path).name for live, _ in pairs]
        dynamic = dynamic_disks(list(zip(names, disks, strict=True)))
        if not dynamic:
            return taken.consistency, ()
        told = f"{Condition.BASIC_DISKS}: {', '.join(dynamic)} belong to the guest's volume manager (dynamic disks)"
        if not plan.crash_allowed:
            raise BadInputError(
                f"{told}; that is crash-consistent at best, and the policy does not allow it.",
                where=self._host.name,
                next_step="Allow crash consistency for the host, or convert the guest's disks to basic ones.",
            )
        return Consistency.CRASH, (told,)

    def _configuration(
        self, files: HostFiles, reply: MachineReply, taken: TakenCheckpoint
    ) -> tuple[ConfigurationFile, ...]:
        """The host's files as they are, and the machine as the host lists it."""
        found = {
            PureWindowsPath(file.name).name: files.content(file.path, _CONFIGURATION_BYTES_MAX)
            for file in self._host.configuration_files(reply.id, taken.checkpoint_id)
        }
        found[_DESCRIPTION] = msgspec.json.format(msgspec.json.encode(reply, enc_hook=str), indent=1)
        return tuple(ConfigurationFile(name=name, content=content) for name, content in found.items())

    def _where(self, reply: MachineReply) -> str:
        return f"{self._host.name}: {reply.name}"


class _Tracking:
    """The change tracking of one machine's frozen disks; the host's reference points are asked for once."""

    def __init__(self, host: HyperVHost, reply: MachineReply, checkpoint: str, journal: SourceJournal) -> None:
        self._host = host
        self._machine_id = reply.id
        self._tracked = {disk.disk_id.casefold(): bool(disk.rct_id) for disk in reply.disks}
        self._mark = mark_of(checkpoint)
        self._journal = journal
        self._held: tuple[HeldReferencePoint, ...] | None = None

    def of(self, held: FrozenDiskReply, disk: FrozenDisk) -> ChangeTracking:
        """The tracking of one disk."""
        baseline = partial(self._baseline, held.disk_id)
        return TrackedChanges(self._host, held.path, disk.size_bytes, self._mark, baseline)

    def _baseline(self, disk_id: str, mark: str) -> Baseline:
        if self._held is None:
            self._held = held_points(self._host, self._machine_id)
        return baseline_for(
            disk_id,
            mark,
            self._journal.reference_points(),
            self._held,
            is_tracked=self._tracked.get(disk_id.casefold(), False),
        )
