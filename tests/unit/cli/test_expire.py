"""``atesta expire`` in this process: a doubtful clock, a question that is answered, machines that are named."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from adapters.cli import expire
from adapters.cli.main import app
from adapters.clock import SystemClock
from adapters.composition import Atesta
from adapters.configuration import load_configuration
from domain.errors import BadInputError
from domain.events.restore_point import RestorePointCommitted
from domain.model.protection import Consistency
from domain.ports.progress import Silent
from tests.doubles.scripted_source import machine_with


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with three points of ``web`` from the last hours, and a rule that keeps one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATESTA_PASSPHRASE", "correct horse battery staple")
    assert CliRunner().invoke(app, ["init"]).exit_code == 0
    with (tmp_path / "atesta.toml").open("a") as file:
        file.write("\n[retention]\nkeep_last = 1\n")
    commit(tmp_path, *(datetime.now(UTC) - timedelta(hours=hours) for hours in (3, 2, 1)))
    return tmp_path


def commit(home: Path, *moments: datetime) -> None:
    atesta = Atesta(load_configuration(home / "atesta.toml"))
    for moment in moments:
        atesta.log.append(
            [
                RestorePointCommitted(
                    originator_id=uuid4(),
                    originator_version=1,
                    at=moment + timedelta(minutes=30),
                    backup_id=UUID(int=1),
                    machine_id="m-1",
                    machine=machine_with([]),
                    taken_at=moment,
                    consistency=Consistency.CRASH,
                    kind="full",
                    disks=(),
                    files=(),
                    excluded_bytes=0,
                )
            ]
        )


def run(*arguments: str, answer: str = "") -> tuple[int, str]:
    result = CliRunner().invoke(app, ["expire", *arguments], input=answer)
    return result.exit_code, " ".join(result.output.split())


def live(home: Path) -> int:
    atesta = Atesta(load_configuration(home / "atesta.toml"))
    atesta.catalog.catch_up()
    return len(atesta.catalog.points())


def test_after_a_jump_of_the_clock_nothing_expires_until_it_is_accepted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SystemClock, "now", lambda _: datetime.now(UTC) + timedelta(days=50))

    code, told = run()
    assert code == 5
    assert "The wall clock jumped" in told
    assert "atesta expire --accept-clock" in told
    code, told = run("--dry-run")
    assert code == 0
    assert "2 would expire" in told
    assert "Without --accept-clock nothing would be expired" in told
    assert live(home) == 3

    assert run("--accept-clock")[0] == 0
    assert live(home) == 1


def test_a_deletion_by_hand_asks_and_does_nothing_when_the_answer_is_no(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal:
        @staticmethod
        def isatty() -> bool:
            return True

    monkeypatch.setattr(expire, "sys", type("sys", (), {"stdin": Terminal}))
    arguments = ("--point", "web@latest", "--reason", "wrong machine")

    code, told = run(*arguments, answer="n\n")
    assert code == 3
    assert "can never be restored again" in told
    assert "nothing is expired" in told
    assert live(home) == 3

    code, told = run(*arguments, answer="y\n")
    assert code == 0
    assert "Expired web" in told
    assert live(home) == 2


def test_a_point_that_expires_after_it_was_chosen_is_not_restored(home: Path) -> None:
    atesta = Atesta(load_configuration(home / "atesta.toml"))
    atesta.catalog.catch_up()
    chosen = atesta.catalog.points()[0]
    vault = atesta.open_vault("correct horse battery staple")
    assert run("--point", chosen.short_id, "--reason", "wrong machine", "--yes")[0] == 0

    with pytest.raises(BadInputError, match="wrong machine"):
        atesta.restore_to_folder(vault, chosen, [], home / "out", "raw", Silent(), overwrite=False)

    assert not (home / "out").exists()


def test_machines_and_a_point_are_not_named_together(home: Path) -> None:
    code, told = run("web", "--point", "web@latest", "--reason", "why")

    assert code == 3
    assert "not both" in told


def test_a_machine_that_is_not_there_is_told(home: Path) -> None:
    assert run("nobody")[0] == 3


def test_a_repository_without_points_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ATESTA_PASSPHRASE", "correct horse battery staple")
    assert CliRunner().invoke(app, ["init"]).exit_code == 0

    code, told = run()

    assert code == 0
    assert "No restore points yet" in told
