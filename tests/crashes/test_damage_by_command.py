"""Damage behind the program's back, seen from the command line: exit codes, what is named, and what heals."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from blake3 import blake3

from tests.doubles.exported_folder import MACHINE_ID, CommandLine

SIZE = 586 * 512
OTHER_ID = MACHINE_ID.replace("6", "7")
pytestmark = pytest.mark.process


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SIZE)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A repository with a point each of two machines."""
    line = CommandLine(tmp_path_factory.mktemp("whole"))
    line.init()
    for name, seed, machine_id in (("web", 1, MACHINE_ID), ("db", 2, OTHER_ID)):
        line.add_machine(name, noise(seed), machine_id=machine_id)
        assert line.run("backup", name, "--no-verify").exit_code == 0
    return line


@pytest.fixture
def line(whole: CommandLine, tmp_path: Path) -> CommandLine:
    """A copy of it that may be damaged."""
    return whole.copied(tmp_path / "copy")


def test_a_wrong_passphrase_has_an_exit_code_of_its_own_and_the_recovery_key_opens(
    line: CommandLine, tmp_path: Path
) -> None:
    wrong = line.run("restore", "web@latest", "--to", str(tmp_path / "out"), passphrase="wrong wrong wrong")
    recovery_key = line.recovery_key.lower()
    right = line.run("restore", "web@latest", "--to", str(tmp_path / "out"), passphrase=recovery_key)

    assert (wrong.exit_code, right.exit_code) == (7, 0)
    assert "wrong wrong" not in wrong.output


def test_a_damaged_pack_is_named_with_the_bytes_it_costs_and_other_points_restore(
    line: CommandLine, tmp_path: Path
) -> None:
    oldest = min(
        (line.repository / "packs").glob("*/*.pack"), key=lambda path: (-path.stat().st_size, path.stat().st_mtime_ns)
    )
    content = bytearray(oldest.read_bytes())
    content[200] ^= 1
    oldest.write_bytes(content)
    outcomes = {
        name: line.run("restore", f"{name}@latest", "--to", str(tmp_path / name), "--format", "raw")
        for name in ("web", "db")
    }

    (damaged,) = [name for name, done in outcomes.items() if done.exit_code == 4]
    (whole,) = [name for name, done in outcomes.items() if done.exit_code == 0]
    assert oldest.stem in outcomes[damaged].stderr
    assert f"disk bytes 0 to {SIZE}" in outcomes[damaged].stderr
    assert not list((tmp_path / damaged).rglob("*.raw"))
    assert next((tmp_path / whole).rglob("*.raw")).read_bytes() == noise({"web": 1, "db": 2}[whole])


@pytest.mark.parametrize("name", ["catalog.sqlite", "chunk-index.sqlite"])
def test_a_damaged_projection_is_told_and_a_rebuild_heals_it(line: CommandLine, tmp_path: Path, name: str) -> None:
    file = line.repository / "state" / name
    for leftover in file.parent.glob(f"{name}-*"):
        leftover.unlink()
    file.write_bytes(b"this is no database at all, but long enough to look like one" * 100)

    told = line.run("restore", "web@latest", "--to", str(tmp_path / "before"))
    healed = line.run("rebuild")

    assert told.exit_code == 4
    assert "rebuild" in told.stderr
    assert healed.exit_code == 0, healed.output
    assert line.restored("web@latest", tmp_path / "after") == [noise(1)]


def test_a_missing_projection_is_made_anew(line: CommandLine, tmp_path: Path) -> None:
    for path in (line.repository / "state").glob("c*.sqlite*"):
        path.unlink()

    assert line.restored("db@latest", tmp_path / "out") == [noise(2)]


def test_a_damaged_event_is_told_and_not_hidden_by_a_rebuild(line: CommandLine) -> None:
    connection = sqlite3.connect(line.repository / "state" / "events.sqlite")
    with connection:
        connection.execute("UPDATE stored_events SET state = zeroblob(40) WHERE topic LIKE 'restore-point%'")
    connection.close()

    done = line.run("rebuild")

    assert done.exit_code == 4
    assert len(line.points()) == 2, "the old catalog stays in use"


def test_a_damaged_description_is_told(line: CommandLine, tmp_path: Path) -> None:
    document = line.repository / "repository.json"
    good = document.read_text()
    for bad in ("", "{", good.replace('"format_version": 1', '"format_version": 2'), good.replace("262144", "9262144")):
        assert bad != good
        document.write_text(bad)
        assert line.run("points").exit_code in {3, 4}
    document.unlink()
    assert line.run("points").exit_code == 3
    document.write_text(good)
    assert line.restored("web@latest", tmp_path / "out") == [noise(1)]


def test_nothing_is_backed_up_over_packs_that_are_gone(line: CommandLine, tmp_path: Path) -> None:
    packs = line.repository / "packs"
    packs.rename(tmp_path / "unmounted")
    for _ in range(2):
        done = line.run("backup", "--no-verify")
        assert done.exit_code == 4
        assert "none of the packs" in done.stderr
        packs.mkdir(exist_ok=True)
    packs.rmdir()
    (tmp_path / "unmounted").rename(packs)

    assert line.run("backup", "--no-verify").exit_code == 0
    assert len(line.points()) == 4
