from __future__ import annotations

import errno
import fcntl
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.stores.folder import FolderPackStore
from domain.errors import DamagedDataError, EnvironmentTroubleError

ROOT = Path(__file__).parents[3]
ONE, TWO = b"\xab" * 32, b"\xcd" * 32


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "store"


def put(store: FolderPackStore, pack_id: bytes, content: bytes) -> None:
    draft = store.new_pack()
    draft.append(content)
    draft.commit(pack_id)


def test_what_is_no_pack_is_passed_over(folder: Path) -> None:
    store = FolderPackStore(folder)
    put(store, ONE, b"abc")
    packs = folder / "packs"
    (packs / "README").write_text("a file where folders are")
    (packs / "ab" / "notes.txt").write_text("no pack")
    (packs / "ab" / f"{TWO.hex()}.pack").write_text("in the wrong folder")
    (packs / "ab" / f"{ONE.hex().upper()}.pack").write_text("upper case")
    (packs / "cd").mkdir()
    (packs / "cd" / f"{TWO.hex()}.pack").mkdir()

    assert list(store.pack_ids()) == [ONE]


def test_packs_are_readable_by_their_owner_only(folder: Path) -> None:
    put(FolderPackStore(folder), ONE, b"abc")

    assert (folder / "packs" / "ab" / f"{ONE.hex()}.pack").stat().st_mode & 0o077 == 0


def test_a_pack_that_was_cut_short_behind_our_back_is_damage(folder: Path) -> None:
    store = FolderPackStore(folder)
    put(store, ONE, b"abcdef")
    assert store.read_pack(ONE, 0, 6) == b"abcdef"

    os.truncate(folder / "packs" / "ab" / f"{ONE.hex()}.pack", 3)

    with pytest.raises(DamagedDataError, match="shorter"):
        store.read_pack(ONE, 0, 6)


def test_more_packs_than_files_may_be_open_are_read(folder: Path) -> None:
    store = FolderPackStore(folder)
    ids = [number.to_bytes(32, "big") for number in range(100)]
    for pack_id in ids:
        put(store, pack_id, pack_id)
    open_before = len(list(Path("/proc/self/fd").iterdir()))

    assert [store.read_pack(pack_id, 0, 32) for pack_id in ids * 2] == ids * 2
    assert len(list(Path("/proc/self/fd").iterdir())) < open_before + 100


def test_a_draft_that_is_swept_between_its_birth_and_its_lock_is_made_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, sweeper = FolderPackStore(folder), FolderPackStore(folder)
    swept: list[int] = []
    flock = fcntl.flock

    def swept_first(descriptor: int, operation: int) -> None:
        if not swept:
            swept.append(0)
            swept.append(sweeper.sweep())
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    put(store, ONE, b"abc")

    assert swept == [0, 1]
    assert store.read_pack(ONE, 0, 3) == b"abc"


def test_a_draft_that_a_sweep_holds_at_this_moment_is_waited_for(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep locks what it looks at; a writer that met such a lock used to fail."""
    store = FolderPackStore(folder)
    flock = fcntl.flock
    helpers: list[threading.Thread] = []

    def held_first(descriptor: int, operation: int) -> None:
        if not helpers:
            (draft,) = (folder / "drafts").iterdir()
            sweeping = os.open(draft, os.O_WRONLY)
            flock(sweeping, fcntl.LOCK_EX)

            def finish() -> None:
                draft.unlink()
                os.close(sweeping)

            helpers.append(threading.Thread(target=finish))
            helpers[0].start()
            if operation & fcntl.LOCK_NB:
                raise BlockingIOError(11, "Resource temporarily unavailable")
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", held_first)
    put(store, ONE, b"abc")
    helpers[0].join()

    assert store.read_pack(ONE, 0, 3) == b"abc"


def test_the_name_of_a_new_folder_is_made_durable_whoever_made_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may have made it and not have synced it yet."""
    store = FolderPackStore(folder)
    put(store, TWO, b"first")
    (folder / "packs" / "ab").mkdir()
    synced: set[Path] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    put(store, ONE, b"abc")

    assert {folder / "packs", folder / "packs" / "ab"} <= synced


_DRAFT = """
import sys
from pathlib import Path
from adapters.stores.folder import FolderPackStore
draft = FolderPackStore(Path(sys.argv[1])).new_pack()
draft.append(b"x" * (5 << 20))
print("written", flush=True)
sys.stdin.read()
"""


@pytest.mark.process
def test_a_sweep_removes_the_draft_of_a_killed_process_and_only_then(folder: Path) -> None:
    store = FolderPackStore(folder)
    command = [sys.executable, "-c", _DRAFT, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"written\n"
        while_alive = store.sweep()
        child.send_signal(signal.SIGKILL)
        child.wait()

    assert (while_alive, store.sweep(), store.sweep()) == (0, 1, 0)
    assert list((folder / "drafts").iterdir()) == []


@pytest.fixture
def tiny(tmp_path: Path) -> Iterator[Path]:
    """A file system of 1 MiB."""
    place = tmp_path / "tiny"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.process
def test_a_full_disk_is_told_and_costs_nothing_that_was_committed(tiny: Path) -> None:
    store = FolderPackStore(tiny / "store")
    put(store, ONE, b"a" * 500_000)
    draft = store.new_pack()

    draft.append(bytes(4 << 20))
    for _ in range(2):
        with pytest.raises(EnvironmentTroubleError, match="No space left"):
            draft.commit(TWO)
    draft.discard()

    assert (list(store.pack_ids()), store.read_pack(ONE, 0, 3)) == ([ONE], b"aaa")
    put(store, TWO, b"b" * 300_000)
    assert set(store.pack_ids()) == {ONE, TWO}


@pytest.mark.process
def test_a_full_disk_is_told_at_the_latest_two_pieces_later(tiny: Path) -> None:
    draft = FolderPackStore(tiny / "store").new_pack()

    with pytest.raises(EnvironmentTroubleError, match="No space left"):
        draft.append(bytes(12 << 20))
    draft.discard()

    assert list((tiny / "store" / "drafts").iterdir()) == []


@pytest.mark.parametrize("length", [1, 4095, 4096, 4097, (4 << 20) - 1, 4 << 20, (4 << 20) + 1, (9 << 20) + 5])
def test_a_pack_of_any_length_reads_as_it_was_appended(tmp_path: Path, length: int) -> None:
    store = FolderPackStore(tmp_path)
    content = random.Random(length).randbytes(length)
    draft = store.new_pack()

    piece = bytearray(content[: length // 3])
    draft.append(memoryview(piece))
    piece[:] = bytes(len(piece))
    draft.append(content[length // 3 :])
    draft.commit(ONE)

    assert (store.pack_bytes(ONE), store.read_pack(ONE, 0, length)) == (length, content)


def test_a_file_system_that_only_writes_through_its_cache_is_written_that_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_open, real_pwrite = os.open, os.pwrite
    uncached = set()

    def opening(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        descriptor = real_open(path, flags & ~os.O_DIRECT, mode, **more)
        if flags & os.O_DIRECT:
            uncached.add(descriptor)
        return descriptor

    def refusing(descriptor: int, data: memoryview, offset: int) -> int:
        if descriptor in uncached:
            uncached.discard(descriptor)
            raise OSError(errno.EINVAL, "no direct I/O here")
        return real_pwrite(descriptor, data, offset)

    monkeypatch.setattr(os, "open", opening)
    monkeypatch.setattr(os, "pwrite", refusing)
    store = FolderPackStore(tmp_path)
    put(store, ONE, b"abc" * 3_000_000)

    assert store.read_pack(ONE, 8_999_990, 10) == b"cabcabcabc"
    assert not uncached


def test_a_file_system_that_refuses_to_open_past_the_cache_is_opened_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.open

    def refusing(path: str, flags: int, mode: int = 0o777, **more: int) -> int:
        descriptor = real(path, flags & ~os.O_DIRECT, mode, **more)
        if flags & os.O_DIRECT:
            os.close(descriptor)
            raise OSError(errno.EINVAL, "no direct I/O here")
        return descriptor

    monkeypatch.setattr(os, "open", refusing)
    store = FolderPackStore(tmp_path)
    put(store, ONE, b"abc")

    assert store.read_pack(ONE, 0, 3) == b"abc"


@pytest.mark.process
def test_a_document_that_does_not_fit_leaves_the_old_one(tiny: Path) -> None:
    store = FolderPackStore(tiny / "store")
    store.write_document("repository.json", b"old")
    (tiny / "filler").write_bytes(bytes(900_000))

    with pytest.raises(EnvironmentTroubleError):
        store.write_document("repository.json", bytes(500_000), replace=True)

    assert store.read_document("repository.json") == b"old"
    assert [path.name for path in (tiny / "store").iterdir()] == ["repository.json"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that everybody may look into, which pytest's own is not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


_AS_NOBODY = """
import os, sys
from pathlib import Path
from adapters.stores.folder import FolderPackStore
from domain.errors import EnvironmentTroubleError
os.setgroups([]); os.setgid(65534); os.setuid(65534)
store = FolderPackStore(Path(sys.argv[1]))
told = 0
for attempt in (
    store.new_pack,
    lambda: store.read_pack(b"\\xab" * 32, 0, 1),
    lambda: store.write_document("x.json", b"x"),
    lambda: store.read_document("repository.json"),
    lambda: store.delete_pack(b"\\xab" * 32),
    lambda: list(store.pack_ids()),
):
    try:
        attempt()
    except EnvironmentTroubleError as error:
        assert "Permission denied" in error.what and error.where and error.next_step
        told += 1
print(told)
"""


@pytest.mark.process
def test_missing_permissions_are_told_as_trouble_with_the_environment(open_folder: Path) -> None:
    folder = open_folder / "store"
    store = FolderPackStore(folder)
    put(store, ONE, b"abc")
    store.write_document("repository.json", b"{}")
    (folder / "repository.json").chmod(0o600)
    (folder / "packs").chmod(0o700)
    folder.chmod(0o755)

    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, str(folder)], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert (done.stdout, done.returncode) == ("6\n", 0), done.stderr


def test_a_sector_that_the_disk_does_not_give_back_is_damage_of_that_pack_and_other_trouble_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = FolderPackStore(tmp_path)
    draft = store.new_pack()
    draft.append(b"content")
    draft.commit(bytes(32))

    for code, family in ((errno.EIO, DamagedDataError), (errno.ENOMEM, EnvironmentTroubleError)):

        def broken(*_: object, code: int = code) -> bytes:
            raise OSError(code, os.strerror(code))

        with monkeypatch.context() as patch:
            patch.setattr(os, "pread", broken)
            with pytest.raises(family):
                store.read_pack(bytes(32), 0, 7)
    assert store.read_pack(bytes(32), 0, 7) == b"content"


def test_files_among_the_packs_that_are_none_are_named(tmp_path: Path) -> None:
    store = FolderPackStore(tmp_path)
    draft = store.new_pack()
    draft.append(b"content")
    draft.commit(bytes(32))
    stray = tmp_path / "packs" / "notes.txt"
    stray.write_text("mine")
    misplaced = tmp_path / "packs" / "ab" / f"{bytes(32).hex()}.pack"
    misplaced.parent.mkdir()
    misplaced.write_text("")

    assert store.foreign_files() == sorted([str(stray), str(misplaced)])
