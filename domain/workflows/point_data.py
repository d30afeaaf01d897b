"""What other runs did with the data of one restore point: moved, damaged, healed, deleted; a line for each run."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import numpy as np
import numpy.typing as npt

from domain.content.disk_map import leaf_chunks, walk_chosen_leaves
from domain.content.packs import PackTable
from domain.errors import DamagedDataError
from domain.events import backup, prune, recovery, scrub
from domain.events.recorded import RecordedEvent
from domain.ports.catalog import RestorePoint
from domain.ports.event_log import NumberedEvent
from domain.workflows.chunk_reading import ChunkReader

_ID_BYTES = 32
_CAUSES_MAX = 3
_TABLED = (backup.ChunksWritten, prune.ChunksRepacked, prune.PackReinstated, recovery.PackAdopted)
Prefixes = npt.NDArray[np.uint64]


class PointChunks:
    """The chunks of a point by the first eight bytes of their ids, which are keyed hashes: eight bytes a chunk."""

    def __init__(self, ids: Iterable[bytes]) -> None:
        parts = [_prefixes(one) for one in ids]
        self._sorted: Prefixes = np.unique(np.concatenate([np.zeros(0, np.uint64), *parts]))

    def __len__(self) -> int:
        return len(self._sorted)

    def among(self, ids: bytes) -> Prefixes:
        """Those of ``ids``, 32 bytes each, that are the point's; each once."""
        asked = np.unique(_prefixes(ids))
        if not len(self._sorted):
            return asked[:0]
        places = np.minimum(np.searchsorted(self._sorted, asked), len(self._sorted) - 1)
        ours: Prefixes = asked[self._sorted[places] == asked]
        return ours


def _prefixes(ids: bytes) -> Prefixes:
    return np.frombuffer(ids, ">u8").reshape(-1, _ID_BYTES // 8)[:, 0].astype(np.uint64)


def chunks_in_maps(reader: ChunkReader, point: RestorePoint) -> PointChunks | None:
    """All chunks that a point needs, whoever stored them; None when its maps cannot be read any more."""

    def ids() -> Iterator[bytes]:
        seen: set[bytes] = set()

        def unseen(node_ids: Sequence[bytes]) -> list[bool]:
            fresh = [node_id not in seen for node_id in node_ids]
            seen.update(node_ids)
            return fresh

        for disk in point.disks:
            yield disk.root
            for leaf_id, segment_bytes in walk_chosen_leaves(reader.read_root(disk.root), reader.read_node, unseen):
                yield leaf_chunks(reader.read_node(leaf_id), segment_bytes)[0]
        yield b"".join(seen)
        yield from (chunk_id for file in point.files for chunk_id in file.chunk_ids)

    try:
        return PointChunks(ids())
    except DamagedDataError:
        return None


def chunks_stored_by(events: Iterable[RecordedEvent]) -> PointChunks:
    """The chunks that a backup stored itself, from its events: what is known without the passphrase."""
    return PointChunks(
        PackTable.decoded(event.table).chunk_ids for event in events if isinstance(event, backup.ChunksWritten)
    )


@dataclass(slots=True)
class DataRun:
    """What one run did with the point's data, from its first to its last event about it."""

    first: NumberedEvent
    last: int
    who: str
    moved: int = 0
    adopted: int = 0
    damaged: int = 0
    missing: int = 0
    healed: int = 0
    packs_whole: int = 0
    packs_retired: int = 0
    packs_reinstated: int = 0
    packs_deleted: int = 0
    causes: list[str] = field(default_factory=list)
    damaged_after: int = 0

    def told(self) -> str:
        """One sentence."""
        parts = [
            _counted(self.moved, "moved {} of its chunks into new packs"),
            _counted(self.adopted, "took over packs with {} of its chunks"),
            _counted(self.damaged, "found {} of its chunks damaged"),
            _counted(self.missing, "found {} packs missing that hold some of them"),
            _counted(self.healed, "stored {} damaged chunks of it anew"),
            _counted(self.packs_whole, "found {} packs with chunks of it whole again"),
            _counted(self.packs_retired, "retired {} packs that had held chunks of it"),
            _counted(self.packs_reinstated, "reinstated {} packs with chunks of it"),
            _counted(self.packs_deleted, "deleted {} packs that had held chunks of it"),
        ]
        did = ", ".join(part for part in parts if part)
        why = f" ({'; '.join(self.causes)})" if self.causes else ""
        changes_damage = self.damaged or self.healed or self.packs_whole
        after = f"; {self.damaged_after or 'none'} of its chunks are damaged after that" if changes_damage else ""
        return f"{self.who} {did}{why}{after}" if did else ""


@dataclass(slots=True)
class StoredBefore:
    """What earlier backups had stored of the point's chunks: a chunk counts each time it was stored."""

    first: NumberedEvent
    last: int = 0
    chunks: int = 0
    backups: set[UUID] = field(default_factory=set)


class DataHistory:
    """Follows the point's ``chunks`` through the log, event by event. Memory: its packs, and an entry for each run."""

    def __init__(self, chunks: PointChunks, backup_id: UUID) -> None:
        self._chunks = chunks
        self._backup_id = backup_id
        self._packs: set[bytes] = set()
        self._damaged: dict[bytes, set[int]] = {}
        self._names: dict[UUID, str] = {}
        self.runs: dict[UUID, DataRun] = {}
        self.before: StoredBefore | None = None
        self.is_over = False

    def take(self, numbered: NumberedEvent, *, is_born: bool) -> None:
        """Take an event in; before the point's own backup began (not ``is_born``) only places are learned."""
        event = numbered.event
        if isinstance(event, backup.BackupStarted):
            self._names[event.originator_id] = event.machine_name
        elif isinstance(event, backup.BackupCompleted | backup.BackupFailed):
            self._names.pop(event.originator_id, None)
        elif isinstance(event, _TABLED):
            self._tabled(numbered, event, is_born=is_born)
        elif is_born:
            self._packs_left(numbered, event)
            if not self.is_over:
                self._damage(numbered, event)

    def _tabled(self, numbered: NumberedEvent, event: RecordedEvent, *, is_born: bool) -> None:
        assert isinstance(event, _TABLED)
        ours = len(self._chunks.among(PackTable.decoded(event.table).chunk_ids))
        if not ours:
            return
        if not self.is_over:
            self._packs.add(event.pack_id)
        if not is_born:
            self._learned_before(numbered, ours)
        elif isinstance(event, prune.ChunksRepacked) and not self.is_over:
            self._of(numbered).moved += ours
        elif isinstance(event, recovery.PackAdopted) and not self.is_over:
            self._of(numbered).adopted += ours
        elif isinstance(event, prune.PackReinstated) and not self.is_over:
            self._of(numbered).packs_reinstated += 1

    def _learned_before(self, numbered: NumberedEvent, ours: int) -> None:
        if isinstance(numbered.event, backup.ChunksWritten):
            self.before = self.before or StoredBefore(numbered)
            self.before.last = numbered.number
            self.before.chunks += ours
            self.before.backups.add(numbered.event.originator_id)

    def _packs_left(self, numbered: NumberedEvent, event: RecordedEvent) -> None:
        match event:
            case prune.PackRetired() if event.pack_id in self._packs:
                self._of(numbered).packs_retired += 1
            case prune.PackDeleted() if event.pack_id in self._packs:
                self._packs.discard(event.pack_id)
                self._of(numbered).packs_deleted += 1

    def _damage(self, numbered: NumberedEvent, event: RecordedEvent) -> None:
        match event:
            case scrub.DamageFound():
                self._damage_found(numbered, event)
            case backup.ChunksHealed() if event.originator_id != self._backup_id:
                self._healed(numbered, event)
            case scrub.PackFoundWhole() if self._damaged.pop(event.pack_id, None):
                run = self._of(numbered)
                run.packs_whole += 1
                run.damaged_after = self._damaged_now()

    def _damage_found(self, numbered: NumberedEvent, event: scrub.DamageFound) -> None:
        ours = set(self._chunks.among(event.chunk_ids).tolist())
        if not ours:
            return
        run, before = self._of(numbered), self._damaged_now()
        self._damaged.setdefault(event.pack_id, set()).update(ours)
        run.damaged_after = self._damaged_now()
        run.damaged += run.damaged_after - before
        run.missing += event.missing
        if event.what not in run.causes and len(run.causes) < _CAUSES_MAX:
            run.causes.append(event.what)

    def _healed(self, numbered: NumberedEvent, event: backup.ChunksHealed) -> None:
        ours = set(self._chunks.among(event.chunk_ids).tolist())
        if not ours:
            return
        run = self._of(numbered)
        run.healed += len(ours)
        self._packs.add(event.pack_id)
        for damaged in self._damaged.values():
            damaged -= ours
        run.damaged_after = self._damaged_now()

    def _damaged_now(self) -> int:
        return len(set().union(*self._damaged.values()))

    def _of(self, numbered: NumberedEvent) -> DataRun:
        event = numbered.event
        run = self.runs.setdefault(
            event.originator_id, DataRun(numbered, numbered.number, _who(event, self._names.get(event.originator_id)))
        )
        run.last = numbered.number
        return run


def _who(event: RecordedEvent, machine_name: str | None) -> str:
    match event:
        case backup.ChunksHealed():
            return f"The backup of {machine_name}" if machine_name else "A backup"
        case scrub.DamageFound() | scrub.PackFoundWhole():
            return "A scrub"
        case recovery.PackAdopted():
            return "A recovery"
        case _:
            return "A prune"


def _counted(count: int, words: str) -> str:
    return words.format(count) if count else ""
