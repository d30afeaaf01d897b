"""Where the time of a backup goes, with doubles that take their time on a clock that only they move."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from blake3 import blake3

from adapters import stage_clock
from adapters.stage_clock import StageClock, queued_s
from adapters.stores.memory import MemoryPackDraft, MemoryPackStore
from domain.events.recorded import RecordedEvent
from domain.model.stages import Stage, StageProfile, StageTime, held_back_by
from domain.ports.progress import Silent
from domain.ports.stages import UNTIMED
from domain.workflows.ingest import Ingest
from domain.workflows.timed_log import TimedLog
from tests.doubles.frozen_disks import SparseDisk, whole_disk
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.repository import opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL, small_vault

SEGMENT = SMALL.segment_bytes
DISK = blake3(b"a disk").digest(length=3 * SEGMENT)
CPU_STAGES = [Stage.CUTTING, Stage.HASHING, Stage.COMPRESSING, Stage.SEALING, Stage.MAPS]


@dataclass
class HandTime:
    """A clock that moves when a double says so."""

    now_s: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def pass_(self, seconds: float) -> None:
        with self.lock:
            self.now_s += seconds

    def read(self) -> float:
        return self.now_s


@dataclass(frozen=True)
class Slowness:
    """Seconds that each call of a double takes."""

    read_s: float = 0.0
    look_up_s: float = 0.0
    append_s: float = 0.0
    commit_s: float = 0.0
    event_s: float = 0.0


class SlowStore(MemoryPackStore):
    def __init__(self, time: HandTime, slowness: Slowness) -> None:
        super().__init__()
        self.time, self.slowness = time, slowness

    def new_pack(self) -> MemoryPackDraft:
        return SlowDraft(self)


class SlowDraft(MemoryPackDraft):
    def __init__(self, store: SlowStore) -> None:
        super().__init__(store)
        self.slow = store

    def append(self, data: bytes | memoryview) -> None:
        self.slow.time.pass_(self.slow.slowness.append_s)
        super().append(data)

    def commit(self, pack_id: bytes) -> None:
        self.slow.time.pass_(self.slow.slowness.commit_s)
        super().commit(pack_id)


class SlowIndex(MemoryChunkIndex):
    def __init__(self, time: HandTime, slowness: Slowness) -> None:
        super().__init__()
        self.time, self.slowness = time, slowness

    def known(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
        self.time.pass_(self.slowness.look_up_s)
        return super().known(chunk_ids)


def profile_of_an_ingest(slowness: Slowness) -> StageProfile:
    """One worker takes the disk in; its processor is idle while a double takes its time."""
    time = HandTime()
    clock = StageClock(wall=time.read, cpu=lambda: 0.0, process_cpu=lambda: 0.0, queued=lambda: 0.0)
    index = SlowIndex(time, slowness)
    vault = replace(small_vault(SlowStore(time, slowness)), stages=clock)

    def record(pack: object) -> None:
        time.pass_(slowness.event_s)

    def slow_read(offset: int, length: int) -> None:
        time.pass_(slowness.read_s)

    with clock.run(workers=1), Ingest(vault, index, record, Silent(), workers=1) as ingest:
        ingest.take_disk(whole_disk(DISK, before_read=slow_read))
        ingest.finish()
    return clock.profile()


@pytest.mark.parametrize(
    ("slowness", "slow_stage"),
    [
        (Slowness(read_s=1.0), Stage.READING),
        (Slowness(look_up_s=1.0), Stage.LOOKING_UP),
        (Slowness(append_s=1.0), Stage.WRITING),
        (Slowness(commit_s=100.0), Stage.WRITING),
        (Slowness(event_s=100.0), Stage.EVENTS),
    ],
)
def test_what_is_slow_is_seen_in_its_own_stage(slowness: Slowness, slow_stage: Stage) -> None:
    profile = profile_of_an_ingest(slowness)

    others = set(Stage) - {Stage.WAITING, slow_stage}
    assert profile.by_workers[slow_stage].wall_s > 0
    assert {profile.by_workers[stage].wall_s for stage in others} == {0.0}
    assert slow_stage in held_back_by(profile)


def test_a_fast_run_shows_none_of_it() -> None:
    profile = profile_of_an_ingest(Slowness())

    assert profile.elapsed_s == 0.0
    assert all(time.wall_s == 0.0 for time in profile.by_workers.values())


def test_what_the_run_does_alone_is_waiting_for_its_workers() -> None:
    """The map pack is written by the run's own thread when the workers are done."""
    profile = profile_of_an_ingest(Slowness(commit_s=100.0))

    assert profile.by_workers[Stage.WRITING].wall_s == 100.0
    assert profile.by_workers[Stage.WAITING].wall_s == 100.0
    assert profile.by_run[Stage.WRITING].wall_s == 100.0
    assert profile.by_run[Stage.WAITING].wall_s == 100.0


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_the_shares_add_up_to_all_of_the_workers_time(tmp_path: Path, workers: int) -> None:
    clock = StageClock()
    source = ScriptedSource([whole_disk(blake3(b"some disk").digest(length=24 * SEGMENT))])
    with opened(tmp_path) as repository:
        heard = replace(
            repository,
            vault=replace(repository.vault, stages=clock),
            log=TimedLog(repository.log, clock),
        )
        workflow = heard.workflow(workers=workers)
        with clock.run(workers):
            workflow.back_up(source, source.machine)
    profile = clock.profile()

    assert sum(map(profile.share, Stage)) == pytest.approx(1.0)
    assert sum(time.wall_s for time in profile.by_run.values()) == pytest.approx(profile.elapsed_s)
    measured = [time.wall_s for stage, time in profile.by_workers.items() if stage is not Stage.WAITING]
    assert 0 < sum(measured) <= profile.worker_s
    assert all(profile.by_workers[stage].wall_s > 0 for stage in [*CPU_STAGES, Stage.READING, Stage.LOOKING_UP])
    assert all(profile.by_workers[stage].wall_s > 0 for stage in [Stage.WRITING, Stage.EVENTS])
    assert profile.by_run[Stage.EVENTS].wall_s > 0, "the run's own events count too"


def test_a_clock_begins_anew_with_each_run() -> None:
    time = HandTime()
    clock = StageClock(wall=time.read, cpu=time.read, process_cpu=time.read, queued=lambda: 0.0)
    with clock.run(workers=1), clock.stage(Stage.EVENTS):
        time.pass_(5.0)
    with clock.run(workers=1), clock.stage(Stage.MAPS):
        time.pass_(2.0)
    profile = clock.profile()

    assert profile.by_run[Stage.EVENTS] == StageTime(0.0, 0.0)
    assert profile.by_run[Stage.MAPS] == StageTime(2.0, 2.0)
    assert profile.by_workers[Stage.WAITING].wall_s == profile.elapsed_s == 2.0


def test_the_innermost_stage_counts_and_the_outer_one_goes_on_after_it() -> None:
    time = HandTime()
    clock = StageClock(wall=time.read, cpu=lambda: 0.0, process_cpu=lambda: 0.0, queued=lambda: 0.0)
    with clock.run(workers=1), clock.stage(Stage.SEALING):
        time.pass_(1.0)
        with clock.stage(Stage.COMPRESSING):
            time.pass_(10.0)
        time.pass_(2.0)
    own = clock.profile().by_run

    assert (own[Stage.SEALING].wall_s, own[Stage.COMPRESSING].wall_s) == (3.0, 10.0)


def test_a_stage_that_fails_is_left() -> None:
    time = HandTime()
    clock = StageClock(wall=time.read, cpu=lambda: 0.0, process_cpu=lambda: 0.0, queued=lambda: 0.0)
    with clock.run(workers=1):
        with pytest.raises(OSError, match="gone"), clock.stage(Stage.READING):
            raise OSError("gone")
        time.pass_(3.0)

    assert clock.profile().by_run[Stage.REST].wall_s == 3.0


def test_without_a_profile_nothing_is_made_or_measured() -> None:
    assert small_vault().stages is UNTIMED
    assert UNTIMED.stage(Stage.READING) is UNTIMED.at_work()


class LoggedEvents:
    """A log that only appends."""

    def __init__(self, time: HandTime) -> None:
        self.time = time

    def append(self, events: Sequence[RecordedEvent]) -> None:
        self.time.pass_(4.0)


def test_a_slow_event_store_is_seen_as_events() -> None:
    time = HandTime()
    clock = StageClock(wall=time.read, cpu=lambda: 0.0, process_cpu=lambda: 0.0, queued=lambda: 0.0)
    log = TimedLog(LoggedEvents(time), clock)  # type: ignore[arg-type]
    with clock.run(workers=1):
        log.append([])

    assert clock.profile().by_run[Stage.EVENTS].wall_s == 4.0


def profile_with(
    workers: dict[Stage, StageTime], own: dict[Stage, StageTime] | None = None, elapsed_s: float = 10.0
) -> StageProfile:
    none = dict.fromkeys(Stage, StageTime())
    return StageProfile(
        elapsed_s=elapsed_s,
        workers=1,
        by_workers={**none, **workers},
        by_run={**none, **(own or {})},
        process_cpu_s=9.0,
    )


@pytest.mark.parametrize(
    ("workers", "own", "told"),
    [
        ({Stage.COMPRESSING: StageTime(6.0, 5.9)}, {}, "the processor, mostly compressing (60% of the workers' time)"),
        ({Stage.READING: StageTime(6.0, 5.0)}, {}, "the processor, mostly reading (60% of the workers' time)"),
        ({Stage.READING: StageTime(6.0, 0.5)}, {}, "which waited for the source"),
        ({Stage.WRITING: StageTime(6.0, 0.5)}, {}, "which waited for the store"),
        ({Stage.LOOKING_UP: StageTime(6.0, 0.5)}, {}, "which waited for the chunk index"),
        ({Stage.EVENTS: StageTime(6.0, 0.5)}, {}, "which waited for the event store"),
        ({Stage.HASHING: StageTime(6.0, 2.0)}, {}, "waited for the interpreter's lock"),
        ({Stage.WAITING: StageTime(6.0, 0.0)}, {Stage.EVENTS: StageTime(5.0, 0.1)}, "the run itself was at events"),
        ({Stage.WAITING: StageTime(6.0, 0.0)}, {Stage.REST: StageTime(5.0, 0.1)}, "looking into the guest"),
        ({Stage.WAITING: StageTime(6.0, 0.0)}, {Stage.WAITING: StageTime(9.5, 0.0)}, "too few segments"),
    ],
)
def test_it_is_said_what_held_the_backup_back(
    workers: dict[Stage, StageTime], own: dict[Stage, StageTime], told: str
) -> None:
    assert told in held_back_by(profile_with(workers, own))


def test_workers_that_waited_for_a_processor_say_so_before_anything_else() -> None:
    busy = profile_with({Stage.COMPRESSING: StageTime(6.0, 2.0)})

    assert "compressing" in held_back_by(busy)
    assert "too few processors" in held_back_by(replace(busy, queued_s=3.0))
    assert "compressing" in held_back_by(replace(busy, queued_s=1.0))


def test_the_time_in_the_queue_counts_while_a_worker_is_at_work_only() -> None:
    time = HandTime()
    clock = StageClock(wall=time.read, cpu=time.read, process_cpu=time.read, queued=time.read)

    def work() -> None:
        time.pass_(100.0)
        with clock.at_work(), clock.stage(Stage.READING):
            time.pass_(2.0)
        time.pass_(100.0)

    with clock.run(workers=1):
        worker = threading.Thread(target=work)
        worker.start()
        worker.join()

    assert clock.profile().queued_s == 2.0


def test_the_kernel_tells_how_long_a_thread_was_queued_or_nothing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_clock, "_SCHEDULING", tmp_path / "schedstat")
    assert queued_s() == 0.0
    (tmp_path / "schedstat").write_text("123 2500000000 7\n")
    assert queued_s() == 2.5


def test_the_processor_time_of_other_threads_is_what_no_stage_used() -> None:
    profile = profile_with({Stage.HASHING: StageTime(6.0, 5.0)}, {Stage.EVENTS: StageTime(1.0, 1.0)})

    assert profile.other_threads_cpu_s == 3.0


def test_a_disk_of_nothing_but_holes_is_waiting_and_the_rest() -> None:
    clock = StageClock()
    with clock.run(workers=2):
        vault = replace(small_vault(), stages=clock)
        with Ingest(vault, MemoryChunkIndex(), lambda pack: None, Silent(), workers=2) as ingest:
            ingest.take_disk(SparseDisk(100 * SEGMENT, {}))
            ingest.finish()

    assert clock.profile().by_workers[Stage.READING].wall_s == 0.0
    assert sum(map(clock.profile().share, Stage)) == pytest.approx(1.0)
