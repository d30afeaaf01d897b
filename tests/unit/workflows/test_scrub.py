"""In which order a scrub reads, where it stops, and how it gets along with others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import BusyError, EnvironmentTroubleError
from domain.events.scrub import PacksScrubbed, ScrubCompleted, ScrubFailed, ScrubStarted
from domain.workflows import pack_writing, scrub_run
from domain.workflows.scrub_budget import ScrubLimits
from tests.doubles.flippable_packs import PACK_BYTES, back_up, packs, path_of, recorded
from tests.doubles.repository import OpenRepository, opened

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


@pytest.mark.parametrize("keyed", [False, True])
def test_a_sound_repository_is_read_whole_and_said_to_be_so(repository: OpenRepository, keyed: bool) -> None:
    summary = repository.scrubber(with_key=keyed).scrub(ALL, keyed=keyed)

    stored = sum(path_of(repository, one).stat().st_size for one in repository.vault.store.pack_ids())
    assert (summary.read_bytes, summary.packs_left, summary.damaged) == (stored, 0, [])
    assert summary.packs_read == len(list(repository.vault.store.pack_ids()))
    (looked,) = recorded(repository, PacksScrubbed)
    assert looked.read_bytes == stored
    assert len(looked.pack_ids) == 32 * summary.packs_read


def test_packs_that_were_never_read_come_first_and_then_the_oldest_look(repository: OpenRepository) -> None:
    first = [pack.pack_id for pack in repository.index.packs()]
    one_pack = ScrubLimits(bytes_max=1)

    repository.scrubber().scrub(one_pack)
    repository.scrubber().scrub(one_pack)
    back_up(repository, 2)
    later = [pack.pack_id for pack in repository.index.packs()][len(first) :]
    order = repository.index.packs_to_scrub(repository.log.last_number() + 1, 1000)

    assert [pack.pack_id for pack in order] == [*first[2:], *later, first[0], first[1]]


def test_a_budget_of_bytes_ends_a_scrub_and_the_next_one_goes_on(repository: OpenRepository) -> None:
    total = repository.scrubber().forecast()
    seen: list[int] = []
    for _ in range(total.packs):
        summary = repository.scrubber().scrub(ScrubLimits(bytes_max=250 << 10))
        seen.append(summary.packs_read)
        assert summary.read_bytes <= 250 << 10 or summary.packs_read == 1
        if sum(seen) >= total.packs:
            break

    assert sum(seen) == total.packs
    assert len(seen) > 1
    looked = b"".join(event.pack_ids for event in recorded(repository, PacksScrubbed))
    assert len({looked[i : i + 32] for i in range(0, len(looked), 32)}) == total.packs


def test_a_budget_of_time_ends_a_scrub(repository: OpenRepository) -> None:
    summary = repository.scrubber().scrub(ScrubLimits(seconds_max=0.5))

    assert summary.packs_read == 1
    assert summary.packs_left == repository.scrubber().forecast().packs - 1


def test_a_pack_that_a_prune_let_go_of_meanwhile_is_no_damage(repository: OpenRepository) -> None:
    back_up(repository, 2)
    repository.expire(repository.points()[0])
    repository.index.catch_up()
    doomed = packs(repository)[0]

    class PrunesFirst(type(repository.vault.store)):  # type: ignore[misc]
        def pack_bytes(self, pack_id: bytes) -> int:
            if pack_id == doomed and path_of(repository, doomed).exists():
                repository.pruner().prune()
            return super().pack_bytes(pack_id)  # type: ignore[no-any-return]

    workflow = repository.scrubber(with_key=False)
    workflow._store = PrunesFirst(repository.folder / "store")

    summary = workflow.scrub(ALL)

    assert not path_of(repository, doomed).exists()
    assert summary.damaged == []
    assert summary.packs_left == 0


def test_a_pack_that_no_event_names_is_counted_and_left_alone(repository: OpenRepository) -> None:
    path = path_of(repository, bytes(32))
    path.parent.mkdir()
    path.write_bytes(b"who am I")

    summary = repository.scrubber().scrub(ALL, keyed=True)

    assert (summary.packs_unnamed, summary.damaged) == (1, [])
    assert path.read_bytes() == b"who am I"


def test_a_second_scrub_is_told_that_one_is_running(repository: OpenRepository) -> None:
    workflow = repository.scrubber()
    with workflow._locks.held("scrub"), pytest.raises(BusyError):
        repository.scrubber().scrub(ALL)

    assert recorded(repository, ScrubStarted) == []


def test_looks_are_recorded_in_batches(repository: OpenRepository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scrub_run, "BATCH_PACKS_MAX", 2)

    summary = repository.scrubber().scrub(ALL)

    batches = recorded(repository, PacksScrubbed)
    assert max(len(batch.pack_ids) for batch in batches) == 64
    assert sum(batch.read_bytes for batch in batches) == summary.read_bytes
    assert len(recorded(repository, ScrubCompleted)) == 1


def test_a_scrub_without_an_end_is_closed_by_the_next_one(repository: OpenRepository) -> None:
    with pytest.raises(KeyboardInterrupt):
        _killed_scrub(repository)

    repository.scrubber().scrub(ALL)

    assert [event.reason for event in recorded(repository, ScrubFailed)] == ["interrupted"]
    assert repository.index.open_scrubs() == []


def _killed_scrub(repository: OpenRepository) -> None:
    class Dark:
        def __getattr__(self, name: str) -> object:
            raise KeyboardInterrupt

    workflow = repository.scrubber()
    workflow._store = Dark()  # type: ignore[assignment]
    log_append = repository.log.append
    steps = iter([True])

    def append(events: object) -> None:
        if not next(steps, False):
            raise EnvironmentTroubleError("dark")
        log_append(events)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(repository.log, "append", append)
        workflow.scrub(ALL)
