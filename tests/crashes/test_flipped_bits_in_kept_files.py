"""A bit flips in a file that is neither pack nor database: shipped history, pictures, mails, and write-ahead logs.

``KINDS`` names every kind of file that a used repository holds, and the test that flips bits in it: a new kind of file
makes a test fail.
"""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.checking import Checked, checked_files
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.kept_file_checks import check_outbox, check_pictures, check_shipped_history
from adapters.mail.folder_transport import FolderTransport
from adapters.mail.outbox import FolderOutbox
from adapters.stores.folder import FolderPackStore
from adapters.stores.folder_log import FolderLogStore
from domain.errors import BusyError, DamagedDataError
from domain.workflows.mailing import deliver_due
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.dark_lab import NOT_BOOTED, use_dark_lab
from tests.doubles.exported_folder import CommandLine
from tests.doubles.flips import flip, flipped
from tests.doubles.scripted_source import HandClock
from tests.doubles.sweeps import noise

WAL_SAMPLES = 50
WAL_HEADER_BYTES = 32
SAMPLES = 40
SIZE = 512 * 300
DATABASES = ("events", "catalog", "chunk-index")
KINDS = {
    r"repository\.json": "test_flipped_bits: description",
    r"packs/[0-9a-f]{2}/[0-9a-f]{64}\.pack": "test_flipped_bits: packs",
    r"state/repository-copy\.json": "test_flipped_bits: description",
    r"state/(events|catalog|chunk-index)\.sqlite": "test_flipped_bits: databases",
    r"log/[0-9a-f]{16}-[0-9a-f]{16}-[0-9a-f]{64}\.events": "here",
    r"heads/[0-9a-f]{16}\.head": "here",
    r"state/(events|catalog|chunk-index)\.sqlite-(wal|shm)": "here",
    r"state/pictures/[0-9a-f]{64}\.(png|gif)": "here",
    r"state/outbox/[0-9a-z._-]+\.mail": "here",
    r"state/outbox/[0-9a-z._-]+\.state": "here",
    r"state/outbox/sent/[0-9a-z._-]+\.state": "here",
    r"state/run\.json": "here",
    r"state/head-request\.txt": "test_head_request: characters",
    r"state/transparency-log\.sqlite": "here",
    r"state/(locks/[0-9a-f]{32}|(catalog|chunk-index)\.sqlite|outbox/|lab/lab)\.lock": "empty",
}
pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def used(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A repository after two backups and verifications, one mail sent and one in its second attempt.

    It stands as a power cut left it while a command ran: with write-ahead logs that hold what was committed last.
    """
    line = CommandLine(tmp_path_factory.mktemp("alive") / "here")
    line.folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        cheap_secrets(patch)
        use_dark_lab(patch)
        line.init()
        line.add_machine("web", noise(1, SIZE))
        assert line.run("backup").exit_code == NOT_BOOTED
        with SQLiteEventLog(line.repository / "state" / "events.sqlite"):  # who has it open keeps its log alive
            line.add_machine("web", noise(2, SIZE))
            patch.setattr("adapters.mail.folder_transport.FolderTransport.deliver", _greylisted)
            assert line.run("backup").exit_code == NOT_BOOTED
            (line.repository / "state" / "run.json").write_text("{}")
            assert (
                line.run("audit", "head", "--unsigned", "-o", f"{line.repository}/state/head-request.txt").exit_code
                == 0
            )
            left = line.copied(tmp_path_factory.mktemp("left") / "here")
    return left


def _greylisted(_transport: FolderTransport, _mail: object) -> None:
    raise BusyError("Come back later.")


@pytest.fixture
def line(used: CommandLine, tmp_path: Path) -> CommandLine:
    return used.copied(tmp_path / "copy")


def files_of(line: CommandLine, pattern: str) -> list[Path]:
    found = sorted(line.repository.glob(pattern))
    assert found, pattern
    return found


def samples_of(path: Path) -> range:
    size = path.stat().st_size
    return range(0, size, max(1, size // SAMPLES))


def checked(line: CommandLine) -> list[Checked]:
    state = line.repository / "state"
    names = [state / f"{name}.sqlite" for name in DATABASES]
    return list(checked_files(FolderPackStore(line.repository), *names))


def troubles(line: CommandLine) -> list[str]:
    return [str(one.trouble) for one in checked(line) if one.trouble is not None]


def test_every_kind_of_file_that_a_used_repository_holds_is_flipped_somewhere(used: CommandLine) -> None:
    names = [path.relative_to(used.repository).as_posix() for path in used.repository.rglob("*") if path.is_file()]

    kinds = {name: [kind for kind in KINDS if re.fullmatch(kind, name)] for name in names}

    assert [name for name, found in kinds.items() if len(found) != 1] == []
    assert {kind for found in kinds.values() for kind in found} == set(KINDS)
    empty = [name for name, (kind,) in kinds.items() if KINDS[kind] == "empty"]
    assert [(used.repository / name).stat().st_size for name in empty] == [0] * len(empty)


def test_nothing_is_told_of_a_repository_that_is_whole(line: CommandLine) -> None:
    assert troubles(line) == []
    assert line.run("check").exit_code == 0


def test_a_bit_in_the_shipped_history_is_named_and_what_it_held_is_shipped_anew(line: CommandLine) -> None:
    store = FolderLogStore(line.repository)
    for path in files_of(line, "log/*.events"):
        for offset in samples_of(path):
            with flipped(path, offset), pytest.raises(DamagedDataError, match=path.name):
                check_shipped_history(store, line.repository / "state" / "events.sqlite")

    damaged, *_ = files_of(line, "log/*.events")
    flip(damaged, 100, 1)
    assert [damaged.name in told for told in troubles(line)] == [True]
    assert line.run("check").exit_code == 4
    damaged.unlink()
    assert line.run("backup", "--no-verify").exit_code == 0
    assert troubles(line) == []
    recovered = line.run("recover", "--from", str(line.repository), "--state-folder", str(line.folder / "new"))
    assert recovered.exit_code == 0, recovered.output


def test_a_bit_in_a_signed_head_beside_the_history_is_named(line: CommandLine) -> None:
    head, *_ = files_of(line, "heads/*.head")
    for offset in range(0, head.stat().st_size, 7):
        with flipped(head, offset):
            (told,) = troubles(line)
            assert f"signed head of {int(head.stem, 16)} entries" in told


def test_a_bit_in_the_transparency_log_is_named_or_changes_nothing(line: CommandLine) -> None:
    (path,) = files_of(line, "state/transparency-log.sqlite")
    said = line.run("audit", "check", "--json").stdout
    named = 0
    for offset in range(0, path.stat().st_size, 397):
        with flipped(path, offset):
            found = troubles(line)
            assert found == [] or all(path.name in told for told in found), offset
            named += bool(found)
            if not found:
                assert line.run("audit", "check", "--json").stdout == said
    assert named > 5


def test_a_bit_in_a_picture_is_named(line: CommandLine) -> None:
    for path in files_of(line, "state/pictures/*"):
        for offset in samples_of(path):
            with flipped(path, offset), pytest.raises(DamagedDataError, match=path.name):
                check_pictures(path.parent)
        with flipped(path, 0):
            assert [path.name in told for told in troubles(line)] == [True]


def test_a_bit_in_a_waiting_mail_is_named_and_costs_that_mail_alone(line: CommandLine, tmp_path: Path) -> None:
    (path,) = files_of(line, "state/outbox/*.mail")
    for offset in samples_of(path):
        with flipped(path, offset), pytest.raises(DamagedDataError, match=path.name):
            check_outbox(path.parent)
    outbox = FolderOutbox(path.parent)
    other = replace(outbox.load(path.stem), key="another")
    flip(path, 1000, 1)
    assert [path.name in told for told in troubles(line)] == [True]
    outbox.put(other)

    summary = deliver_due(outbox, FolderTransport(folder=tmp_path / "mails"), later())

    assert summary.sent == ("another",)
    assert [trouble.key for trouble in summary.troubles] == [path.stem]


def test_a_bit_in_what_is_known_of_a_mail_keeps_it_from_nobody(line: CommandLine, tmp_path: Path) -> None:
    """It is delivered once the longest wait between two attempts is over, whatever was flipped."""
    (path,) = files_of(line, "state/outbox/*.state")
    (mail,) = files_of(line, "state/outbox/*.mail")
    known, content = path.read_bytes(), mail.read_bytes()
    for offset in range(len(known)):
        flip(path, offset, offset % 8)
        summary = deliver_due(FolderOutbox(path.parent), FolderTransport(folder=tmp_path / f"{offset}"), later())
        assert summary.sent == (path.stem,), offset
        (path.parent / "sent" / path.name).unlink()
        path.write_bytes(known)
        mail.write_bytes(content)


def later() -> HandClock:
    return HandClock(datetime.now(UTC) + timedelta(hours=5))


def test_a_bit_in_the_record_of_a_sent_mail_does_not_send_it_again(line: CommandLine) -> None:
    (sent,) = files_of(line, "state/outbox/sent/*.state")
    (waiting,) = files_of(line, "state/outbox/*.mail")
    outbox = FolderOutbox(waiting.parent)
    mail = replace(outbox.load(waiting.stem), key=sent.stem)
    for offset in range(sent.stat().st_size):
        with flipped(sent, offset):
            assert not outbox.put(mail)
            assert [one.key for one in outbox.queued()] == [waiting.stem]


def test_the_note_of_who_runs_may_hold_anything(line: CommandLine) -> None:
    note = line.repository / "state" / "run.json"
    for content in (b"\xff", b"{", b'{"process": "x"}', b""):
        note.write_bytes(content)
        assert line.run("run", "--only", "expire").exit_code == 0


def test_a_bit_in_a_write_ahead_log_is_found_or_takes_no_event(line: CommandLine, tmp_path: Path) -> None:
    """SQLite takes a frame that does not fit, and all that follow, for the rest of an older log."""
    state = line.repository / "state"
    kept = tmp_path / "kept"
    shutil.copytree(state, kept)
    before = events(kept, tmp_path)
    wal = kept / "events.sqlite-wal"
    size = wal.stat().st_size
    assert size > WAL_HEADER_BYTES
    found = 0
    for offset in [*range(WAL_HEADER_BYTES), *range(WAL_HEADER_BYTES, size, size // WAL_SAMPLES)]:
        _put_back(kept, state)
        flip(state / wal.name, offset, (offset * 7 + 3) % 8)
        told = troubles(line)
        if told:
            found += 1
            assert any("events.sqlite" in one or "shipped" in one for one in told), (offset, told)
        else:
            assert events(state, tmp_path) == before, offset
    assert found > WAL_SAMPLES // 2


def events(state: Path, scratch: Path) -> list[object]:
    """Without touching the files."""
    copy = scratch / "looked-at"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state, copy)
    with SQLiteEventLog(copy / "events.sqlite") as log:
        return list(log.events_after(0))


def _put_back(kept: Path, state: Path) -> None:
    """As after a power cut: a shared-memory file is not worth anything then."""
    for path in state.glob("*.sqlite*"):
        path.unlink()
    for path in kept.glob("*.sqlite*"):
        if not path.name.endswith("-shm"):
            shutil.copy(path, state / path.name)


def test_a_bit_in_the_shared_memory_of_a_database_is_gone_with_the_next_command(
    line: CommandLine, tmp_path: Path
) -> None:
    (shared,) = files_of(line, "state/events.sqlite-shm")
    before = events(shared.parent, tmp_path)
    for offset in (0, 16, 48, 100, 136, 4096, 16384):
        if offset < shared.stat().st_size:
            with flipped(shared, offset):
                assert events(shared.parent, tmp_path) == before


def lose_the_last_events(wal: Path) -> None:
    flip(wal, wal.stat().st_size - 2000, 3)


def test_lost_events_are_an_alarm_everywhere_nothing_is_written_and_recover_brings_them_back(
    line: CommandLine, tmp_path: Path
) -> None:
    """The projections are gone as well, so that nothing but the shipped history can tell."""
    state = line.repository / "state"
    points = line.copied(tmp_path / "whole").points()
    for path in (*state.glob("c*.sqlite*"), state / "events.sqlite-shm"):
        path.unlink()
    lose_the_last_events(state / "events.sqlite-wal")
    left = line.points()
    assert len(left) <= len(points) == 2

    refused = [
        line.run("hold", f"{left[0]['id']}", "--reason", "a court"),
        line.run("expire", "--point", left[0]["id"], "--reason", "why", "--yes"),
        line.run("scrub", passphrase=""),
        line.run("backup", "--no-verify"),
        line.run("prune"),
        line.run("rebuild"),
        line.run("check"),
    ]
    health, status = line.run("health"), json.loads(line.run("status", "--json").stdout)

    assert [done.exit_code for done in refused] == [4] * len(refused)
    assert all("atesta recover" in done.output for done in refused)
    assert health.exit_code == 2
    assert "are lost" in health.output
    assert status["events_lost"] > 0
    assert "are missing" in line.run("status").output
    state.rename(tmp_path / "aside")
    recovered = line.run("recover", "--from", str(line.repository))
    assert recovered.exit_code == 0, recovered.output
    assert line.points() == points
    assert line.run("check").exit_code == 0
    assert line.run("hold", points[0]["id"], "--reason", "a court").exit_code == 0
    assert line.restored("web@latest", tmp_path / "back") == [noise(2, SIZE)]


def test_a_projection_that_is_ahead_of_the_event_store_is_an_alarm_too(line: CommandLine) -> None:
    state = line.repository / "state"
    (state / "events.sqlite-shm").unlink()
    wal = state / "events.sqlite-wal"
    flip(wal, wal.stat().st_size // 2, 3)

    told, health = line.run("points"), line.run("health")

    assert told.exit_code == 4
    assert "atesta recover" in told.stderr
    assert health.exit_code == 2
