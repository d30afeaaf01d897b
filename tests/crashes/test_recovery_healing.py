"""What packs without an event heal is recorded when a recovery adopts them."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import pytest

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.content.packs import PackKind
from domain.events.backup import ChunksHealed
from domain.events.recovery import PackAdopted
from domain.events.stream_rules import RECOVERY, folded
from domain.workflows.pack_writing import NewChunk, PackWriter, WrittenPack
from domain.workflows.scrub_budget import ScrubLimits
from tests.doubles.flippable_packs import back_up, path_of, recorded
from tests.doubles.repository import OpenRepository
from tests.doubles.shipped_repository import recover, recovered, shipping

DATA = [b"one", b"two", b"three"]


def written(repository: OpenRepository, *data: bytes) -> WrittenPack:
    """A pack that is durable and that no event names."""
    done: list[WrittenPack] = []
    writer = PackWriter(repository.vault, PackKind.DATA, done.append)
    writer.write([NewChunk(repository.vault.keys.chunk_id(one), one) for one in data])
    writer.finish()
    return done[0]


def record(repository: OpenRepository, pack: WrittenPack) -> None:
    event = PackAdopted(
        originator_id=uuid4(),
        originator_version=1,
        at=repository.clock.now(),
        pack_id=pack.pack_id,
        pack_bytes=pack.pack_bytes,
        pack_kind=pack.kind,
        chunk_count=pack.table.chunk_count,
        table=pack.table.encoded(),
    )
    repository.log.append([event])


@pytest.mark.parametrize("orphans", [[], [DATA[:2]], [DATA], [DATA[:2], DATA[1:]], [[b"four"], DATA, [b"five"]]])
def test_what_an_adopted_pack_heals_is_recorded_once(tmp_path: Path, orphans: list[list[bytes]]) -> None:
    home, into = tmp_path / "home", tmp_path / "into"
    with shipping(home) as repository:
        back_up(repository, 1)
        lost = written(repository, *DATA)
        record(repository, lost)
        path_of(repository, lost.pack_id).unlink()
        repository.scrubber().scrub(ScrubLimits())
        assert repository.index.damaged_count() == len(DATA)
        back_up(repository, 2)  # its point ships what was found
        left = {written(repository, *data).pack_id for data in orphans}
        chunk_id = repository.vault.keys.chunk_id
        healed = {chunk_id(one) for data in orphans for one in data if one in DATA}

    found = recover(home, into)

    assert set(found.packs.adopted) == left
    with recovered(home, into) as repository:
        repository.index.catch_up()
        told = b"".join(event.chunk_ids for event in recorded(repository, ChunksHealed))
        assert sorted(told[i : i + 32] for i in range(0, len(told), 32)) == sorted(healed)
        assert repository.index.damaged_count() == len(DATA) - len(healed)
        adopted = [event for event in recorded(repository, PackAdopted) if event.pack_id in left]
        assert len({event.originator_id for event in adopted}) == min(len(orphans), 1)
        for stream in {event.originator_id for event in adopted}:
            folded(RECOVERY, repository.log.stream(stream))
        for event in recorded(repository, ChunksHealed):
            ids = {event.chunk_ids[i : i + 32] for i in range(0, len(event.chunk_ids), 32)}
            assert {place.pack_id for place in repository.index.locate(list(ids)).values()} == {event.pack_id}
        assert equals_replay(ProjectionName.CHUNK_INDEX, into / "index.sqlite", repository.log)
