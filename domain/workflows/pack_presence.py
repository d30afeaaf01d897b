"""Whether the store still has the packs that the history names, before a backup relies on them.

A backup refers to chunks by their ids and reads none of those that are stored already, so a pack that somebody deleted
or cut short would be noticed only when a point is restored. One listing of the store is compared with the packs of the
index when a run begins, and again right before it commits: the cost goes with the packs, not with disks or chunks.
What is lost is recorded as damage, after which its chunks are not known and the run stores them anew.

A prune cannot be mistaken for loss: a pack that was offered when a run had recorded its start and then caught up with
the index is not deleted while the run is open (docs/prune.md, rules 2 and 3).
"""

from __future__ import annotations

from collections.abc import Iterator

from domain.errors import DamagedDataError
from domain.events.scrub import DamageFound
from domain.ports.chunk_index import ChunkIndex, DamagedPack, IndexedPack
from domain.ports.progress import Progress
from domain.workflows.event_stream import EventStream
from domain.workflows.pack_examination import PackDamage, examined, size_mismatch
from domain.workflows.vault import Vault

LOST_PACKS_MAX = 1024
"""With more than these the store is another one, or not there at all, and a backup does not begin to replace it."""


class PacksLostError(DamagedDataError):
    """Packs on which a run relied were lost while it went on; taking the data in again stores them anew."""


class PackPresence:
    """What one run relies on: the packs that the index offered when the run began."""

    def __init__(self, vault: Vault, index: ChunkIndex, stream: EventStream, progress: Progress) -> None:
        self._vault = vault
        self._index = index
        self._stream = stream
        self._progress = progress
        self._damage: dict[int, tuple[bool, str]] = {}

    def look_first(self) -> None:
        """Record what is lost, so that the run stores it anew. The run's start is recorded and the index caught up.

        Raises DamagedDataError when more than LOST_PACKS_MAX packs are lost, and what the store raises.
        """
        self._record_losses()
        self._damage = _damage_of(self._index)

    def look_again(self) -> None:
        """Right before the commit: raises PacksLostError when anything was lost, or found damaged, since the run began.

        Whoever found it, the run may have referred to it before. What the run itself healed does not count.
        """
        self._index.catch_up()
        self._record_losses()
        lost = {number for number, damage in _damage_of(self._index).items() if self._damage.get(number) != damage}
        if lost:
            raise PacksLostError(
                f"{_told(len(lost))} lost or found damaged while the backup was running.",
                where=self._vault.store.location,
                next_step="Nothing was committed, what is lost is recorded. Run the same backup again: it stores anew "
                "what the machine still has.",
            )

    def _record_losses(self) -> None:
        lost = []
        for pack, found_bytes in self._lost():
            lost.append((pack, found_bytes))
            if len(lost) > LOST_PACKS_MAX:
                raise DamagedDataError(
                    f"More than {LOST_PACKS_MAX} packs that the history names are not in the store.",
                    where=self._vault.store.location,
                    next_step="Look whether the right folder is mounted. If they are lost, run `atesta scrub`: it "
                    "records each, and then backups store anew what the machines still have.",
                )
        for pack, found_bytes in lost:
            self._record(pack, found_bytes)
        if lost:
            self._index.catch_up()

    def _lost(self) -> Iterator[tuple[IndexedPack, int | None]]:
        """The packs that are not there as they were written, with the size they have (None: gone); known ones not."""
        known = {pack.number: pack for pack in self._index.damaged_packs()}
        sizes = dict(self._vault.store.pack_sizes())
        for pack in self._index.packs():
            found_bytes = sizes.get(pack.pack_id)
            if (
                found_bytes == pack.pack_bytes
                or pack.retired_at
                or _is_known(known.get(pack.number), pack, found_bytes)
            ):
                continue
            yield pack, found_bytes

    def _record(self, pack: IndexedPack, found_bytes: int | None) -> None:
        damage = self._looked_into(pack, found_bytes)
        with self._stream.turn() as place:
            self._stream.append(
                DamageFound(
                    **place,
                    pack_id=pack.pack_id,
                    missing=damage.missing,
                    what=damage.what,
                    chunk_ids=damage.chunk_ids,
                )
            )
        self._progress.say(
            f"Pack {pack.pack_id.hex()} is {'missing' if damage.missing else 'damaged'}: {damage.what} "
            "Its chunks are stored anew if this machine has them."
        )

    def _looked_into(self, pack: IndexedPack, found_bytes: int | None) -> PackDamage:
        recorded = self._index.recorded(pack.pack_id)
        assert recorded is not None
        if found_bytes is not None:
            damage = examined(self._vault, pack.pack_id, recorded, size_mismatch(pack, found_bytes))
            assert damage is not None
            return damage
        gone = "The store does not have it any more."
        return PackDamage(missing=True, what=gone, chunk_ids=recorded.table.chunk_ids, examined=True)


def _is_known(known: DamagedPack | None, pack: IndexedPack, found_bytes: int | None) -> bool:
    """Whether this very loss is recorded already."""
    if known is None:
        return False
    if found_bytes is None:
        return known.missing
    return not known.missing and known.what.partition("; ")[0] == size_mismatch(pack, found_bytes)


def _damage_of(index: ChunkIndex) -> dict[int, tuple[bool, str]]:
    """What is damaged and not healed, by the numbers of packs."""
    return {pack.number: (pack.missing, pack.what) for pack in index.damaged_packs() if pack.damaged_chunks}


def _told(packs: int) -> str:
    return "1 pack was" if packs == 1 else f"{packs} packs were"
