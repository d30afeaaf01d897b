"""A pack rots: a scrub finds it, says whom it touches, the next backup heals it, a prune clears it away."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from tests.doubles.exported_folder import CommandLine
from tests.journeys.command import PASSPHRASE, answer, atesta

SIZE = 3 << 20
pytestmark = pytest.mark.process


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A repository with a point of one machine, and a configuration with a budget."""
    line = CommandLine(tmp_path)
    line.add_machine("web", blake3(b"web").digest(length=SIZE))
    atesta(tmp_path, "init", "repository", "--exports", "exports")
    with (tmp_path / "atesta.toml").open("a") as file:
        file.write('\n[scrub]\nbytes = "1 GiB"\nrate = "500 MiB/s"\n')
    atesta(tmp_path, "backup", "--no-verify")
    return tmp_path


def test_damage_is_found_named_healed_and_cleared_away(folder: Path) -> None:
    pack = max((folder / "repository" / "packs").glob("*/*.pack"), key=lambda path: path.stat().st_size)
    nobody = {"ATESTA_PASSPHRASE": ""}
    assert "as it was written" in atesta(folder, "scrub", environment=nobody).stdout
    content = bytearray(pack.read_bytes())
    content[1000] ^= 4
    pack.write_bytes(content)

    blind = atesta(folder, "scrub", environment=nobody, expected=4)
    blind_status = atesta(folder, "status", environment=nobody)
    found = answer(folder, "scrub", "--keyed", "--damaged", expected=4)
    status = atesta(folder, "status")
    again = atesta(folder, "scrub", expected=4)
    backup = atesta(folder, "backup", "--no-verify")
    healed = atesta(folder, "scrub", "--keyed")
    calm = answer(folder, "status")
    prune = answer(folder, "prune")
    clean = answer(folder, "scrub", "--keyed")
    restored = atesta(folder, "restore", "web@latest", "--to", "out", "--format", "raw")

    assert pack.stem in blind.stdout
    assert "atesta scrub --keyed --damaged" in blind.stderr
    assert PASSPHRASE not in blind.stdout + blind.stderr
    assert "damaged until a backup heals" in blind_status.stdout
    (disk,) = found["touched"][0]["disks"]
    assert (disk["number"], disk["ranges"][0]["offset"]) == (0, 0)
    assert disk["bytes"] < SIZE
    point = found["touched"][0]["point_id"][:8]
    assert f"touched: web, point {point}, disk 0" in status.stdout
    assert f"touched: web, point {point}, disk 0" in again.stdout
    assert "healed" in backup.stdout
    assert "waits for a prune" in healed.stdout
    assert "All damage that was found is healed" in healed.stdout
    assert "as it was written" not in healed.stdout
    assert (calm["chunks_damaged"], calm["touched"]) == (0, [])
    assert prune["packs_rewritten"] >= 1
    assert not pack.exists()
    assert clean["damaged"] == []
    assert restored.returncode == 0
    (disk_file,) = (folder / "out").rglob("*.raw")
    assert disk_file.read_bytes() == blake3(b"web").digest(length=SIZE)


def test_nothing_is_asked_and_nothing_read_by_a_dry_run(folder: Path) -> None:
    nobody = {"ATESTA_PASSPHRASE": ""}
    dry = atesta(folder, "scrub", "--dry-run", "--keyed", environment=nobody)

    assert "Would read up to" in dry.stdout
    assert "no terminal to ask" in atesta(folder, "scrub", "--keyed", environment=nobody, expected=3).stderr
    assert "no size" in atesta(folder, "scrub", "--bytes", "much", expected=3).stderr
    assert "no rate" in atesta(folder, "scrub", "--rate", "0", expected=3).stderr
    assert "scrub-started" not in atesta(folder, "events").stdout
