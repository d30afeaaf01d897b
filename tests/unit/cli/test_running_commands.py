"""``atesta run``, ``history``, ``health`` and ``metrics`` over a real repository."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.cells import cell_len
from rich.console import Console

from adapters.cli.history import print_history
from adapters.configuration import load_configuration
from domain.errors import BadInputError
from domain.model.activity import Activity
from tests.doubles.conditions import backup, verification
from tests.doubles.exported_folder import CommandLine

DISK = bytes(range(256)) * 4096
ONLY_BACKUP = ("run", "--only", "backup")


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A repository with one machine that was not backed up yet; backups are not verified."""
    made = CommandLine(tmp_path)
    made.init()
    made.add_machine("web", DISK)
    configure(made, "verify = true", "verify = false")
    return made


def configure(line: CommandLine, old: str, new: str) -> None:
    text = line.configuration.read_text()
    assert old in text
    line.configuration.write_text(text.replace(old, new, 1))


def answer(line: CommandLine, *arguments: str, expected: int = 0) -> Any:
    done = line.run(*arguments, "--json")
    assert done.exit_code == expected, done.output
    return json.loads(done.stdout)


def test_a_run_backs_up_what_is_due_and_the_next_one_does_not(line: CommandLine) -> None:
    first = line.run(*ONLY_BACKUP)

    assert first.exit_code == 0, first.output
    assert "backup of web: begins, never done before" in first.stdout
    assert re.search(r"backup of web: done after .* read, .* new, .* stored", first.stdout)
    assert len(line.points()) == 1
    assert line.run(*ONLY_BACKUP).stdout == "Nothing is due.\n"
    assert len(line.points()) == 1


def test_a_dry_run_says_what_is_due_and_why_and_does_nothing(line: CommandLine) -> None:
    found = {(one["job"], one["machine"]): one for one in answer(line, "run", "--dry-run")}

    assert found["backup", "web"]["due"]
    assert found["backup", "web"]["reason"] == "never done before"
    assert line.points() == []
    assert line.run(*ONLY_BACKUP).exit_code == 0
    found = {(one["job"], one["machine"]): one for one in answer(line, "run", "--dry-run")}
    assert not found["backup", "web"]["due"]
    assert found["backup", "web"]["next_at"] > found["backup", "web"]["last_succeeded_at"]
    assert found["backup", "web"]["schedule"] == "every 24 h"
    assert "last at" in line.run("run", "--dry-run").stdout


def test_a_backup_by_hand_counts(line: CommandLine) -> None:
    assert line.run("backup", "--no-verify").exit_code == 0

    assert line.run(*ONLY_BACKUP).stdout == "Nothing is due.\n"


def test_a_machine_with_a_schedule_of_its_own_is_left_out(line: CommandLine) -> None:
    with line.configuration.open("a") as file:
        file.write('\n[[schedule.machines]]\nmatch = "we*"\nbackup = "never"\n')

    assert line.run(*ONLY_BACKUP).stdout == "Nothing is due.\n"


def test_one_machine_that_cannot_be_read_keeps_no_other_from_its_backup(line: CommandLine) -> None:
    line.add_machine("bad", DISK[:-1], machine_id="0fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11")

    told = answer(line, *ONLY_BACKUP, expected=9)

    assert {job["machine"]: job["result"] for job in told["jobs"]} == {"bad": "failed", "web": "done"}
    assert [point["machine"] for point in line.points()] == ["web"]
    assert answer(line, "health", expected=2)["findings"][0]["subject"] == "bad"


def test_machines_that_cannot_be_listed_are_a_failure_that_ends_with_the_next_success(line: CommandLine) -> None:
    hidden = line.exports.rename(line.folder / "hidden")

    told = answer(line, *ONLY_BACKUP, expected=9)

    assert [(job["machine"], job["result"]) for job in told["jobs"]] == [("", "failed")]
    hidden.rename(line.exports)
    told = answer(line, *ONLY_BACKUP)
    assert [(job["machine"], job["result"]) for job in told["jobs"]] == [("web", "done")]


def test_a_wrong_passphrase_fails_the_backup_and_is_tried_once(line: CommandLine) -> None:
    line.add_machine("db", DISK, machine_id="0fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11")

    done = line.run(*ONLY_BACKUP, passphrase="wrong horse battery")

    assert done.exit_code == 9
    assert done.stderr.count("passphrase does not open") == 2


def test_systemd_hands_the_passphrase_over(line: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "atesta-passphrase").write_text("correct horse battery\n")
    (credentials / "atesta-passphrase").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))

    assert line.run(*ONLY_BACKUP, passphrase="").exit_code == 0
    assert len(line.points()) == 1


def test_retention_runs_by_its_schedule(line: CommandLine) -> None:
    with line.configuration.open("a") as file:
        file.write("\n[retention]\nkeep_last = 1\n")
    for _ in range(3):
        assert line.run("backup", "--no-verify").exit_code == 0

    (job,) = answer(line, "run", "--only", "expire")["jobs"]

    assert (job["result"], job["said"]) == ("done", "2 expired, 1 kept, of 1 machines")
    assert len(line.points()) == 1
    assert answer(line, "run", "--only", "expire")["jobs"] == []
    (entry,) = [one for one in answer(line, "history") if one["kind"] == "retention"]
    assert (entry["numbers"]["expired"], entry["numbers"]["kept"]) == (2, 1)


def test_prune_and_scrub_run_by_their_schedules(line: CommandLine) -> None:
    assert line.run("backup", "--no-verify").exit_code == 0

    told = answer(line, "run", "--only", "prune,scrub")

    assert [(job["job"], job["result"]) for job in told["jobs"]] == [("prune", "done"), ("scrub", "done")]
    assert answer(line, "run", "--only", "prune,scrub")["jobs"] == []
    assert [one["kind"] for one in answer(line, "history")] == ["scrub", "prune", "run", "backup"]


def test_damage_that_a_scrub_finds_is_told_everywhere_and_not_looked_for_again_at_once(line: CommandLine) -> None:
    assert line.run("backup", "--no-verify").exit_code == 0
    configure(line, "[schedule]", '[schedule]\nretry_after = "1 min"')
    largest = max(line.repository.glob("packs/*/*.pack"), key=lambda path: path.stat().st_size)
    damaged = bytearray(largest.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    largest.write_bytes(damaged)

    (job,) = answer(line, "run", "--only", "scrub", expected=9)["jobs"]

    assert job["result"] == "damaged"
    assert largest.stem in job["said"]
    assert answer(line, "run", "--only", "scrub")["jobs"] == []
    assert "chunks are damaged" in answer(line, "health", expected=2)["findings"][0]["what"]
    (entry,) = [one for one in answer(line, "history") if one["kind"] == "scrub"]
    assert entry["numbers"]["packs_damaged"] == 1


def test_a_kind_of_work_that_does_not_exist_is_named(line: CommandLine) -> None:
    done = line.run("run", "--only", "backup,launder")

    assert done.exit_code == 3
    assert "launder" in done.stderr


def test_a_run_writes_the_metrics_at_its_end(line: CommandLine) -> None:
    with line.configuration.open("a") as file:
        file.write('\n[metrics]\nfile = "atesta.prom"\n')

    assert line.run(*ONLY_BACKUP).exit_code == 0

    families = {
        family.name: family for family in text_string_to_metric_families((line.folder / "atesta.prom").read_text())
    }
    (sample,) = families["atesta_machine_last_backup_read_bytes"].samples
    assert (sample.labels["machine"], sample.value) == ("web", len(DISK))
    assert families["atesta_job_failures"].samples[0].value == 0


def test_metrics_are_printed_or_written_and_need_no_passphrase(line: CommandLine) -> None:
    assert line.run(*ONLY_BACKUP).exit_code == 0

    printed = line.run("metrics", passphrase="")
    assert line.run("metrics", "--to", str(line.folder / "x.prom"), passphrase="").exit_code == 0

    assert printed.exit_code == 0
    assert {family.name for family in text_string_to_metric_families(printed.stdout)} == {
        family.name for family in text_string_to_metric_families((line.folder / "x.prom").read_text())
    }


def test_metrics_into_a_folder_that_is_missing_make_the_run_fail(line: CommandLine) -> None:
    with line.configuration.open("a") as file:
        file.write('\n[metrics]\nfile = "none/atesta.prom"\n')

    done = line.run(*ONLY_BACKUP)

    assert done.exit_code == 9
    assert "metrics cannot be written" in done.stderr
    assert len(line.points()) == 1


def test_health_is_one_line_with_the_code_of_its_level(line: CommandLine) -> None:
    def told() -> tuple[int, str]:
        done = line.run("health", passphrase="")
        assert done.stderr == ""
        assert done.stdout.count("\n") == 1
        return done.exit_code, done.stdout.split(" | ")[0]

    assert told() == (1, "ATESTA WARNING: repository: no machine was backed up yet")
    assert line.run(*ONLY_BACKUP).exit_code == 0
    assert told() == (1, "ATESTA WARNING: web: was never verified")
    with line.configuration.open("a") as file:
        file.write('\n[health]\nverified_age_warning = "never"\nfree_percent_warning = 0\nfree_percent_critical = 0\n')
    assert told() == (0, "ATESTA OK: 1 machines, 1 restore points")
    assert "machines=1 points=1 stored=" in line.run("health").stdout


def test_health_without_a_repository_is_unknown(line: CommandLine) -> None:
    line.configuration.write_text("[repository]\nfolder = 'nowhere'\n")
    done = line.run("health")
    assert (done.exit_code, done.stdout.count("\n")) == (3, 1)
    assert done.stdout.startswith("ATESTA UNKNOWN: ")

    line.configuration.write_text("[health]\nmisspelt = 1\n")
    assert answer(line, "health", expected=3)["level"] == "UNKNOWN"


def test_the_history_has_a_line_for_each_thing_done_the_newest_first(line: CommandLine) -> None:
    assert line.run(*ONLY_BACKUP).exit_code == 0
    assert line.run("backup", "--no-verify").exit_code == 0

    listed = line.run("history", passphrase="").stdout.splitlines()

    assert listed[0].split() == ["WHEN", "WHAT", "MACHINE", "RESULT", "READ", "NEW", "STORED", "TIME"]
    assert [row.split()[2] for row in listed[1:]] == ["backup", "backup", "run"]
    assert "incremental: " in listed[1]
    assert "full: " in listed[2]
    entries = answer(line, "history", "web", "--days", "1")
    assert [(one["kind"], one["machine_name"], one["state"]) for one in entries] == [("backup", "web", "completed")] * 2
    assert answer(line, "history", "--failed") == []
    assert len(answer(line, "history", "--limit", "1")) == 1
    assert line.run("history", "nobody").exit_code == 3


@pytest.mark.parametrize("width", [80, 100, 140])
def test_the_history_is_readable_at_any_width(width: int) -> None:
    hostile = "a\x1b[31m\n" + "x" * 60
    shown = _printed(
        [backup(machine_name="web", what="full: first"), verification(machine_name=hostile, what="point 12345678")],
        width,
    )

    assert all(cell_len(row) <= width for row in shown)
    assert len(shown) == 3
    assert "\x1b" not in "".join(shown)
    assert ("full: first" in shown[1]) is (width >= 100)


def test_the_history_tells_errors_in_full_below_their_line() -> None:
    error = "The disk is full. " * 12

    line, told = _printed([backup(error=error, what="full: first")], 80)[1:]

    assert "full: first" not in line
    assert told.strip() == error.strip()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('[schedule]\nbackup = "sometimes"', "backup: 'sometimes' is no schedule"),
        ('[schedule]\nscrub = "daily at 25:00"', "scrub: 'daily at 25:00' is no schedule"),
        ('[schedule]\nretry_after = "soon"', "retry_after: 'soon' is no time"),
        ("[schedule]\nverify_points_max = 0", "schedule.verify_points_max"),
        ('[[schedule.machines]]\nmatch = "a"\nbackup = "x"', "backup: 'x' is no schedule"),
        ('[health]\nbackup_age_warning = "x"', "backup_age_warning: 'x' is no time"),
        ('[health]\nbackup_age_warning = "3 d"', "backup_age_critical: '54 h' is less"),
        ("[health]\nfree_percent_warning = 101", "health.free_percent_warning"),
    ],
)
def test_a_wrong_value_in_the_configuration_is_named_with_its_key(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "atesta.toml"
    file.write_text(text)

    with pytest.raises(BadInputError) as refused:
        load_configuration(file)

    assert named in refused.value.what


def _printed(activities: Sequence[Activity], width: int) -> list[str]:
    console = Console(width=width, force_terminal=True, color_system=None, highlight=False)
    with console.capture() as captured:
        print_history(console, activities)
    return captured.get().splitlines()


def test_a_host_that_is_down_is_a_job_that_failed_and_keeps_no_other_machine_from_its_backup(line: CommandLine) -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        (line.folder / "password").write_text("secret")
        (line.folder / "password").chmod(0o600)
        host = f'name = "hv1"\naddress = "127.0.0.1"\nport = {silent.getsockname()[1]}\nhttps = false\nuser = "u"\n'
        line.configuration.write_text(
            f'{line.configuration.read_text()}\n[[host]]\n{host}password_file = "{line.folder}/password"\n'
        )
        done = line.run(*ONLY_BACKUP)

    assert done.exit_code == 9, done.output
    assert "The host refuses connections on this port" in done.output
    assert "secret" not in done.output
    assert [point["machine"] for point in line.points()] == ["web"]


def test_when_every_source_is_in_trouble_each_of_them_is_told(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATESTA_HOST_PASSWORD_HV1", "a secret")
    host = '\n[[host]]\nname = "hv1"\naddress = "127.0.0.1"\nport = 1\nuser = "somebody"\n'
    line.configuration.write_text(line.configuration.read_text() + host)
    line.exports.rename(line.folder / "away")

    done = line.run("machines")

    assert done.exit_code == 3
    assert "folder of exported machines does not exist" in done.output
    assert "refuses connections" in done.output
