"""The lab's private folders: benches for recovered disks, and the archive of pictures."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapters.disks.disk_files import DiskFiles
from adapters.disks.writing.create_image import create_image
from adapters.labs.picture_archive import FolderPictureArchive
from adapters.labs.workbench import FolderWorkbench
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.ports.disks import DiskImageWriter

ROOT = Path(__file__).parents[3]


def raw(path: Path, size_bytes: int, sector_size_bytes: int) -> DiskImageWriter:
    return create_image(path, "raw", size_bytes, sector_size_bytes, "")


def workbench(folder: Path) -> FolderWorkbench:
    return FolderWorkbench(folder, raw, DiskFiles([folder]))


def test_a_disk_on_a_bench_is_read_back_and_vanishes_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "lab"
    with workbench(folder).opened() as bench:
        writer = bench.new_disk(0, 4096, 512)
        writer.write(512, memoryview(b"x" * 512))
        writer.finish()
        disk = bench.open_disk(0)
        content = bytearray(4096)
        disk.read_into(0, memoryview(content))
        disk.close()
        assert content == bytes(512) + b"x" * 512 + bytes(3072)
        assert bench.disk_path(0).parent.stat().st_mode & 0o077 == 0
        assert workbench(folder).sweep() == (), "it is in use"

    assert list(folder.iterdir()) == []


def test_a_bench_vanishes_when_its_use_fails(tmp_path: Path) -> None:
    def use() -> None:
        with workbench(tmp_path).opened() as bench:
            bench.new_disk(0, 4096, 512)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        use()

    assert list(tmp_path.iterdir()) == []


_BENCH = """
import sys
from pathlib import Path
from tests.unit.stores.test_lab_folders import workbench
with workbench(Path(sys.argv[1])).opened() as bench:
    bench.new_disk(0, 1 << 20, 512).finish()
    print("made", flush=True)
    sys.stdin.read()
"""


@pytest.mark.process
def test_the_bench_of_a_killed_process_is_swept(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _BENCH, str(tmp_path)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"made\n"
        while_alive = workbench(tmp_path).sweep()
        child.send_signal(signal.SIGKILL)
        child.wait()

    (sentence,) = workbench(tmp_path).sweep()
    assert while_alive == ()
    assert "bench-" in sentence
    assert list(tmp_path.iterdir()) == []


def test_a_bench_whose_maker_died_before_it_had_a_folder_is_swept(tmp_path: Path) -> None:
    (tmp_path / "bench-0123.lock").touch()
    (tmp_path / "bench-file").write_bytes(b"something else")

    assert len(workbench(tmp_path).sweep()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["bench-file"]


def test_a_bench_that_is_swept_between_its_birth_and_its_lock_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swept: list[tuple[str, ...]] = []
    flock = fcntl.flock

    def swept_first(descriptor: int, operation: int) -> None:
        if not swept:
            swept.append(())
            swept.append(workbench(tmp_path).sweep())
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", swept_first)
    with workbench(tmp_path).opened() as bench:
        bench.new_disk(0, 4096, 512).finish()
        assert bench.disk_path(0).exists()

    assert len(swept[1]) == 1


def test_a_lab_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(EnvironmentTroubleError), workbench(tmp_path / "file" / "lab").opened():
        pass


def test_a_picture_is_kept_durably_under_its_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: set[Path] = set()
    fsync = os.fsync

    def noted(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").readlink())
        fsync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    archive = FolderPictureArchive(tmp_path / "pictures")

    path = archive.keep(b"\xab" * 32, "png", b"picture")

    assert (path.name, path.read_bytes()) == (f"{'ab' * 32}.png", b"picture")
    assert path.parent in synced, "its name is durable, too"
    assert archive.keep(b"\xab" * 32, "png", b"picture") == path
    assert list(path.parent.iterdir()) == [path]


def test_a_picture_of_an_unknown_kind_or_without_room_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = FolderPictureArchive(tmp_path)
    for suffix in ("../x", "exe", ""):
        with pytest.raises(BadInputError):
            archive.keep(bytes(32), suffix, b"x")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EnvironmentTroubleError, match="No space left"):
        archive.keep(bytes(32), "png", b"x")

    assert list(tmp_path.iterdir()) == []
