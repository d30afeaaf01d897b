"""Any history of a machine on a host: writes, backups, kills, misbehaviour, others. Points stay right, hosts clean."""

from __future__ import annotations

import random
import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from domain.errors import AtestaError
from domain.model.snapshot_method import SnapshotPolicy
from tests.crashes.test_hyperv_cuts import CutCaller
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.repository import opened
from tests.doubles.standin_source import source_of_host
from tests.standin.machine import VSS_SERVICE, State
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import HostModel

SIZE = 128 << 10
ONCE = sorted(set(Misbehaviour) - {Misbehaviour.JOB_HANGS, Misbehaviour.MERGE_FAILS})


class HostHistory(RuleBasedStateMachine):
    """One machine on one host, and a repository that is opened anew for each command."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = HostModel(self.folder / "host")
        self.vm = self.model.add_machine("web", [random.Random(1).randbytes(SIZE)])
        self.should_run = True
        self.dice = random.Random(2)
        self.expected: list[bytes] = []

    @initialize()
    def first_backup(self) -> None:
        self.backup(None, after=False)

    @precondition(lambda self: self.vm.state is State.RUNNING)
    @rule(block=st.integers(0, SIZE // 4096 - 1))
    def guest_writes(self, block: int) -> None:
        self.vm.write(0, block * 4096, self.dice.randbytes(4096))

    @rule(step=st.one_of(st.none(), st.integers(0, 60)), after=st.booleans())
    def backup(self, step: int | None, after: bool) -> None:
        """A backup, which may be killed before or after any step."""
        content = self.vm.content()
        cut = Cut(step, after=after)
        with opened(self.folder / "repository", cut=cut) as repository:
            source = source_of_host(
                self.model,
                policy=SnapshotPolicy(saved_state_allowed=True),
                caller=CutCaller(self.model, cut),
                idle_seconds=30,
                merge_seconds=4,
            )
            try:
                (machine,) = source.machines()
                repository.workflow().back_up(source, machine)
            except (PowerCutError, AtestaError):
                pass
        self._count_points(content)

    def _count_points(self, content: bytes) -> None:
        with opened(self.folder / "repository") as repository:
            points = repository.points()
            if len(points) == len(self.expected) + 1:
                self.expected.append(content)
                assert repository.restored(points[-1]) == [content]
            assert len(points) == len(self.expected)

    @rule(what=st.sampled_from(ONCE))
    def host_misbehaves_once(self, what: Misbehaviour) -> None:
        self.model.misbehave(what, times=1)

    @rule()
    def reference_points_are_lost(self) -> None:
        self.model.advance(5)
        self.model.lose_reference_points(self.vm)

    @rule()
    def guest_stops_or_starts_answering_vss(self) -> None:
        service = self.vm.service(VSS_SERVICE)
        service.enabled = not service.enabled

    @precondition(lambda self: not self.vm.merge_ticks_left and not self.vm.activities)
    @rule()
    def host_reboots(self) -> None:
        self.model.reboot()

    @rule(seconds=st.integers(1, 20))
    def time_passes(self, seconds: int) -> None:
        self.model.advance(seconds)

    def teardown(self) -> None:
        try:
            self.model.behave()
            self.model.advance(20)
            with opened(self.folder / "repository") as repository:
                source = source_of_host(self.model)
                remarks = repository.workflow().settle_owed(source)
                assert not any("ALARM" in remark for remark in remarks), remarks
                self.model.advance(20)
                assert self.model.leftovers() == []
                assert self.vm.state is State.RUNNING
                repository.catalog.catch_up()
                assert repository.catalog.owing() == []
                assert [repository.restored(point) for point in repository.points()] == [[x] for x in self.expected]
        finally:
            shutil.rmtree(self.folder)


HostHistory.TestCase.settings = settings(
    max_examples=10, stateful_step_count=8, deadline=None, suppress_health_check=list(HealthCheck)
)
TestHostHistory = HostHistory.TestCase
