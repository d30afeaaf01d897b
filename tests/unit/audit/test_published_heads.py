"""Heads that are published by runs, to a folder and by mail, and the faults of such places."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from adapters.audit import head_folder
from domain.content.signed_note import SigningKey, TreeHead
from domain.errors import BadInputError, DamagedDataError
from domain.ports.transparency import KeptHead
from tests.doubles.audited_repository import (
    audited_repository,
    back_up,
    configured,
    failing,
    head,
    rewrite_an_early_event,
    size_of,
)
from tests.doubles.bucket_server import BUCKET, bucket_server, use_bucket
from tests.doubles.exported_folder import MACHINE_ID, CommandLine

BAD_INPUT = BadInputError.exit_code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return audited_repository(tmp_path_factory.mktemp("made") / "here")


@pytest.fixture
def line(made: CommandLine, tmp_path: Path) -> CommandLine:
    return made.copied(tmp_path / "here")


def published(line: CommandLine) -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted((line.folder / "share").iterdir())}


@pytest.fixture
def shared(line: CommandLine) -> CommandLine:
    (line.folder / "share").mkdir()
    configured(line, '[audit.publish]\nfolder = "share"')
    return line


def test_each_run_publishes_its_head_as_a_file_of_its_own(shared: CommandLine) -> None:
    back_up(shared, 2)
    first = published(shared)
    assert list(first.values()) == [head(shared)]
    back_up(shared, 3)
    assert list(published(shared).values()) == [*first.values(), head(shared)]
    done = shared.run("audit", "witness", str(shared.folder / "share"))
    assert done.exit_code == 0, done.output


def test_a_bucket_gets_each_head_and_one_that_refuses_is_a_warning(
    line: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    configured(line, f'[audit.publish]\nbucket = "s3://{BUCKET}/kept"')
    with bucket_server() as bucket:
        use_bucket(monkeypatch, bucket)
        back_up(line, 2)
        assert list(bucket.objects.values()) == [head(line).encode()]
        bucket.refuses = 403
        assert "not published" in back_up(line, 3)
        bucket.refuses = None
        back_up(line, 4)
        assert len(bucket.objects) == 3


@pytest.mark.parametrize("url", ["heads", "file:///srv/heads", "s3://", "s3://heads?secret=1", "s3://user:word@heads"])
def test_what_is_no_url_of_a_bucket_is_refused(line: CommandLine, url: str) -> None:
    configured(line, f'[audit.publish]\nbucket = "{url}"')
    done = line.run("points")
    assert done.exit_code == BAD_INPUT
    assert "bucket" in done.output


def test_a_run_of_what_is_due_publishes_too_and_says_so(shared: CommandLine) -> None:
    shared.add_machine("db", bytes(4096), machine_id=MACHINE_ID.replace("6", "7"))
    done = shared.run("run", "--only", "backup")
    assert done.exit_code == 0, done.output
    assert "heads: 1 published" in done.output
    assert list(published(shared).values()) == [head(shared)]


def test_a_run_of_what_is_due_warns_and_its_backup_is_done(shared: CommandLine) -> None:
    (shared.folder / "share").rmdir()
    shared.add_machine("db", bytes(4096), machine_id=MACHINE_ID.replace("6", "7"))
    done = shared.run("run", "--only", "backup")
    assert done.exit_code == 0, done.output
    assert "WARNING: not published" in done.output
    assert len(shared.points()) == 2


@pytest.mark.parametrize("fault", ["missing", "full", "read-only", "no folder"])
def test_a_fault_is_a_warning_and_the_next_run_publishes_what_is_missing(
    shared: CommandLine, fault: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    back_up(shared, 2)
    share = shared.folder / "share"
    with monkeypatch.context() as patch:
        if fault == "missing":
            share.rename(shared.folder / "away")
        elif fault == "no folder":
            share.rename(shared.folder / "away")
            share.write_text("a file")
        else:
            code = 28 if fault == "full" else 30
            patch.setattr(head_folder, "write_durably", failing(OSError(code, os.strerror(code))))
        for number in (3, 4):
            said = back_up(shared, number)
            assert "Warning: the signed head was not published" in said
    if fault in {"missing", "no folder"}:
        share.unlink(missing_ok=True)
        (shared.folder / "away").rename(share)
    assert len(published(shared)) == 1
    assert "Warning" not in back_up(shared, 5)
    assert len(published(shared)) == 4
    assert list(published(shared).values())[-1] == head(shared)


def test_a_share_without_hard_links_is_written_to(shared: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(head_folder, "write_durably", writing_without_links)
    back_up(shared, 2)
    assert list(published(shared).values()) == [head(shared)]


def writing_without_links(path: Path, content: bytes, *, replace: bool = True) -> None:
    if not replace:
        raise PermissionError(1, "Operation not permitted")
    path.write_bytes(content)


def test_what_was_published_tells_on_a_history_that_was_rewritten(shared: CommandLine) -> None:
    back_up(shared, 2)
    before = published(shared)
    rewrite_an_early_event(shared)
    done = shared.run("audit", "head", "--sign")
    assert done.exit_code == 0
    assert "does not extend the newest published head" in done.output
    assert published(shared) == before


def test_another_head_of_one_size_is_told_and_not_overwritten(shared: CommandLine) -> None:
    place = head_folder.HeadFolder(shared.folder / "share", f"atesta/{'5' * 32}")
    key = SigningKey(f"atesta/{'5' * 32}", b"k" * 32)
    heads = [KeptHead(7, 9, key.sign(TreeHead(f"atesta/{'5' * 32}", 7, root))) for root in (bytes(32), b"r" * 32)]
    place.publish(heads[0])
    place.publish(heads[0])
    with pytest.raises(DamagedDataError, match="two histories"):
        place.publish(heads[1])
    assert place.newest() == heads[0].note


def test_heads_are_mailed_outside_once_each(line: CommandLine) -> None:
    configured(line, '[audit.publish]\nmail = ["outside@example.org"]')
    for number in (2, 3):
        back_up(line, number)
    assert line.run("audit", "head", "--sign").exit_code == 0
    assert line.run("outbox").exit_code == 0
    mails = sorted((line.folder / "mail").glob("head-*.eml"))
    assert len(mails) == 2
    assert all("outside@example.org" in mail.read_text() for mail in mails)
    done = line.run("audit", "witness", *map(str, mails), "--json")
    assert done.exit_code == 0, done.output
    assert size_of(head(line)) in {one["entries"] for one in json.loads(done.stdout)}


def test_an_address_that_is_none_is_refused(line: CommandLine) -> None:
    configured(line, '[audit.publish]\nmail = ["nobody"]')
    refused = line.run("audit", "head")
    assert refused.exit_code == BAD_INPUT
    assert "no mail address" in refused.output


def test_heads_that_hold_are_kept_again_when_asked_and_others_are_not(line: CommandLine, tmp_path: Path) -> None:
    old, mails = head(line), tmp_path / "mails.txt"
    back_up(line, 2)
    mails.write_text(f"{old}\n{head(line)}\n")
    tree = line.repository / "state" / "transparency-log.sqlite"
    with closing(sqlite3.connect(tree)) as connection, connection:
        connection.execute("DELETE FROM heads")
    assert line.run("audit", "witness", str(mails)).exit_code == 0
    assert kept_sizes(tree) == []

    done = line.run("audit", "witness", str(mails), "--add")
    assert done.exit_code == 0, done.output
    assert "2 heads are kept" in done.output
    assert kept_sizes(tree) == [size_of(old), size_of(head(line))]
    assert "0 heads are kept" in line.run("audit", "witness", str(mails), "--add").output
    assert line.run("audit", "check").exit_code == 0


def test_a_head_that_does_not_hold_is_never_kept(line: CommandLine, tmp_path: Path) -> None:
    forged = tmp_path / "forged.txt"
    lines = head(line).splitlines(keepends=True)
    forged.write_text("".join([lines[0], f"{int(lines[1]) - 1}\n", *lines[2:]]))
    tree = line.repository / "state" / "transparency-log.sqlite"
    before = kept_sizes(tree)
    done = line.run("audit", "witness", str(forged), "--add")
    assert done.exit_code == DamagedDataError.exit_code
    assert "0 heads are kept" in done.output
    assert kept_sizes(tree) == before


def kept_sizes(tree: Path) -> list[int]:
    with closing(sqlite3.connect(tree)) as connection:
        return [size for (size,) in connection.execute("SELECT size FROM heads ORDER BY size")]
