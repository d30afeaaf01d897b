"""What a scrub finds damaged, whom that touches, and what heals it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.content.packs import PackKind
from domain.errors import DamagedDataError
from domain.events.backup import ChunksHealed
from domain.events.recovery import PackAdopted
from domain.events.scrub import DamageFound, PackFoundWhole
from domain.model.extents import Extent
from domain.model.machines import ConfigurationFile
from domain.workflows import pack_writing
from domain.workflows.chunk_reading import ChunkReader, load_layout
from domain.workflows.pack_writing import NewChunk, PackWriter, WrittenPack
from domain.workflows.scrub_budget import ScrubLimits
from domain.workflows.touched import damaged_ranges
from tests.doubles.flippable_packs import PACK_BYTES, SIZE, back_up, flip, noise, packs, path_of, recorded
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource

ALL = ScrubLimits()


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", PACK_BYTES)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[OpenRepository]:
    """One point of one disk without repetitions."""
    with opened(tmp_path) as found:
        back_up(found, 1)
        yield found


@pytest.mark.parametrize("with_key", [False, True])
def test_a_flipped_bit_is_found_without_the_key_and_with_it_the_lost_chunks_are_told(
    repository: OpenRepository, with_key: bool
) -> None:
    pack = packs(repository)[0]
    layout = load_layout(repository.vault, pack)
    flip(repository, pack, layout.frame_place(0)[0] + 5)

    summary = repository.scrubber(with_key=with_key).scrub(ALL)

    (found,) = summary.open_damage
    assert found.pack_id == pack
    assert found.damage.examined is with_key
    lost = len(layout.chunks_of(0)) if with_key else layout.table.chunk_count
    assert repository.index.damaged_count() == lost
    assert len(found.damage.chunk_ids) == 32 * lost
    assert layout.table.frame_count > 1


def test_damage_names_the_point_the_disk_and_the_bytes(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    layout = load_layout(repository.vault, pack)
    flip(repository, pack, layout.frame_place(0)[0] + 5)
    lost = int(layout.table.chunk_bytes[: len(layout.chunks_of(0))].sum())

    repository.scrubber().scrub(ALL)

    (touched,) = repository.touched()
    assert touched.point == repository.points()[0]
    assert [(disk.number, disk.extents) for disk in touched.disks] == [(0, (Extent(0, lost),))]


def test_a_damaged_leaf_touches_its_segment_and_a_damaged_root_the_disk(repository: OpenRepository) -> None:
    (pack,) = packs(repository, PackKind.MAP)
    flip(repository, pack, load_layout(repository.vault, pack).frame_place(0)[0] + 5)

    repository.scrubber().scrub(ALL)

    (touched,) = repository.touched()
    assert [disk.extents for disk in touched.disks] == [(Extent(0, SIZE),)]


def test_damaged_chunks_do_not_count_as_stored_and_a_readable_one_still_restores(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    layout = load_layout(repository.vault, pack)
    flip(repository, pack, layout.frame_place(0)[0] + 5)
    ids = [layout.table.chunk_id(ordinal) for ordinal in range(layout.table.chunk_count)]
    repository.scrubber(with_key=False).scrub(ALL)
    flip(repository, pack, layout.frame_place(0)[0] + 5)

    assert repository.index.known(ids) == set()
    assert repository.index.damaged(ids) == set(ids)
    assert repository.restored(repository.points()[0]) == [noise(1)]


def test_the_next_backup_heals_what_it_sees_and_old_and_new_points_restore(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    layout = load_layout(repository.vault, pack)
    flip(repository, pack, layout.frame_place(0)[0] + 5)
    repository.scrubber().scrub(ALL)
    with pytest.raises(DamagedDataError, match="frame 0") as caught:
        repository.restored(repository.points()[0])
    assert pack.hex() in caught.value.where

    back_up(repository, 1)

    (healed,) = recorded(repository, ChunksHealed)
    assert {healed.chunk_ids[i : i + 32] for i in range(0, len(healed.chunk_ids), 32)} == {
        layout.table.chunk_id(ordinal) for ordinal in layout.chunks_of(0)
    }
    assert repository.index.damaged_count() == 0
    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]
    assert repository.touched() == []
    again = repository.scrubber().scrub(ALL)
    assert [found.waits_for_prune for found in again.damaged] == [True]
    assert again.open_damage == []
    assert equals_replay(ProjectionName.CHUNK_INDEX, repository.folder / "index.sqlite", repository.log)


def test_a_backup_that_sees_other_data_heals_nothing(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    flip(repository, pack, 100)
    repository.scrubber().scrub(ALL)
    before = repository.index.damaged_count()

    back_up(repository, 2)

    assert recorded(repository, ChunksHealed) == []
    assert repository.index.damaged_count() == before > 0


def test_a_pack_that_was_brought_back_is_whole_again(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    flip(repository, pack, 100)
    repository.scrubber(with_key=False).scrub(ALL)
    flip(repository, pack, 100)

    summary = repository.scrubber(with_key=False).scrub(ALL, only_damaged=True)

    assert summary.whole_again == [pack]
    assert summary.packs_read == 1
    assert [event.pack_id for event in recorded(repository, PackFoundWhole)] == [pack]
    assert repository.index.damaged_count() == 0
    assert repository.index.damaged_packs() == []


def test_a_missing_pack_is_damage_and_the_others_are_read(repository: OpenRepository) -> None:
    pack = packs(repository)[1]
    path_of(repository, pack).unlink()

    summary = repository.scrubber(with_key=False).scrub(ALL)

    (found,) = summary.damaged
    assert (found.pack_id, found.damage.missing) == (pack, True)
    assert summary.packs_left == 0
    assert recorded(repository, DamageFound)[0].missing
    assert repository.touched()[0].disks


@pytest.mark.parametrize("change", [lambda data: data[:-1], lambda data: data + b"\0", lambda _data: b""])
def test_a_pack_of_another_length_is_damage(repository: OpenRepository, change: object) -> None:
    pack = packs(repository)[1]
    path = path_of(repository, pack)
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]

    (found,) = repository.scrubber().scrub(ALL).damaged

    assert found.pack_id == pack
    assert "was written with" in found.damage.what


@pytest.mark.parametrize("offset", [0, 8, 10, 11, 12, 40, -1, -10, -14, -40])
def test_damage_in_the_header_footer_or_trailer_costs_no_chunk(repository: OpenRepository, offset: int) -> None:
    pack = packs(repository)[0]
    flip(repository, pack, offset)

    (found,) = repository.scrubber().scrub(ALL).damaged

    assert found.pack_id == pack
    assert found.damage.chunk_ids == b""
    assert found.waits_for_prune
    assert repository.restored(repository.points()[0]) == [noise(1)]


def test_a_damaged_salt_costs_the_whole_pack(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    count = load_layout(repository.vault, pack).table.chunk_count
    flip(repository, pack, 20)

    (found,) = repository.scrubber().scrub(ALL).damaged

    assert len(found.damage.chunk_ids) == 32 * count


def test_a_look_without_the_key_keeps_what_one_with_the_key_found(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    flip(repository, pack, load_layout(repository.vault, pack).frame_place(0)[0] + 5)
    repository.scrubber().scrub(ALL)
    count = repository.index.damaged_count()

    repository.scrubber(with_key=False).scrub(ALL)
    same = repository.index.damaged_count()
    flip(repository, pack, 300 << 9)
    repository.scrubber(with_key=False).scrub(ALL)

    assert same == count
    assert repository.index.damaged_count() > count


def test_a_backup_is_told_which_ranges_to_read_again(repository: OpenRepository) -> None:
    root = repository.points()[0].disks[0].root
    reader = ChunkReader(repository.vault, repository.index)
    before = list(damaged_ranges(reader, repository.index, root, SIZE))
    pack = packs(repository)[-1]
    layout = load_layout(repository.vault, pack)
    flip(repository, pack, layout.frame_place(0)[0] + 5)
    repository.scrubber().scrub(ALL)
    fresh = ChunkReader(repository.vault, repository.index)

    (found,) = damaged_ranges(fresh, repository.index, root, SIZE)

    assert before == []
    assert 0 < found.length == int(layout.table.chunk_bytes[: len(layout.chunks_of(0))].sum())


def test_a_prune_lets_go_of_a_pack_whose_damage_is_healed(repository: OpenRepository) -> None:
    pack = packs(repository)[0]
    flip(repository, pack, load_layout(repository.vault, pack).frame_place(0)[0] + 5)
    repository.scrubber().scrub(ALL)
    before = repository.pruner().forecast().plan
    back_up(repository, 1)
    after = repository.pruner().forecast().plan

    summary = repository.pruner().prune()

    assert pack not in {use.pack_id for use in before.repack}
    assert pack in {use.pack_id for use in after.repack}
    assert summary.damaged == []
    assert not path_of(repository, pack).exists()
    assert repository.index.damaged_packs() == []
    assert repository.scrubber().scrub(ALL, keyed=True).damaged == []
    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]


@pytest.mark.parametrize("offset", [0, -1])
def test_a_prune_lets_go_of_a_pack_that_lost_its_header_or_trailer_only(
    repository: OpenRepository, offset: int
) -> None:
    pack = packs(repository)[0]
    flip(repository, pack, offset)
    repository.scrubber().scrub(ALL)

    repository.pruner().prune()

    assert not path_of(repository, pack).exists()
    assert repository.restored(repository.points()[0]) == [noise(1)]


def test_what_was_wrong_when_it_was_written_is_found_with_the_key_and_not_denied_without(
    repository: OpenRepository,
) -> None:
    """Bad memory between hashing and sealing: the pack has its name, a chunk in it has not its id."""
    written: list[WrittenPack] = []
    writer = PackWriter(repository.vault, PackKind.DATA, written.append)
    right, wrong = repository.vault.keys.chunk_id(b"right"), repository.vault.keys.chunk_id(b"wrong")
    writer.write([NewChunk(right, b"right"), NewChunk(wrong, b"wr0ng")])
    writer.finish()
    _record(repository, written[0])

    blind = repository.scrubber(with_key=False).scrub(ALL)
    seeing = repository.scrubber().scrub(ALL, keyed=True)
    blind_again = repository.scrubber(with_key=False).scrub(ALL)

    assert blind.damaged == []
    assert [(one.pack_id, one.damage.chunk_ids) for one in seeing.damaged] == [(written[0].pack_id, wrong)]
    assert blind_again.whole_again == []
    assert repository.index.damaged([right, wrong]) == {wrong}


def test_a_configuration_file_that_is_lost_is_named(tmp_path: Path) -> None:
    file = ConfigurationFile(name="web.vmcx", content=b"settings")
    with opened(tmp_path / "one") as repository:
        source = ScriptedSource([whole_disk(bytes(4096), disk_id="zero")], files=[file])
        repository.workflow().back_up(source, source.machine)
        (pack,) = packs(repository, PackKind.MAP)
        path_of(repository, pack).unlink()
        repository.scrubber().scrub(ALL)

        (touched,) = repository.touched()

        assert touched.files == ("web.vmcx",)
        assert [disk.extents for disk in touched.disks] == [(Extent(0, 4096),)]


def _record(repository: OpenRepository, pack: WrittenPack) -> None:
    repository.log.append(
        [
            PackAdopted(
                originator_id=uuid4(),
                originator_version=1,
                at=repository.clock.now(),
                pack_id=pack.pack_id,
                pack_bytes=pack.pack_bytes,
                pack_kind=pack.kind,
                chunk_count=pack.table.chunk_count,
                table=pack.table.encoded(),
            )
        ]
    )
