"""Several sources as one: each machine belongs to the source that listed it, and one in trouble hides no other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import pytest

from adapters.sources import JoinedSources
from domain.errors import AtestaError, BadInputError, EnvironmentTroubleError
from domain.model.machines import Machine
from domain.model.protection import Consistency, SnapshotMethod, SnapshotPlan
from domain.ports.source_journal import SourceJournal
from tests.doubles.journals import MemoryJournal
from tests.doubles.scripted_source import machine_with


class ListedSource:
    """Lists what it is given, or is in trouble; says its name in the reason of its plans."""

    def __init__(self, name: str, machines: Sequence[Machine] = (), trouble: AtestaError | None = None) -> None:
        self.name = name
        self.listed = machines
        self.trouble = trouble

    def machines(self) -> Sequence[Machine]:
        if self.trouble is not None:
            raise self.trouble
        return self.listed

    def plan(self, machine: Machine) -> SnapshotPlan:
        return SnapshotPlan(method=SnapshotMethod.EXPORTED_FILES, reason=self.name, consistency_asked=Consistency.CRASH)

    def frozen(self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal) -> AbstractContextManager[Any]:
        return nullcontext(self.name)

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:
        return (f"{self.name} settled",)


WEB, SQL = machine_with([], name="web"), machine_with([], name="sql")
DOWN = EnvironmentTroubleError("The host does not answer.", where="hv2")


def test_machines_of_all_sources_are_listed_by_name() -> None:
    joined = JoinedSources([ListedSource("a", [WEB]), ListedSource("b", [SQL])])
    assert [machine.name for machine in joined.machines()] == ["sql", "web"]
    assert joined.troubles == ()


def test_each_machine_is_planned_frozen_and_settled_by_its_source() -> None:
    joined = JoinedSources([ListedSource("a", [WEB]), ListedSource("b", [SQL])])
    joined.machines()
    plan = joined.plan(SQL)
    assert plan.reason == "b"
    with joined.frozen(SQL, plan, MemoryJournal()) as frozen:
        assert str(frozen) == "b"
    assert "b settled" in joined.settle(SQL.machine_id, MemoryJournal())


def test_a_source_in_trouble_hides_no_other_and_is_told() -> None:
    joined = JoinedSources([ListedSource("a", [WEB]), ListedSource("b", trouble=DOWN)])
    assert joined.machines() == [WEB]
    assert joined.troubles == (DOWN,)


def test_trouble_that_passed_is_not_told_again() -> None:
    source = ListedSource("b", [SQL], trouble=DOWN)
    joined = JoinedSources([ListedSource("a", [WEB]), source])
    joined.machines()
    source.trouble = None
    assert len(joined.machines()) == 2
    assert joined.troubles == ()


def test_when_no_source_can_be_listed_the_first_trouble_is_raised() -> None:
    with pytest.raises(EnvironmentTroubleError, match="does not answer"):
        JoinedSources([ListedSource("a", trouble=DOWN), ListedSource("b", trouble=DOWN)]).machines()


def test_a_machine_that_nobody_listed_is_refused() -> None:
    with pytest.raises(BadInputError):
        JoinedSources([ListedSource("a", [WEB])]).plan(SQL)


def test_sources_are_asked_at_once() -> None:
    """Each waits for the other: one after the other they would wait for ever."""
    both = threading.Barrier(2)

    class MeetingSource(ListedSource):
        def machines(self) -> Sequence[Machine]:
            both.wait(60)
            return self.listed

    assert len(JoinedSources([MeetingSource("a", [WEB]), MeetingSource("b", [SQL])]).machines()) == 2
