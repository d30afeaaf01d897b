"""Every change that a recovery and a restore make is cut once: by a kill, by a power cut, by a full disk.

The repository is only read. What they make is whole or is not taken for whole, and the same command, run again, ends
well.
"""

from __future__ import annotations

import tomllib
from contextlib import closing
from pathlib import Path

import pytest

from adapters.disks.disk_files import open_disk
from adapters.disks.writing.create_image import create_image
from adapters.restore_folder import restore_to_folder
from domain.errors import BadInputError
from domain.model.machines import ConfigurationFile
from domain.ports.disks import ImageFormat
from domain.ports.progress import Silent
from domain.workflows import pack_writing
from domain.workflows.chunk_reading import ChunkReader
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.power import Acknowledge, Outcome, Trouble
from tests.doubles.repository import opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.shipped_repository import back_up, contents, recover
from tests.doubles.sweeps import PACK_BYTES, noise, sweep

CONFIGURATION = b"the machine's settings"
DISK_BYTES = 40 * 512
pytestmark = [pytest.mark.process, pytest.mark.parametrize("trouble", list(Trouble))]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", PACK_BYTES)


def files_in(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_recovery_leaves_no_event_store_or_the_whole_one(tmp_path: Path, trouble: Trouble) -> None:
    pristine = tmp_path / "pristine"
    pristine.mkdir()
    for number in range(2):
        source = ScriptedSource([whole_disk(disk_content(number), disk_id=f"d{number}")])
        back_up(pristine / "home", source)
    store = files_in(pristine / "home" / "store")

    def action(folder: Path, acknowledge: Acknowledge) -> None:
        recover(folder / "home", folder / "new" / "state")
        acknowledge("recovered")

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        into = folder / "new" / "state"
        assert files_in(folder / "home" / "store") == store, where
        if (into / "events.sqlite").exists():
            with pytest.raises(BadInputError):
                recover(folder / "home", into)
        else:
            assert not outcome.acknowledged, where
            assert recover(folder / "home", into).is_whole, where
        assert not list(into.glob("recovering-*")), where
        assert contents(folder / "home", into) == [[disk_content(0)], [disk_content(1)]], where

    assert sweep(pristine, trouble, action, check) > 20


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A point of a machine with two disks and a configuration file."""
    folder = tmp_path / "repository"
    disks = [whole_disk(disk_content(number), disk_id=f"d{number}") for number in range(2)]
    file = ConfigurationFile(name="web.vmcx", content=CONFIGURATION)
    with opened(folder) as found:
        source = ScriptedSource(disks, files=[file])
        found.workflow().back_up(source, source.machine)
    return folder


def disk_content(number: int) -> bytes:
    return noise(number + 1, DISK_BYTES)


def restore(repository: Path, target: Path, image_format: ImageFormat, *, overwrite: bool) -> None:
    with opened(repository) as found:
        (point,) = found.points()
        found.index.catch_up()
        reader = ChunkReader(found.vault, found.index)
        restore_to_folder(
            reader, create_image, point, point.disks, target, image_format, Silent(), overwrite=overwrite, workers=1
        )


@pytest.mark.parametrize("image_format", ["raw", "vhdx"])
def test_a_restore_gives_no_file_its_name_before_it_is_whole(
    tmp_path: Path, repository: Path, trouble: Trouble, image_format: ImageFormat
) -> None:
    pristine = tmp_path / "pristine"
    pristine.mkdir()

    def action(folder: Path, acknowledge: Acknowledge) -> None:
        restore(repository, folder / "restored" / "here", image_format, overwrite=False)
        acknowledge("restored")

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        target = folder / "restored" / "here"
        _what_has_its_name_is_whole(target, image_format, where)
        if not outcome.acknowledged and not _is_whole(target):
            restore(repository, target, image_format, overwrite=False)
        _everything_is_there(target, image_format, where)

    assert sweep(pristine, trouble, action, check) > 20


def test_a_restore_over_another_one_keeps_the_old_images_until_the_new_ones_are_whole(
    tmp_path: Path, repository: Path, trouble: Trouble
) -> None:
    pristine = tmp_path / "pristine"
    restore(repository, pristine, "raw", overwrite=False)
    old = {number: bytes([number]) * DISK_BYTES for number in range(2)}
    for image in pristine.rglob("*.raw"):
        image.write_bytes(old[int(image.stem[-1])])

    def action(folder: Path, acknowledge: Acknowledge) -> None:
        restore(repository, folder, "raw", overwrite=True)
        acknowledge("restored")

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        for number in range(2):
            (image,) = folder.rglob(f"disk{number}.raw")
            assert image.read_bytes() in (old[number], disk_content(number)), where
        if not outcome.acknowledged:
            restore(repository, folder, "raw", overwrite=True)
        _everything_is_there(folder, "raw", where)

    assert sweep(pristine, trouble, action, check) > 20


def _is_whole(target: Path) -> bool:
    """What a person can tell: the description is there, and no note that the restore is unfinished."""
    return bool(list(target.rglob("machine.toml"))) and not list(target.rglob("unfinished*"))


def _what_has_its_name_is_whole(target: Path, image_format: ImageFormat, where: str) -> None:
    for number in range(2):
        for image in target.rglob(f"disk{number}.{image_format}"):
            assert _disk_in(image) == disk_content(number), where
    for kept in target.rglob("0-web.vmcx"):
        assert kept.read_bytes() == CONFIGURATION, where
    for description in target.rglob("machine.toml"):
        assert len(tomllib.loads(description.read_text())["disks"]) == 2, where


def _everything_is_there(target: Path, image_format: ImageFormat, where: str) -> None:
    _what_has_its_name_is_whole(target, image_format, where)
    names = sorted(path.name for path in target.rglob("*") if path.is_file() and not path.name.endswith(".tmp"))
    images = [f"disk{number}.{image_format}" for number in range(2)]
    assert names == sorted(["0-web.vmcx", *images, "machine.toml"]), where


def _disk_in(image: Path) -> bytes:
    with closing(open_disk(image)) as disk:
        content = bytearray(disk.size_bytes)
        disk.read_into(0, memoryview(content))
    return bytes(content)
