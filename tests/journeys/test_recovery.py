"""The machine that ran Atesta is lost; the repository folder and the passphrase, or the recovery key, are left."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.doubles.exported_folder import recovery_key_in
from tests.journeys.command import answer, atesta

pytestmark = pytest.mark.process


@pytest.fixture
def lost(tmp_path: Path, exports: Path) -> tuple[Path, list[dict[str, object]], str]:
    """Two points of one disk, then the state folder and the configuration are gone; also the points, and the key."""
    told = atesta(tmp_path, "init", "--exports", str(exports)).stdout
    atesta(tmp_path, "backup", "--no-verify")
    (tmp_path / "first.raw").write_bytes((exports / "files.raw").read_bytes())
    with (exports / "files.raw").open("r+b") as disk:
        disk.seek(50 << 20)
        disk.write(b"changed" * 1000)
    atesta(tmp_path, "backup", "--no-verify")
    assert answer(tmp_path, "status")["events_unshipped"] == 0
    points = answer(tmp_path, "points")
    shutil.rmtree(tmp_path / "repository" / "state")
    (tmp_path / "atesta.toml").unlink()
    return tmp_path, points, recovery_key_in(told)


def restored(home: Path, point: object, into: str) -> bytes:
    found = answer(home, "restore", str(point), "--to", into, "--format", "raw")
    (disk,) = [Path(file) for file in found["files"] if file.endswith(".raw")]
    return (home / disk).read_bytes()


@pytest.mark.parametrize("secret", ["passphrase", "recovery key"])
def test_everything_comes_back_from_the_store(
    lost: tuple[Path, list[dict[str, object]], str], exports: Path, secret: str
) -> None:
    home, points, recovery_key = lost
    environment = {"ATESTA_PASSPHRASE": recovery_key} if secret == "recovery key" else {}

    told = atesta(
        home, "recover", "--from", "repository", "--config-out", "atesta.toml", environment=environment
    ).stdout

    assert "Nothing that was shipped is missing." in told
    assert answer(home, "points") == points
    assert restored(home, points[0]["id"], "one") == (home / "first.raw").read_bytes()
    assert restored(home, points[1]["id"], "two") == (exports / "files.raw").read_bytes()

    configuration = home / "atesta.toml"
    configuration.write_text(configuration.read_text().replace("exports = []", f'exports = ["{exports}"]'))
    (third,) = answer(home, "backup", "--no-verify")
    assert third["new_bytes"] == 0
    assert answer(home, "status")["events_unshipped"] == 0
    shutil.rmtree(home / "repository" / "state")
    again = answer(home, "recover", "--from", "repository")
    assert again["whole"]
    assert [point["id"] for point in answer(home, "points")] == [*(point["id"] for point in points), third["point_id"]]


def test_points_come_back_from_packs_alone(lost: tuple[Path, list[dict[str, object]], str], exports: Path) -> None:
    home, points, _recovery_key = lost
    shutil.rmtree(home / "repository" / "log")

    found = answer(home, "recover", "--from", "repository", "--config-out", "atesta.toml", expected=4)

    assert [point["id"] for point in found["points_found"]] == [point["id"] for point in points]
    assert not found["whole"]
    listed = answer(home, "points")
    assert [point["id"] for point in listed] == [point["id"] for point in points]
    assert "its history is lost" in listed[0]["cause"]
    assert restored(home, points[0]["id"], "one") == (home / "first.raw").read_bytes()
    assert restored(home, points[1]["id"], "two") == (exports / "files.raw").read_bytes()


def test_a_recovery_never_overwrites_and_says_what_to_do(lost: tuple[Path, list[dict[str, object]], str]) -> None:
    home, points, _recovery_key = lost
    atesta(home, "recover", "--from", "repository", "--config-out", "atesta.toml")

    refused = atesta(home, "recover", "--from", "repository", expected=3)
    atesta(home, "recover", "--from", "repository", "--config-out", "atesta.toml", expected=3)
    beside = answer(home, "recover", "--from", "repository", "--state-folder", "beside")

    assert "move the folder" in refused.stderr
    assert (beside["whole"], (home / "beside" / "events.sqlite").exists()) == (True, True)
    assert answer(home, "points") == points


def test_a_drill_beside_the_living_installation_changes_nothing_for_it(
    lost: tuple[Path, list[dict[str, object]], str], exports: Path
) -> None:
    home, _points, _recovery_key = lost
    atesta(home, "recover", "--from", "repository", "--config-out", "atesta.toml")
    before = sorted(path.name for path in (home / "repository").rglob("*") if "state" not in path.parts)

    atesta(home, "recover", "--from", "repository", "--state-folder", "drill", "--config-out", "drill.toml")

    assert sorted(path.name for path in (home / "repository").rglob("*") if "state" not in path.parts) == before
    for name in ("atesta.toml", "drill.toml"):
        text = (home / name).read_text().replace("exports = []", f'exports = ["{exports}"]')
        (home / name).write_text(text)
    atesta(home, "backup", "--no-verify")
    refused = atesta(home, "--config", "drill.toml", "backup", "--no-verify", expected=4)
    assert "another installation wrote to the" in refused.stderr
    assert answer(home, "status")["points"] == 3


def test_a_lost_state_folder_is_answered_with_the_way_back(lost: tuple[Path, list[dict[str, object]], str]) -> None:
    home, _points, _recovery_key = lost
    (home / "atesta.toml").write_text('[repository]\nfolder = "repository"\n')

    assert "atesta recover --from" in atesta(home, "status", expected=4).stderr
    atesta(home, "recover", "--from", "repository")
    assert answer(home, "status")["points"] == 2


def test_a_wrong_key_and_a_wrong_folder_are_refused(lost: tuple[Path, list[dict[str, object]], str]) -> None:
    home, _points, _recovery_key = lost

    atesta(home, "recover", "--from", "repository", expected=7, environment={"ATESTA_PASSPHRASE": "wrong one"})
    nowhere = atesta(home, "recover", "--from", "exports", expected=3)

    assert "repository.json" in nowhere.stderr
    assert not (home / "repository" / "state" / "events.sqlite").exists()
