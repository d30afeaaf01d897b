"""The first day with Atesta: from nothing to a restored disk, and what it says when something is wrong."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.doubles.exported_folder import recovery_key_in
from tests.journeys.command import PASSPHRASE, answer, atesta, variables

pytestmark = pytest.mark.process


@pytest.fixture
def home(tmp_path: Path, exports: Path) -> Path:
    """A folder with a new repository whose source is ``exports``."""
    atesta(tmp_path, "init", "--exports", str(exports))
    return tmp_path


def test_a_disk_is_backed_up_listed_and_restored_bit_for_bit(home: Path, exports: Path) -> None:
    assert [machine["name"] for machine in answer(home, "machines")] == ["files"]
    told = atesta(home, "backup", "--no-verify").stdout
    assert "files is backed up as" in told
    assert "Next: `atesta verify" in told
    (point,) = answer(home, "points")
    assert point["size_bytes"] == 64 << 20
    for image_format in ("raw", "vhdx", "qcow2"):
        to = home / image_format
        restored = answer(home, "restore", "files@latest", "--to", str(to), "--format", image_format)
        (disk,) = [file for file in restored["files"] if file.endswith(f".{image_format}")]
        compared = subprocess.run(["qemu-img", "compare", str(exports / "files.raw"), str(home / disk)], check=False)
        assert compared.returncode == 0


def test_a_second_backup_stores_nothing_again_but_the_point_s_manifest(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    (second,) = answer(home, "backup", "--no-verify", "--full")
    assert second["new_bytes"] == 0
    assert 0 < second["stored_bytes"] < 4096
    assert second["duplicate_bytes"] > 3_000_000


def test_a_disk_in_a_vhdx_is_the_same_content_as_the_raw_one(home: Path, exports: Path) -> None:
    atesta(home, "backup", "--no-verify")
    vhdx = exports / "copy.vhdx"
    subprocess.run(["qemu-img", "convert", "-O", "vhdx", str(exports / "files.raw"), str(vhdx)], check=True)
    answer(home, "backup", "copy", "--no-verify")
    of_raw, of_vhdx = answer(home, "points")
    assert of_raw["disks"][0]["root"] == of_vhdx["disks"][0]["root"]
    assert of_vhdx["new_bytes"] == 0


def test_the_history_tells_the_backup_in_order(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    lines = atesta(home, "events").stdout.splitlines()
    names = [line.split()[3] for line in lines]
    seed = [names.index(name) for name in ("prepare-for-snapshot", "snapshot-taken", "post-snapshot")]
    assert seed == sorted(seed)
    assert names[0] == "repository-created"
    assert names[-2:] == ["restore-point-committed", "backup-completed"]


def test_status_and_rebuild_agree_with_what_happened(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    before = answer(home, "status")
    points = answer(home, "points")
    atesta(home, "rebuild")
    assert answer(home, "status") == before
    assert answer(home, "points") == points
    assert before["points"] == 1


def test_the_recovery_key_opens_the_repository(tmp_path: Path, exports: Path) -> None:
    told = atesta(tmp_path, "init", "--exports", str(exports)).stdout
    recovery_key = recovery_key_in(told)
    atesta(tmp_path, "backup", "--no-verify")
    atesta(
        tmp_path,
        "restore",
        "files@latest",
        "--to",
        "out",
        environment={"ATESTA_PASSPHRASE": recovery_key.lower().replace("-", " ")},
    )


def test_a_wrong_passphrase_is_refused_with_its_own_exit_code(home: Path) -> None:
    refused = atesta(home, "backup", "--no-verify", expected=7, environment={"ATESTA_PASSPHRASE": "wrong one"})
    assert "passphrase does not open" in refused.stderr
    assert "wrong one" not in refused.stderr


def test_the_passphrase_comes_from_a_file_that_only_its_owner_reads(tmp_path: Path, exports: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text(PASSPHRASE + "\n")
    secret.chmod(0o644)
    unset = {"ATESTA_PASSPHRASE": ""}
    arguments = ("init", "--exports", str(exports), "--passphrase-file", str(secret))
    refused = atesta(tmp_path, *arguments, expected=3, environment=unset)
    assert "chmod 600" in refused.stderr
    secret.chmod(0o600)
    atesta(tmp_path, *arguments, environment=unset)
    atesta(tmp_path, "backup", "--no-verify", environment=unset)


def test_without_a_passphrase_and_a_terminal_the_message_says_what_to_set(home: Path) -> None:
    refused = atesta(home, "backup", "--no-verify", expected=3, environment={"ATESTA_PASSPHRASE": ""})
    assert "ATESTA_PASSPHRASE" in refused.stderr


def test_an_existing_file_is_not_overwritten_without_being_told_to(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    atesta(home, "restore", "files@latest", "--to", "out")
    refused = atesta(home, "restore", "files@latest", "--to", "out", expected=3)
    assert "in the way" in refused.stderr
    atesta(home, "restore", "files@latest", "--to", "out", "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "exit_code", "said"),
    [
        (("restore", "nobody@latest", "--to", "x"), 3, "no such restore point"),
        (("restore", "zzz", "--to", "x"), 3, "names no restore point"),
        (("restore", "files@2026-13-45", "--to", "x"), 3, "names no restore point"),
        (("backup", "nobody*"), 3, "No machine matches"),
        (("verify",), 3, "Name one restore point"),
        (("points", "nobody"), 3, "No machine matches"),
        (("init",), 3, "configuration already"),
        (("frobnicate",), 2, "No such command"),
        (("--config", "missing.toml", "status"), 3, "no configuration"),
    ],
)
def test_bad_input_is_answered_with_what_is_wrong(
    home: Path, arguments: tuple[str, ...], exit_code: int, said: str
) -> None:
    assert said in atesta(home, *arguments, expected=exit_code).stderr


def test_a_misspelt_key_of_the_configuration_is_named(home: Path) -> None:
    file = home / "atesta.toml"
    file.write_text(file.read_text().replace("exclude_swap", "exclude_swop"))
    assert "exclude_swop" in atesta(home, "status", expected=3).stderr


def test_a_dry_run_stores_nothing(home: Path) -> None:
    assert "Would back up files" in atesta(home, "backup", "--dry-run").stdout
    assert answer(home, "points") == []


def test_what_is_secret_is_readable_by_the_owner_only(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    state = home / "repository" / "state"
    assert stat.S_IMODE(state.stat().st_mode) == 0o700
    everything = b"".join(
        path.read_bytes() for path in home.rglob("*") if path.is_file() and "exports" not in str(path)
    )
    assert PASSPHRASE.encode() not in everything


def test_a_damaged_pack_is_named_and_other_points_restore(home: Path, exports: Path) -> None:
    atesta(home, "backup", "--no-verify")
    other = exports / "other.raw"
    other.write_bytes(b"\x5a" * (1 << 20) + bytes(1 << 20))
    atesta(home, "backup", "other", "--no-verify")
    first = _largest_pack(home)
    damaged = bytearray(first.read_bytes())
    damaged[len(damaged) // 2] ^= 0x10
    first.write_bytes(damaged)
    refused = atesta(home, "restore", "files@latest", "--to", "out", "--format", "raw", expected=4)
    assert first.stem in refused.stderr.replace("\n", "")
    assert not list((home / "out").rglob("*.raw"))
    atesta(home, "restore", "other@latest", "--to", "out2", "--format", "raw")


def _largest_pack(home: Path) -> Path:
    """The largest pack: the one that holds the files' content."""
    return max((home / "repository" / "packs").rglob("*.pack"), key=lambda path: path.stat().st_size)


def test_a_reader_that_goes_away_is_no_error(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    for arguments in ("points", "points --json", "status", "events --json", "machines"):
        line = f"{sys.executable} -m adapters.cli.main {arguments} | true; echo ${{PIPESTATUS[0]}}"
        done = subprocess.run(["bash", "-c", line], cwd=home, env=variables(), capture_output=True, text=True)
        assert (done.stdout, done.stderr) == ("0\n", ""), arguments


def test_output_for_which_there_is_no_room_is_trouble_with_this_machine(home: Path) -> None:
    atesta(home, "backup", "--no-verify")
    for arguments in ("points", "points --json", "events"):
        with Path("/dev/full").open("w") as full:
            command = [sys.executable, "-m", "adapters.cli.main", *arguments.split()]
            done = subprocess.run(command, cwd=home, env=variables(), stdout=full, stderr=subprocess.PIPE, text=True)
        assert done.returncode == 5, arguments
        assert "output cannot be written" in done.stderr
        assert "Traceback" not in done.stderr


def test_a_machine_whose_swap_is_to_be_kept_and_is_not_there_is_told(home: Path) -> None:
    file = home / "atesta.toml"
    file.write_text(file.read_text().replace('# keep_swap_of = ["sql*"]', 'keep_swap_of = ["fil*", "sqk*"]'))
    for arguments in (("machines",), ("backup", "--dry-run")):
        told = atesta(home, *arguments).stderr
        assert "keep_swap_of names no machine: 'sqk*'" in told
        assert "fil*" not in told


def test_control_characters_of_a_machine_reach_no_terminal(home: Path, exports: Path) -> None:
    broken = exports / "a\x1b]0;b\x07"
    broken.mkdir()
    (broken / "machine.json").write_text('{"disks": [{"file": "\\u001b[2Jx"}]}')
    shown = atesta(home, "machines")
    failed = atesta(home, "backup", "a*", "--no-verify", expected=3)
    assert "was not backed up" in failed.stderr
    assert not {"\x1b", "\x07"} & set(shown.stdout + shown.stderr + failed.stdout + failed.stderr)


def test_a_command_whose_streams_are_closed_does_its_work(home: Path) -> None:
    for arguments in ("backup --no-verify", "points --json", "status"):
        line = f"{sys.executable} -m adapters.cli.main {arguments} <&- >&- 2>&-"
        assert subprocess.run(["bash", "-c", line], cwd=home, env=variables(), check=False).returncode == 0, arguments
    assert len(answer(home, "points")) == 1
