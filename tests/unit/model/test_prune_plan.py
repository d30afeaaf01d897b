"""What is decided about each pack."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from domain.model.prune_plan import PackUse, PrunePolicy, plan_prune

MEBIBYTE = 1 << 20


def use(number: int, live: int, **changes: int | bool) -> PackUse:
    """A pack of 32 MiB with 100 chunks, ``live`` of which are."""
    plain = PackUse(
        number=number,
        pack_id=bytes([number % 256]) * 32,
        kind=1,
        pack_bytes=32 * MEBIBYTE,
        chunks=100,
        live_chunks=live,
        plain_bytes=64 * MEBIBYTE,
        live_plain_bytes=64 * MEBIBYTE * live // 100,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_packs_are_kept_rewritten_or_retired_by_what_is_live_in_them() -> None:
    full, enough, thin, dead = use(1, 100), use(2, 71), use(3, 69), use(4, 0)

    plan = plan_prune([dead, thin, enough, full], PrunePolicy(repack_below_percent=70))

    assert (plan.repack, plan.retire, plan.packs_kept) == ((thin,), (dead,), 2)
    assert plan.dead_bytes == dead.pack_bytes + (thin.pack_bytes - thin.live_bytes) + (
        enough.pack_bytes - enough.live_bytes
    )
    assert plan.freed_bytes == dead.pack_bytes + thin.pack_bytes - thin.live_bytes
    assert plan.rewritten_bytes == thin.live_bytes


def test_a_pack_whose_damage_concerns_nobody_is_rewritten_however_much_of_it_is_live_unless_it_is_young() -> None:
    damaged, young = use(1, 99, damaged=True), use(2, 99, damaged=True, young=True)

    plan = plan_prune([damaged, young, use(3, 99)], PrunePolicy(repack_below_percent=0))

    assert plan.repack == (damaged,)


def test_a_threshold_of_nothing_rewrites_nothing_and_one_of_all_rewrites_what_is_not_all_live() -> None:
    uses = [use(1, 1), use(2, 99), use(3, 100)]

    assert plan_prune(uses, PrunePolicy(repack_below_percent=0)).repack == ()
    assert plan_prune(uses, PrunePolicy(repack_below_percent=100)).repack == tuple(uses[:2])


def test_a_young_pack_is_left_alone_whatever_is_live_in_it() -> None:
    plan = plan_prune([use(1, 0, young=True), use(2, 5, young=True)], PrunePolicy())

    assert (plan.retire, plan.repack, plan.packs_kept, plan.dead_bytes) == ((), (), 2, 0)


def test_a_retired_pack_is_reinstated_when_it_is_needed_and_else_goes() -> None:
    needed, dead = use(1, 1, retired=True), use(2, 0, retired=True)

    plan = plan_prune([needed, dead], PrunePolicy())

    assert (plan.reinstate, plan.delete, plan.repack, plan.retire) == ((needed,), (dead,), (), ())
    assert plan.freed_bytes == dead.pack_bytes


def test_many_small_packs_of_one_kind_are_merged_oldest_first_and_not_too_many_at_once() -> None:
    small = [use(number, 100, pack_bytes=MEBIBYTE) for number in range(1, 9)]
    of_maps = [use(number, 100, pack_bytes=MEBIBYTE, kind=2) for number in range(20, 23)]
    policy = PrunePolicy(small_packs_min=4, small_packs_max=6)

    assert plan_prune([*small, *of_maps], policy).repack == tuple(small[:6])
    assert plan_prune(small[:3], policy).repack == ()


@given(
    packs=st.lists(
        st.tuples(st.integers(0, 100), st.integers(1, 40), st.integers(1, 2), st.booleans(), st.booleans()), max_size=40
    ),
    below=st.floats(0, 100),
)
def test_every_pack_gets_exactly_one_decision_and_none_that_is_live_goes(
    packs: list[tuple[int, int, int, bool, bool]], below: float
) -> None:
    uses = [
        use(number, live, pack_bytes=size * MEBIBYTE, kind=kind, retired=retired, young=young and not retired)
        for number, (live, size, kind, retired, young) in enumerate(packs)
    ]

    plan = plan_prune(uses, PrunePolicy(repack_below_percent=below, small_packs_min=3))

    decided = [*plan.reinstate, *plan.delete, *plan.retire, *plan.repack]
    assert len(decided) == len({one.number for one in decided})
    kept = [one for one in uses if one not in decided]
    assert len(kept) + len(plan.reinstate) == plan.packs_kept
    assert all(one.live_chunks == 0 and not one.young for one in (*plan.delete, *plan.retire))
    assert all(one.live_chunks and not one.young and not one.retired for one in plan.repack)
    assert 0 <= plan.freed_bytes <= plan.stored_bytes
    assert plan.dead_bytes <= plan.stored_bytes
