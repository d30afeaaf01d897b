"""Which way a machine is held still: a table by meaning, and what holds for any facts and any policy."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInputError, BusyError
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.snapshot_method import (
    BUILD_2016,
    Condition,
    Finding,
    MachineFacts,
    PowerState,
    SnapshotPolicy,
    choose_snapshot_method,
    crash_taken,
    examine_conditions,
)

CHILD, SAVED, STOPPED = SnapshotMethod.CHILD_VM_SNAPSHOT, SnapshotMethod.SAVED_STATE, SnapshotMethod.STOPPED_MACHINE
APPLICATION, CRASH = Consistency.APPLICATION, Consistency.CRASH

SOUND = MachineFacts(power=PowerState.RUNNING, vss_trouble="", dynamic_disks=(), stray_disks=(), host_build=BUILD_2016)
NO_VSS = replace(SOUND, vss_trouble="the guest does not answer")
DYNAMIC = replace(SOUND, dynamic_disks=("data.vhdx",))
UNSEEN = replace(SOUND, dynamic_disks=None)
STRAY = replace(SOUND, stray_disks=("data.vhdx",))
STRAY_2012 = replace(STRAY, host_build=9600)
STRICT = SnapshotPolicy(saved_state_allowed=False, crash_allowed=False)
LENIENT = SnapshotPolicy(saved_state_allowed=False, crash_allowed=True)
OUTAGE = SnapshotPolicy(saved_state_allowed=True, crash_allowed=False)
CRASH_ASKED = SnapshotPolicy(consistency_asked=CRASH, crash_allowed=False)

CHOICES = {
    "all conditions met": (SOUND, STRICT, CHILD, APPLICATION, ()),
    "partition tables not seen yet": (UNSEEN, STRICT, CHILD, APPLICATION, ()),
    "stray snapshot files are a warning from 2016 on": (STRAY, STRICT, CHILD, APPLICATION, ()),
    "no VSS, an outage is allowed": (NO_VSS, OUTAGE, SAVED, CRASH, ("VSS integration",)),
    "no VSS, crash consistency is allowed": (NO_VSS, LENIENT, CHILD, CRASH, ("VSS integration",)),
    "no VSS does not matter when crash consistency was asked for": (NO_VSS, CRASH_ASKED, CHILD, CRASH, ()),
    "a dynamic disk, an outage is allowed": (DYNAMIC, OUTAGE, SAVED, CRASH, ("basic disks",)),
    "a dynamic disk, crash consistency is allowed": (DYNAMIC, LENIENT, CHILD, CRASH, ("basic disks",)),
    "stray snapshot files on 2012 R2, an outage is allowed": (
        STRAY_2012,
        OUTAGE,
        SAVED,
        CRASH,
        ("snapshot files on the disks' volume",),
    ),
    "off": (replace(NO_VSS, power=PowerState.OFF), STRICT, STOPPED, CRASH, ("machine running",)),
    "saved by somebody": (replace(SOUND, power=PowerState.SAVED), OUTAGE, STOPPED, CRASH, ("machine running",)),
    "paused": (replace(SOUND, power=PowerState.PAUSED), OUTAGE, STOPPED, CRASH, ("machine running",)),
}


@pytest.mark.parametrize("name", CHOICES)
def test_the_method_that_is_chosen(name: str) -> None:
    facts, policy, method, consistency, failed = CHOICES[name]

    plan = choose_snapshot_method(facts, policy)

    assert (plan.method, plan.consistency_asked) == (method, consistency)
    assert [told.split(":")[0] for told in plan.failed_conditions] == list(failed)
    assert plan.reason.endswith(".")


REFUSALS = {
    "no VSS and nothing allowed": (NO_VSS, STRICT, "VSS integration"),
    "a dynamic disk and nothing allowed": (DYNAMIC, STRICT, "data.vhdx is a dynamic disk"),
    "2012 R2 with stray files cannot be read online at all": (STRAY_2012, LENIENT, "another volume"),
}


@pytest.mark.parametrize("name", REFUSALS)
def test_where_nothing_is_allowed_the_guest_level_is_named_with_what_failed(name: str) -> None:
    facts, policy, told = REFUSALS[name]

    with pytest.raises(BadInputError, match=told) as caught:
        choose_snapshot_method(facts, policy)

    assert "does not do that yet" in caught.value.what
    assert "VSS over WinRM" in caught.value.what


def test_a_machine_that_changes_its_state_is_waited_for() -> None:
    with pytest.raises(BusyError):
        choose_snapshot_method(replace(SOUND, power=PowerState.CHANGING), OUTAGE)


def test_a_warning_stands_in_the_reason() -> None:
    assert "another volume" in choose_snapshot_method(STRAY, STRICT).reason


def test_every_failed_condition_is_named_not_only_the_first() -> None:
    plan = choose_snapshot_method(replace(NO_VSS, dynamic_disks=("a", "b")), OUTAGE)

    assert plan.failed_conditions == (
        "VSS integration: the guest does not answer",
        "basic disks: a, b are dynamic disks",
    )


any_facts = st.builds(
    MachineFacts,
    power=st.sampled_from(PowerState),
    vss_trouble=st.sampled_from(["", "no contact"]),
    dynamic_disks=st.sampled_from([None, (), ("a",)]),
    stray_disks=st.sampled_from([(), ("b",)]),
    host_build=st.sampled_from([9600, BUILD_2016, 26100]),
)
any_policy = st.builds(
    SnapshotPolicy,
    saved_state_allowed=st.booleans(),
    crash_allowed=st.booleans(),
    consistency_asked=st.sampled_from([APPLICATION, CRASH]),
)


@given(facts=any_facts, policy=any_policy)
def test_what_policy_does_not_allow_is_never_done(facts: MachineFacts, policy: SnapshotPolicy) -> None:
    try:
        plan = choose_snapshot_method(facts, policy)
    except (BadInputError, BusyError):
        return
    if plan.method is SAVED:
        assert policy.saved_state_allowed
        assert facts.power is PowerState.RUNNING
    if plan.method is CHILD and policy.consistency_asked is APPLICATION and not policy.crash_allowed:
        assert plan.consistency_asked is APPLICATION
        assert not crash_taken(plan)
    if policy.consistency_asked is APPLICATION and plan.consistency_asked is not APPLICATION:
        assert plan.failed_conditions, "never silently"


@given(facts=any_facts)
def test_each_condition_is_reported_once_and_says_why_it_is_not_met(facts: MachineFacts) -> None:
    reports = examine_conditions(facts)

    assert [report.condition for report in reports] == list(Condition)
    assert all((report.finding is Finding.MET) == (report.reason == "") for report in reports)


@given(facts=any_facts, policy=any_policy)
def test_more_allowance_never_refuses_what_less_granted(facts: MachineFacts, policy: SnapshotPolicy) -> None:
    try:
        choose_snapshot_method(facts, policy)
    except (BadInputError, BusyError):
        return
    choose_snapshot_method(facts, replace(policy, saved_state_allowed=True, crash_allowed=True))
