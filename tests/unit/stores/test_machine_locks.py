from __future__ import annotations

import errno
import fcntl
from pathlib import Path

import pytest

from adapters.locks import FileMachineLocks
from domain.errors import BusyError, EnvironmentTroubleError


def test_a_lock_is_held_by_one_and_free_again_afterwards(tmp_path: Path) -> None:
    first, second = FileMachineLocks(tmp_path / "locks"), FileMachineLocks(tmp_path / "locks")
    with first.held("m-1"):
        with pytest.raises(BusyError), second.held("m-1"):
            pass
        with second.held("m-2"):
            pass
    with second.held("m-1"):
        pass


def test_a_lock_is_let_go_of_when_its_use_fails(tmp_path: Path) -> None:
    locks = FileMachineLocks(tmp_path)
    with pytest.raises(KeyboardInterrupt), locks.held("m-1"):
        raise KeyboardInterrupt
    with locks.held("m-1"):
        pass


@pytest.mark.parametrize("machine_id", ["", "../../x", "a\nb", "x" * 5000, "\udce9"])
def test_any_machine_id_has_a_lock_inside_of_the_folder(tmp_path: Path, machine_id: str) -> None:
    with FileMachineLocks(tmp_path / "locks").held(machine_id):
        assert [path.parent for path in tmp_path.rglob("*.lock")] == [tmp_path / "locks"]


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(EnvironmentTroubleError), FileMachineLocks(tmp_path / "file").held("m-1"):
        pass


def test_a_file_system_without_locks_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def none_left(descriptor: int, operation: int) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", none_left)
    with pytest.raises(EnvironmentTroubleError, match="No locks available"), FileMachineLocks(tmp_path).held("m-1"):
        pass


def test_a_lock_that_is_shared_keeps_out_whoever_wants_it_alone(tmp_path: Path) -> None:
    first, second, third = (FileMachineLocks(tmp_path) for _ in range(3))
    with first.shared("point"), second.shared("point"), pytest.raises(BusyError), third.held("point"):
        pass
    with third.held("point"), pytest.raises(BusyError), first.shared("point"):
        pass
