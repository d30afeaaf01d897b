from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from benchmarks.measuring import Step, measure, resident_bytes
from domain.errors import EnvironmentTroubleError

MIB = 1 << 20


def python(folder: Path, program: str, **environment: str) -> Step:
    """A step that runs a little program."""
    return Step(command=[sys.executable, "-S", "-c", program], folder=folder, environment=environment)


@pytest.mark.process
def test_memory_and_processor_time_of_the_program_are_measured(tmp_path: Path) -> None:
    done = measure(python(tmp_path, "x = b'1' * (96 << 20); sum(range(10**6))"), durable=tmp_path)
    assert 96 * MIB < done.peak_rss_bytes < 1024 * MIB
    assert done.cpu_s > 0
    assert done.wall_s > 0


@pytest.mark.process
def test_a_program_that_fails_is_an_error_with_what_it_said(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentTroubleError, match="no such image"):
        measure(python(tmp_path, "raise SystemExit('no such image')"), durable=tmp_path)


@pytest.mark.process
def test_a_program_sees_only_the_environment_that_it_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RESTIC_REPOSITORY", "the user's own")
    program = "import os; assert 'RESTIC_REPOSITORY' not in os.environ; assert os.environ['HOME'] == 'here'"
    measure(python(tmp_path, program, HOME="here"), durable=tmp_path)


def test_a_process_that_is_gone_has_no_memory() -> None:
    assert resident_bytes(os.getpid()) > MIB
    assert resident_bytes(2**22 + 1) == 0
