"""Two of every command at once: each ends well or is refused with the next step, and the repository stays whole.

Commands that only read (points, status, health, history, events, metrics, machines) are not here: they take no lock and
record nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest
from blake3 import blake3

from adapters.composition import Atesta
from adapters.configuration import load_configuration
from adapters.mail.outbox import FolderOutbox
from domain.ports.progress import Silent
from domain.workflows.mailing import DeliverySummary
from domain.workflows.restore import restore_disk
from tests.doubles.at_once import Ended, at_once
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.collecting_writer import CollectingWriter
from tests.doubles.dark_lab import NOT_BOOTED, use_dark_lab
from tests.doubles.exported_folder import MACHINE_ID, PASSPHRASE, CommandLine

DONE, BAD_INPUT, BUSY = 0, 3, 6
OTHER_ID = MACHINE_ID.replace("6", "7")
VERSIONS = 3
MAILS = 1
ROUNDS = 2
pytestmark = pytest.mark.process


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Commands that begin together. ``well`` is the code of one that did it, ``refused`` are those of one that did not.

    ``{here}`` in an argument is the folder of it all. ``also`` looks at what the command is for.
    """

    commands: tuple[tuple[str, ...], ...]
    refused: frozenset[int] = frozenset({BUSY})
    well: int = DONE
    also: Callable[[CommandLine], None] = lambda line: None


def twice(*arguments: str, **known: object) -> Case:
    return Case(commands=(arguments, arguments), **known)  # type: ignore[arg-type]


def content(*seeds: int) -> bytes:
    return b"".join(blake3(bytes([seed])).digest(length=200 << 10) for seed in seeds)


WEB = [content(version, version + 1) for version in range(VERSIONS + 1)]
DB = content(50)


def restored_once(line: CommandLine) -> None:
    (image,) = (line.folder / "back").rglob("*.raw")
    assert image.read_bytes() == WEB[VERSIONS - 1]
    assert not list((line.folder / "back").rglob("*.partial"))
    assert not list((line.folder / "back").rglob("unfinished*"))


def each_mail_went_out_once(line: CommandLine) -> None:
    assert len(list((line.folder / "mail").rglob("*.eml"))) == MAILS
    assert FolderOutbox(line.repository / "state" / "outbox").queued() == []


def the_recovered_one_is_whole(line: CommandLine) -> None:
    recovered = CommandLine(line.folder, repository=line.repository)
    recovered.configuration = line.folder / "new.toml"
    assert {one["id"] for one in line.points()} >= {one["id"] for one in recovered.points()}
    assert all_points_restore(recovered) >= VERSIONS


CASES = {
    "backup": twice("backup", "web", "--no-verify"),
    "restore": twice(
        "restore",
        "web@latest",
        "--to",
        "{here}/back",
        "--format",
        "raw",
        refused=frozenset({BUSY, BAD_INPUT}),
        also=restored_once,
    ),
    "verify": twice("verify", "db@latest", well=NOT_BOOTED),
    "expire": twice("expire"),
    "hold": twice("hold", "web@latest", "--reason", "a court", refused=frozenset({BUSY, BAD_INPUT})),
    "release": twice("release", "db@latest", "--reason", "no court", refused=frozenset({BUSY, BAD_INPUT})),
    "prune": twice("prune", "--repack-below", "100"),
    "scrub": twice("scrub"),
    "scrub with the key": twice("scrub", "--keyed"),
    "check": twice("check"),
    "rebuild": twice("rebuild"),
    "recover": twice(
        *("recover", "--from", "{here}/repository", "--state-folder", "{here}/new", "--config-out", "{here}/new.toml"),
        refused=frozenset({BUSY, BAD_INPUT}),
        also=the_recovered_one_is_whole,
    ),
    "run": twice("run"),
    "outbox": twice("outbox", also=each_mail_went_out_once),
    "backup and expire": Case(commands=(("backup", "web", "--no-verify"), ("expire",))),
    "backup and prune": Case(commands=(("backup", "web", "--no-verify"), ("prune", "--repack-below", "100"))),
    "restore and prune": Case(
        commands=(
            ("restore", "web@latest", "--to", "{here}/back", "--format", "raw"),
            ("prune", "--repack-below", "100"),
        ),
        also=restored_once,
    ),
    "scrub and prune": Case(commands=(("scrub", "--keyed"), ("prune", "--repack-below", "100"))),
    "rebuild and backup": Case(commands=(("rebuild",), ("backup", "web", "--no-verify"))),
    "rebuild and check": Case(commands=(("rebuild",), ("check",))),
    "check and backup": Case(commands=(("check",), ("backup", "web", "--no-verify"))),
    "recover and backup": Case(
        commands=(
            (
                "recover",
                "--from",
                "{here}/repository",
                "--state-folder",
                "{here}/new",
                "--config-out",
                "{here}/new.toml",
            ),
            ("backup", "web", "--no-verify"),
        ),
        also=the_recovered_one_is_whole,
    ),
    "run and backup": Case(commands=(("run",), ("backup", "web", "--no-verify"))),
}


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """Three points of one machine, the first one expired; a held one of another; mails that wait; work that is due."""
    line = CommandLine(tmp_path_factory.mktemp("template"))
    with pytest.MonkeyPatch.context() as patch:
        cheap_secrets(patch)
        line.init()
    line.add_machine("db", DB, machine_id=OTHER_ID)
    for version in range(VERSIONS):
        line.add_machine("web", WEB[version])
        assert line.run("backup", "web", "--no-verify").exit_code == DONE
    assert line.run("expire", "--point", line.points()[0]["id"][:8], "--reason", "a test", "--yes").exit_code == DONE
    assert line.run("backup", "db", "--no-verify").exit_code == DONE
    assert line.run("hold", "db@latest", "--reason", "a court").exit_code == DONE
    line.add_machine("web", WEB[VERSIONS])
    with pytest.MonkeyPatch.context() as patch:
        use_dark_lab(patch)
        patch.setattr(Atesta, "deliver_reports", _nobody_delivers)
        assert line.run("verify", "db@latest").exit_code == NOT_BOOTED
    text = line.configuration.read_text().replace("verify = true", "verify = false")
    text = text.replace('verify = "every 24 h"', 'verify = "never"').replace(
        "# [retention]\n# keep_last = 3", RETENTION
    )
    for kind in ("expire", "prune", "scrub"):
        text = text.replace(f"# {kind} = ", f'{kind} = "every 24 h" # ')
    line.configuration.write_text(text)
    return line


RETENTION = "[retention]\nkeep_last = 1"


def _nobody_delivers(_atesta: Atesta) -> DeliverySummary:
    return DeliverySummary(sent=(), perhaps_twice=(), troubles=(), waiting=0)


@pytest.mark.parametrize("name", CASES)
def test_two_at_once_end_well_or_are_refused_and_the_repository_is_whole(
    template: CommandLine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    case = CASES[name]
    use_dark_lab(monkeypatch)
    for number in range(ROUNDS):
        line = template.copied(tmp_path / f"here{number}")

        ends = at_once([partial(ended, line, command) for command in case.commands])

        check_ends(case, ends)
        assert line.run("check").exit_code == DONE
        assert all_points_restore(line) >= 2
        case.also(line)


def test_two_inits_in_one_folder_make_one_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cheap_secrets(monkeypatch)
    line = CommandLine(tmp_path)
    line.exports.mkdir()
    command = ("init", str(line.repository), "--exports", str(line.exports))

    ends = at_once([partial(ended, line, command)] * 2)

    check_ends(Case(commands=(command,) * 2, refused=frozenset({BUSY, BAD_INPUT})), ends)
    line.add_machine("web", WEB[0])
    assert line.run("backup", "--no-verify").exit_code == DONE
    assert line.restored("web@latest", tmp_path / "back") == [WEB[0]]


def test_two_inits_with_a_configuration_each_make_one_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cheap_secrets(monkeypatch)
    lines = [CommandLine(tmp_path), CommandLine(tmp_path)]
    lines[1].configuration = tmp_path / "other.toml"
    lines[0].exports.mkdir()
    command = ("init", str(lines[0].repository), "--exports", str(lines[0].exports))

    ends = at_once([partial(ended, line, command) for line in lines])

    check_ends(Case(commands=(command,) * 2, refused=frozenset({BUSY, BAD_INPUT})), ends)
    (winner,) = [line for line, end in zip(lines, ends, strict=True) if end.exit_code == DONE]
    winner.add_machine("web", WEB[0])
    assert winner.run("backup", "--no-verify").exit_code == DONE
    assert [line.configuration.exists() for line in lines] == [end.exit_code == DONE for end in ends]


def ended(line: CommandLine, command: tuple[str, ...]) -> tuple[int, str]:
    done = line.run(*(argument.format(here=line.folder) for argument in command))
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.exit_code, done.output


def check_ends(case: Case, ends: list[Ended]) -> None:
    """Somebody did it; whoever did not says what to do now. Different commands do not keep each other from it."""
    told = "\n".join(f"{one.exit_code}: {one.output}" for one in ends)
    assert {one.exit_code for one in ends} <= {case.well, *case.refused}, told
    assert case.well in {one.exit_code for one in ends}, told
    for end in ends:
        assert end.exit_code == case.well or len(end.output.strip().splitlines()) >= 2, told


def all_points_restore(line: CommandLine) -> int:
    """Every restore point restores bit for bit; returns how many there are."""
    atesta = Atesta(load_configuration(line.configuration))
    reader = atesta.reader(atesta.open_vault(PASSPHRASE))
    atesta.catalog.catch_up()
    points = list(atesta.catalog.points())
    for point in points:
        (disk,) = point.disks
        writer = CollectingWriter(disk.size_bytes)
        restore_disk(reader, disk, writer, Silent())
        assert bytes(writer.content) in ([DB] if point.machine.name == "db" else WEB)
    atesta.catalog.close()
    atesta.index.close()
    atesta.log.close()
    return len(points)


def test_a_command_that_is_cut_off_is_told(tmp_path: Path) -> None:
    """The negative control: an unexpected fault is not taken for an end."""
    broken = CommandLine(tmp_path)

    ends = at_once([partial(ended, broken, ("points",)), lambda: (1 // 0, "")])

    assert ends[0].exit_code == BAD_INPUT
    assert "ZeroDivisionError" in ends[1].output
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        check_ends(CASES["backup"], ends)
