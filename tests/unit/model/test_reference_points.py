"""Where changes are counted from, and what becomes of reference points: tables by meaning, and properties."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.reference_points import (
    Baseline,
    FullCause,
    HeldDisk,
    HeldReferencePoint,
    OwnReferencePoint,
    TrackedDisk,
    appeared,
    baseline_for,
    plan_reference_points,
)

DISK = "8f7c0c5e-0000-4000-8000-000000000001"


def own(one: str = "r1", mark: str = "m1", *, certain: bool = True, disk_id: str = DISK) -> OwnReferencePoint:
    disks = (TrackedDisk(disk_id=disk_id, storage_id="place 1", tracking_id="rct-1"),)
    return OwnReferencePoint(reference_point_id=one, mark=mark, disks=disks, is_certain=certain)


def held(
    one: str = "r1", *, whole: bool = True, tracking_id: str = "rct-1", storage_id: str = "place 1"
) -> HeldReferencePoint:
    disks = (HeldDisk(storage_id=storage_id, tracking_id=tracking_id),)
    return HeldReferencePoint(reference_point_id=one, disks=disks, is_whole=whole)


CAUSES = {
    "no mark in the parent": ("", [own()], [held()], FullCause.NO_BASELINE),
    "nothing was converted for this mark": ("m0", [own()], [held()], FullCause.NO_BASELINE),
    "the host lost it": ("m1", [own()], [held("r9")], FullCause.LOST),
    "the host lists none": ("m1", [own()], [], FullCause.LOST),
    "a kill left it open": ("m1", [own(certain=False)], [held()], FullCause.UNCERTAIN),
    "the parallel lists differ": ("m1", [own()], [held(whole=False)], FullCause.MISMATCHED),
    "the disk has a new GUID": ("m1", [own(disk_id="other")], [held()], FullCause.NEW_DISK),
    "the host has no tracking id": ("m1", [own()], [held(tracking_id="")], FullCause.ID_CHANGED),
    "the host lists another place": ("m1", [own()], [held(storage_id="place 2")], FullCause.ID_CHANGED),
    "the tracking id is another one": ("m1", [own()], [held(tracking_id="rct-2")], FullCause.ID_CHANGED),
}


@pytest.mark.parametrize("name", CAUSES)
def test_why_everything_is_read(name: str) -> None:
    mark, ours, on_host, cause = CAUSES[name]

    assert baseline_for(DISK, mark, ours, on_host) == Baseline(cause=cause)


def test_the_baseline_is_the_tracking_id_that_both_sides_know() -> None:
    assert baseline_for(DISK.upper(), "m1", [own()], [held()]).tracking_id == "rct-1"


def test_a_disk_whose_tracking_went_off_was_restored_or_reverted() -> None:
    found = baseline_for(DISK, "m1", [own()], [held()], is_tracked=False)

    assert found.cause is FullCause.UNTRACKED


def test_a_later_reference_point_is_no_baseline_for_an_earlier_restore_point() -> None:
    """The newest restore point was expired by hand: what changed before it would be missing."""
    found = baseline_for(DISK, "m1", [own("r1", "m1"), own("r2", "m2")], [held("r2")])

    assert found.cause is FullCause.LOST


def test_the_newest_stays_the_older_ones_go_the_foreign_ones_are_reported() -> None:
    plan = plan_reference_points([own("r1"), own("r2"), own("r3")], [held("x"), held("r3"), held("r1")])

    assert (plan.keep, plan.destroy, plan.gone, plan.foreign) == ("r3", ("r1",), ("r2",), ("x",))


def test_without_the_newest_on_the_host_the_next_one_stays() -> None:
    plan = plan_reference_points([own("r1"), own("r2")], [held("r1")])

    assert (plan.keep, plan.destroy, plan.gone) == ("r1", (), ("r2",))


def test_what_a_killed_run_made_is_what_was_not_there_before_and_is_not_known() -> None:
    assert appeared(["a"], ["a", "b", "c"], own=["c"]) == ("b",)


names = st.lists(st.sampled_from("abcdefgh"), max_size=8, unique=True)


@given(ours=names, on_host=names)
def test_at_most_one_of_ours_stays_and_nothing_foreign_is_destroyed(ours: list[str], on_host: list[str]) -> None:
    plan = plan_reference_points([own(one) for one in ours], [held(one) for one in on_host])

    left = set(on_host) - set(plan.destroy)
    assert set(plan.destroy) <= set(ours) & set(on_host)
    assert left & set(ours) == ({plan.keep} if plan.keep else set())
    assert set(plan.foreign) == set(on_host) - set(ours)
    again = plan_reference_points([own(one) for one in ours], [held(one) for one in left])
    assert again.destroy == ()


@given(
    mark=st.sampled_from(["", "m1", "m2"]),
    ours=st.lists(st.builds(own, st.sampled_from(["r1", "r2"]), st.sampled_from(["m1", "m2"])), max_size=3),
    on_host=st.lists(st.builds(held, st.sampled_from(["r1", "r2"]), whole=st.booleans()), max_size=3),
)
def test_a_baseline_is_only_given_when_host_and_history_agree(
    mark: str, ours: list[OwnReferencePoint], on_host: list[HeldReferencePoint]
) -> None:
    found = baseline_for(DISK, mark, ours, on_host)

    assert (found.cause is None) == (found.tracking_id != "")
    if found.cause is None:
        named = {point.reference_point_id for point in ours if point.mark == mark}
        assert any(one.reference_point_id in named and one.is_whole for one in on_host)
