"""The store that is recovered from is damaged itself: what is wrong is named, and recovery goes as far as it can."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from blake3 import blake3

from adapters.locks import FileMachineLocks
from adapters.recovering import recover_state
from adapters.stores.folder_log import FolderLogStore
from adapters.stores.names import log_object_name
from domain.content.shipped_log import HISTORY_UNKNOWN, NUMBER_LIMIT, LogObjectId, StoredRow, open_rows, seal_rows
from domain.errors import BusyError, DamagedDataError, EnvironmentTroubleError
from domain.events.repository import RepositoryCreated, RepositoryRecovered
from domain.events.restore_point import RestorePointCommitted
from domain.ports.progress import Silent
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import opened
from tests.doubles.scripted_source import HandClock, ScriptedSource
from tests.doubles.shipped_repository import back_up, contents, recover, recovered, shipping
from tests.doubles.vaults import SMALL, small_vault

POINTS = 3


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SMALL.segment_bytes)


def source_of(seed: int) -> ScriptedSource:
    return ScriptedSource([whole_disk(noise(seed))])


ALL = [[noise(seed)] for seed in range(POINTS)]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of three points, shipped in one object each."""
    folder = tmp_path_factory.mktemp("master") / "home"
    for seed in range(POINTS):
        back_up(folder, source_of(seed))
    return folder


@pytest.fixture
def home(master: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(master, tmp_path / "home"))


def objects(home: Path) -> list[Path]:
    return sorted((home / "store" / "log").iterdir())


def removed(path: Path) -> None:
    path.unlink()


def flipped(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


def replaced_by_another(path: Path) -> None:
    other = next(one for one in sorted(path.parent.iterdir()) if one != path)
    path.write_bytes(other.read_bytes())


@pytest.mark.parametrize("damage", [removed, flipped, cut_short, emptied, replaced_by_another])
@pytest.mark.parametrize("number", range(POINTS))
def test_a_damaged_part_of_the_history_is_named_and_all_points_come_back(
    home: Path, tmp_path: Path, damage: Callable[[Path], None], number: int
) -> None:
    part = objects(home)[number]
    damage(part)

    found = recover(home, tmp_path / "into")

    named = [line for line in found.history.damaged if part.name in line]
    assert len(named) == (0 if damage is removed else 1)
    if (damage, number) != (removed, POINTS - 1):  # that the newest object ever was is known to nobody
        assert not found.is_whole
        first, last = (int(text, 16) for text in part.name.split("-")[:2])
        assert found.history.gaps == [(first, last)]
    assert len(found.points_found) == 1
    assert sorted(contents(home, tmp_path / "into")) == sorted(ALL)
    with recovered(home, tmp_path / "into") as repository:
        for stream in {event.originator_id for event in repository.events()}:
            assert repository.log.stream(stream)


@pytest.mark.parametrize("number", range(POINTS))
def test_after_a_recovery_from_a_damaged_history_backups_go_on(home: Path, tmp_path: Path, number: int) -> None:
    flipped(objects(home)[number])
    into, again = tmp_path / "into", tmp_path / "again"
    recover(home, into)
    with recovered(home, into):
        pass

    back_up(into, source_of(9))
    found = recover(into, again)

    assert sorted(contents(into, again)) == sorted([*ALL, [noise(9)]])
    assert not found.points_found, "what was found before is in the history now"


def test_numbers_that_a_lost_part_had_are_never_given_again(home: Path, tmp_path: Path) -> None:
    newest = objects(home)[-1]
    last = int(newest.name.split("-")[1], 16)
    flipped(newest)

    recover(home, tmp_path / "into")

    with recovered(home, tmp_path / "into") as repository:
        numbers = [one.number for one in repository.log.events_after(0)]
    first_lost = int(newest.name.split("-")[0], 16)
    assert [number for number in numbers if first_lost <= number <= last] == []
    assert numbers[-1] > last


def test_a_stray_file_that_claims_absurd_numbers_is_named_and_changes_nothing(home: Path, tmp_path: Path) -> None:
    stray = home / "store" / "log" / log_object_name(LogObjectId(1, NUMBER_LIMIT - 1, b"s" * 32))
    stray.write_bytes(b"nothing")

    found = recover(home, tmp_path / "into")

    assert (found.history.gaps, len(found.history.damaged), found.is_whole) == ([], 1, False)
    with recovered(home, tmp_path / "into"):
        pass
    back_up(tmp_path / "into", source_of(9))
    assert recover(tmp_path / "into", tmp_path / "again").history.gaps == []
    assert contents(home, tmp_path / "again") == [*ALL, [noise(9)]]


def test_without_any_history_the_packs_give_all_points(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "store" / "log")

    found = recover(home, tmp_path / "into")

    assert (found.history.events, len(found.points_found), found.packs_missing) == (0, POINTS, ())
    assert sorted(contents(home, tmp_path / "into")) == sorted(ALL)
    with recovered(home, tmp_path / "into") as repository:
        kinds = [type(event) for event in repository.events()]
    assert (kinds[0], kinds[-1], kinds.count(RestorePointCommitted)) == (RepositoryCreated, RepositoryRecovered, POINTS)


def test_points_that_lack_chunks_are_named_and_not_offered(home: Path, tmp_path: Path) -> None:
    shutil.rmtree(home / "store" / "log")
    sizes = {path: path.stat().st_size for path in (home / "store" / "packs").glob("*/*.pack")}
    max(sizes, key=lambda path: sizes[path]).unlink()

    found = recover(home, tmp_path / "into")

    assert (len(found.points_found), len(found.points_incomplete), found.is_whole) == (POINTS - 1, 1, False)
    assert len(contents(home, tmp_path / "into")) == POINTS - 1


def test_a_pack_that_the_history_names_and_the_store_lacks_is_reported(home: Path, tmp_path: Path) -> None:
    pack = next((home / "store" / "packs").glob("*/*.pack"))
    pack.unlink()

    found = recover(home, tmp_path / "into")

    assert [pack_id.hex() for pack_id in found.packs_missing] == [pack.stem]
    assert not found.is_whole


def test_a_damaged_pack_that_nobody_names_is_reported(home: Path, tmp_path: Path) -> None:
    stray = home / "store" / "packs" / "ab" / f"{'ab' * 32}.pack"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"no pack")

    found = recover(home, tmp_path / "into")

    assert (found.packs.unreadable, found.is_whole) == ([bytes.fromhex("ab" * 32)], False)


def test_overlaps_that_are_equal_are_taken(home: Path, tmp_path: Path) -> None:
    _write(home, *_rows(home), upto=5)
    assert recover(home, tmp_path / "into").is_whole
    assert contents(home, tmp_path / "into") == ALL


def test_a_contradiction_is_refused_with_its_place(home: Path, tmp_path: Path) -> None:
    first, last, rows = _rows(home)
    other = list(rows)
    other[2] = type(rows[2])(rows[2].number, rows[2].stream, rows[2].version, rows[2].topic, b"another state")
    _write(home, first, last, other, upto=5)

    with pytest.raises(DamagedDataError, match="contradict") as raised:
        recover(home, tmp_path / "into")

    assert f"event {rows[2].number}," in raised.value.where
    assert not (tmp_path / "into" / "events.sqlite").exists()


def test_an_object_that_does_not_go_on_from_the_one_before_is_refused(home: Path, tmp_path: Path) -> None:
    vault = small_vault()
    newest = objects(home)[-1]
    name = _name(newest)
    opened_object = open_rows(vault.keys, vault.repository_id, name, newest.read_bytes())
    newest.unlink()
    forged, content, _after = seal_rows(
        vault.keys, vault.repository_id, b"s" * 16, name.first, name.last, b"x" * 32, opened_object.rows
    )
    (newest.parent / log_object_name(forged)).write_bytes(content)

    with pytest.raises(DamagedDataError, match="contradict"):
        recover(home, tmp_path / "into")


def test_a_point_of_a_run_that_was_going_on_is_found_in_its_packs(home: Path, tmp_path: Path) -> None:
    with shipping(home) as repository, pytest.MonkeyPatch.context() as patched:
        workflow = repository.workflow()
        patched.setattr(workflow, "_commit", _killed)
        with pytest.raises(_KilledError):
            workflow.back_up(source_of(7), source_of(7).machine)

    found = recover(home, tmp_path / "into")

    assert (len(found.points_found), found.is_whole) == (1, True)
    assert contents(home, tmp_path / "into") == [*ALL, [noise(7)]]


def test_the_wrong_key_opens_nothing_and_makes_nothing(home: Path, tmp_path: Path) -> None:
    with opened(home) as repository:
        store = repository.vault.store
    found = recover_state(
        small_vault(store, seed=2),
        FolderLogStore(home / "store"),
        tmp_path / "into",
        clock=HandClock(),
        progress=Silent(),
        new_id=uuid4,
    )
    assert (found.history.events, found.points_found, len(found.history.damaged)) == (0, (), POINTS)


def test_a_second_recovery_at_the_same_time_is_told_to_wait(home: Path, tmp_path: Path) -> None:
    into = tmp_path / "into"
    with FileMachineLocks(into / "locks").held("recovery"), pytest.raises(BusyError):
        recover(home, into)
    assert recover(home, into).is_whole


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("free_kib", [0, 8, 16, 32, 48, 64, 96, 128, 160, 200, 240])
def test_a_full_disk_ends_a_recovery_with_a_clear_error_and_leaves_nothing(
    home: Path, small_disk: Path, free_kib: int
) -> None:
    filler = small_disk / "filler"
    filler.write_bytes(bytes((2048 - free_kib) << 10))
    try:
        recover(home, small_disk / "into")
    except EnvironmentTroubleError as error:
        assert error.where  # noqa: PT017 - a disk that is large enough is no failure
        assert not (small_disk / "into" / "events.sqlite").exists()
        assert not list((small_disk / "into").glob("recovering-*"))
        filler.unlink()
        assert recover(home, small_disk / "into").is_whole
    assert contents(home, small_disk / "into") == ALL


class _KilledError(BaseException):
    pass


def _killed(*_arguments: object) -> None:
    raise _KilledError


def _name(path: Path) -> LogObjectId:
    first, last, rest = path.name.split("-")
    return LogObjectId(int(first, 16), int(last, 16), bytes.fromhex(rest.removesuffix(".events")))


def _rows(home: Path) -> tuple[int, int, list[StoredRow]]:
    vault = small_vault()
    path = objects(home)[0]
    found = open_rows(vault.keys, vault.repository_id, _name(path), path.read_bytes())
    return found.first, found.last, list(found.rows)


def _write(home: Path, first: int, last: int, rows: list[StoredRow], *, upto: int) -> None:
    vault = small_vault()
    kept = [row for row in rows if row.number <= upto]
    name, content, _after = seal_rows(vault.keys, vault.repository_id, b"s" * 16, first, upto, HISTORY_UNKNOWN, kept)
    FolderLogStore(home / "store").write_log_object(name, content)
