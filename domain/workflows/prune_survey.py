"""Looking at a repository before a prune: which chunks are live, and so what to do with each pack."""

from __future__ import annotations

from dataclasses import dataclass

from domain.model.prune_plan import PackUse, PrunePlan, PrunePolicy, plan_prune
from domain.ports.chunk_index import ChunkIndex, IndexedPack
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.live_marking import LiveMarking
from domain.workflows.live_points import LivePoints
from domain.workflows.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """The plan, how many points are live as of event ``as_of``, and the marks that it was made from."""

    plan: PrunePlan
    points: int
    as_of: int
    marking: LiveMarking


def survey(vault: Vault, index: ChunkIndex, live: LivePoints, policy: PrunePolicy, progress: Progress) -> Survey:
    """Mark what is live as of the history that ``live`` has, and plan.

    The index catches up after the history, so it has a place for everything that the points need. Raises
    DamagedDataError when a point's maps cannot be read.
    """
    as_of = live.history.position
    young_from = min(as_of, live.oldest_run())
    points = live.unseen()
    index.catch_up()
    packs = list(index.packs())
    marking = LiveMarking(ChunkReader(vault, index), index, packs, progress)
    progress.begin("looking at restore points", None)
    marking.mark(points)
    progress.end()
    damaged = _spoilt_packs(index, marking)
    uses = [_use(pack, marking, row, young_from, damaged) for row, pack in enumerate(packs)]
    return Survey(plan=plan_prune(uses, policy), points=len(points.committed), as_of=as_of, marking=marking)


def _spoilt_packs(index: ChunkIndex, marking: LiveMarking) -> set[int]:
    """The numbers of damaged packs of which no damaged chunk is live: what is live in them can be moved away."""
    found: set[int] = set()
    for pack in index.damaged_packs():
        _, ordinals = index.places(b"".join(index.damaged_in(pack.number)))
        if not set(ordinals.tolist()) & set(marking.marks.live_ordinals(pack.number).tolist()):
            found.add(pack.number)
    return found


def _use(pack: IndexedPack, marking: LiveMarking, row: int, young_from: int, damaged: set[int]) -> PackUse:
    return PackUse(
        number=pack.number,
        pack_id=pack.pack_id,
        kind=pack.kind,
        pack_bytes=pack.pack_bytes,
        chunks=pack.chunks,
        live_chunks=int(marking.marks.live_chunks[row]),
        plain_bytes=pack.plain_bytes,
        live_plain_bytes=int(marking.marks.live_plain_bytes[row]),
        retired=pack.retired_at > 0,
        young=pack.number > young_from and not pack.retired_at,
        damaged=pack.number in damaged,
    )
