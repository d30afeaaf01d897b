"""A scrub is cut at each event, killed, doubled, and run beside a backup; nothing is lost and the next one goes on."""

from __future__ import annotations

import contextlib
import json
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from blake3 import blake3

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.events.scrub import DamageFound, ScrubCompleted, ScrubFailed, ScrubStarted
from domain.workflows import pack_writing, scrub_run
from domain.workflows.scrub_budget import ScrubLimits
from tests.doubles.exported_folder import CommandLine
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL

STEPS_EXPECTED = 8
SIZE = 6 * SMALL.segment_bytes


@pytest.fixture(autouse=True)
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs, recorded two at a time."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 200 << 10)
    monkeypatch.setattr(scrub_run, "BATCH_PACKS_MAX", 2)


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SIZE)


def back_up(repository: OpenRepository) -> None:
    source = ScriptedSource([whole_disk(noise(1), disk_id="d")])
    repository.workflow().back_up(source, source.machine)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A point whose packs were scrubbed; then one pack was damaged, one mended that had been damaged."""
    folder = tmp_path_factory.mktemp("template") / "repository"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pack_writing, "PACK_BYTES_TARGET", 200 << 10)
        with opened(folder) as repository:
            back_up(repository)
            packs = [pack.pack_id for pack in repository.index.packs()]
            _flip(folder, packs[3])
            repository.scrubber().scrub(ScrubLimits())
            _flip(folder, packs[3])
            _flip(folder, packs[1])
    return folder


def _flip(folder: Path, pack_id: bytes) -> None:
    path = folder / "store" / "packs" / pack_id.hex()[:2] / f"{pack_id.hex()}.pack"
    content = bytearray(path.read_bytes())
    content[100] ^= 1
    path.write_bytes(content)


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "repository"
    shutil.copytree(template, copy)
    return copy


def test_the_number_of_steps_is_known(folder: Path) -> None:
    cut = Cut(None)
    with opened(folder, cut=cut) as repository:
        repository.scrubber().scrub(ScrubLimits())

    assert cut.steps == STEPS_EXPECTED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS_EXPECTED))
def test_a_scrub_that_is_cut_is_finished_by_the_next_one_and_the_damage_heals(
    folder: Path, step: int, after: bool
) -> None:
    with opened(folder, cut=Cut(step, after=after)) as repository, pytest.raises(PowerCutError):
        repository.scrubber().scrub(ScrubLimits())

    with opened(folder) as repository:
        summary = repository.scrubber().scrub(ScrubLimits())
        assert [one.pack_id for one in summary.damaged] == [list(repository.index.packs())[1].pack_id]
        assert len(repository.touched()) == 1
        back_up(repository)

        assert repository.index.damaged_count() == 0
        assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]
        assert equals_replay(ProjectionName.CHUNK_INDEX, folder / "index.sqlite", repository.log)
        _check_scrubs(repository)


def test_a_backup_that_heals_may_be_cut_anywhere(folder: Path) -> None:
    with opened(folder) as repository:
        repository.scrubber().scrub(ScrubLimits())
    for step in range(4, 14):
        copy = folder.with_name(f"copy{step}")
        shutil.copytree(folder, copy)
        with opened(copy, cut=Cut(step, after=True)) as repository, contextlib.suppress(PowerCutError):
            back_up(repository)
        with opened(copy) as repository:
            back_up(repository)
            assert repository.index.damaged_count() == 0
            assert {bytes(one[0]) for one in map(repository.restored, repository.points())} == {noise(1)}


def _check_scrubs(repository: OpenRepository) -> None:
    """Every scrub that started has one end."""
    events = repository.events()
    started = [event.originator_id for event in events if isinstance(event, ScrubStarted)]
    ended = [event.originator_id for event in events if isinstance(event, ScrubCompleted | ScrubFailed)]
    assert sorted(started) == sorted(ended)
    assert any(isinstance(event, DamageFound) for event in events)


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A repository of some packs, as the command makes it."""
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("web", blake3(b"web").digest(length=40 << 20))
    assert line.run("backup", "--no-verify").exit_code == 0
    return line


def _process(line: CommandLine, *arguments: str) -> subprocess.Popen[str]:
    command, environment = line.process(*arguments)
    return subprocess.Popen(
        command,
        env=environment,
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _wait_for_event(line: CommandLine, topic: str) -> None:
    for _ in range(600):
        if topic in line.run("events", "--json").stdout:
            return
        time.sleep(0.1)
    raise AssertionError(f"no {topic} was recorded")


@pytest.mark.process
def test_a_second_scrub_is_turned_away_a_backup_is_not_and_a_killed_scrub_is_gone_on_with(
    line: CommandLine, tmp_path: Path
) -> None:
    slow = _process(line, "scrub", "--rate", "1MiB/s")
    try:
        _wait_for_event(line, "scrub-started")
        second = line.run("scrub")
        line.add_machine("web", blake3(b"new").digest(length=8 << 20))
        backup = line.run("backup", "--no-verify")
        still_running = slow.poll() is None
    finally:
        slow.send_signal(signal.SIGKILL)
        slow.communicate()
    after = line.run("scrub", "--keyed", "--json")

    assert (second.exit_code, backup.exit_code, still_running) == (6, 0, True)
    assert after.exit_code == 0, after.output
    told = json.loads(after.stdout)
    assert (told["packs_left"], told["damaged"]) == (0, [])
    assert line.run("check").exit_code == 0
    assert line.restored("web@latest", tmp_path / "out") == [blake3(b"new").digest(length=8 << 20)]
