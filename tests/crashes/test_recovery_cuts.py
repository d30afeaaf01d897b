"""The power goes at every durable step of a backup that ships its history, and of a recovery."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.errors import BadInputError
from domain.workflows import pack_writing
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.shipped_repository import back_up, contents, recover, recovered
from tests.doubles.vaults import SMALL

STEPS_EXPECTED = 19
RECOVERY_STEPS_MIN = 10


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=2 * SMALL.segment_bytes + 512)


def source_of(*seeds: int) -> ScriptedSource:
    return ScriptedSource([whole_disk(noise(seed), disk_id=f"d{seed}") for seed in seeds])


def test_the_number_of_steps_is_known(tmp_path: Path) -> None:
    cut = Cut(None)
    back_up(tmp_path, source_of(0))
    back_up(tmp_path, source_of(1, 2), cut=cut)

    assert cut.steps == STEPS_EXPECTED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS_EXPECTED))
def test_the_store_alone_brings_back_every_point_whatever_was_cut(tmp_path: Path, step: int, after: bool) -> None:
    home, first, second = tmp_path / "home", tmp_path / "first", tmp_path / "second"
    back_up(home, source_of(0))
    with pytest.raises(PowerCutError):
        back_up(home, source_of(1, 2), cut=Cut(step, after=after))

    recover(home, first)
    at_once = contents(home, first)
    assert at_once[0] == [noise(0)]
    assert at_once[1:] in ([], [[noise(1), noise(2)]])

    back_up(home, source_of(1, 2))
    found = recover(home, second)
    assert found.is_whole
    assert contents(home, second)[0] == [noise(0)]
    assert contents(home, second)[-1] == [noise(1), noise(2)]
    with recovered(home, second) as repository:
        assert not repository.catalog.runs(state="running")
        assert equals_replay(ProjectionName.CATALOG, second / "catalog.sqlite", repository.log)
        assert equals_replay(ProjectionName.CHUNK_INDEX, second / "index.sqlite", repository.log)


def test_a_recovery_that_is_cut_at_any_step_leaves_nothing_or_the_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    back_up(home, source_of(0))
    back_up(home, source_of(1))
    ended = 0
    for step in count():
        into = tmp_path / f"into{step}"
        with monkeypatch.context() as patched:
            cut = _cut_files(patched, into, step)
            try:
                recover(home, into)
                break
            except PowerCutError:
                ended += 1
        assert cut.steps == step
        if (into / "events.sqlite").exists():
            with pytest.raises(BadInputError):
                recover(home, into)
        else:
            assert recover(home, into).is_whole
        assert not list(into.glob("recovering-*"))
        assert contents(home, into) == [[noise(0)], [noise(1)]]

    assert ended >= RECOVERY_STEPS_MIN


def test_a_backup_goes_on_after_each_of_several_recoveries(tmp_path: Path) -> None:
    home = tmp_path / "home"
    back_up(home, source_of(0))
    for number in range(1, 4):
        into = tmp_path / f"home{number}"
        assert recover(home, into).is_whole
        with recovered(home, into):
            pass
        back_up(into, source_of(number))
        home = into

    last = tmp_path / "last"
    assert recover(home, last).is_whole
    assert contents(home, last) == [[noise(number)] for number in range(4)]


def _cut_files(patched: pytest.MonkeyPatch, into: Path, step: int) -> Cut:
    """Count what makes files durable or names them below ``into``; nothing is cleaned up after the cut."""
    cut = Cut(step)

    def counted(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            cut.before_step()
            found = real(*arguments, **named)
            cut.after_step()
            return found

        return call

    def not_in_the_dark(folder: Path, **named: Any) -> None:
        if not cut._is_dark:
            real_rmtree(folder, **named)

    real_rmtree = shutil.rmtree
    for owner, name in ((os, "fsync"), (os, "link"), (Path, "rename"), (Path, "unlink"), (Path, "mkdir")):
        patched.setattr(owner, name, counted(getattr(owner, name)))
    patched.setattr(shutil, "rmtree", not_in_the_dark)
    return cut
