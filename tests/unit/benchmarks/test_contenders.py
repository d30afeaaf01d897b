from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.contenders import Atesta, Borg, Contender, Restic
from benchmarks.contending import Place
from benchmarks.images import IMAGE_NAMES, ImageSet
from benchmarks.more_contenders import Casync, Duplicity, Zpaq

TOOLS = [Atesta(), Restic(), Borg("lz4"), Zpaq(), Casync(), Duplicity()]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """A place with images of 8, 4 and 16 KiB."""
    folder = tmp_path / "images"
    folder.mkdir()
    for name, size in zip(IMAGE_NAMES, (8, 4, 16), strict=True):
        (folder / name).write_bytes(bytes(size * 1024))
    return Place(folder=tmp_path / "work", images=ImageSet(folder=folder))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_passphrase_is_in_no_command_line(tool: Contender, place: Place) -> None:
    for step in (tool.ingest(place), tool.ingest_again(place), tool.restore(place)):
        assert "4711" not in " ".join(step.command)


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_every_step_has_a_home_of_its_own_and_all_it_keeps_below_its_place(tool: Contender, place: Place) -> None:
    environment = tool.ingest(place).environment
    assert environment["HOME"] == str(place.folder / "home")
    for name in ("RESTIC_CACHE_DIR", "RESTIC_REPOSITORY", "BORG_BASE_DIR", "BORG_REPO", "GNUPGHOME"):
        assert environment.get(name, str(place.folder)).startswith(str(place.folder))


@pytest.mark.parametrize("tool", TOOLS, ids=lambda tool: tool.name)
def test_the_largest_image_is_the_one_that_is_restored(tool: Contender, place: Place) -> None:
    assert "install-a-aged" in " ".join(tool.restore(place).command)


def test_borg_is_told_its_compression_and_says_when_it_is_not_its_default(place: Place) -> None:
    assert "zstd,3" in Borg("zstd,3").ingest(place).command
    assert "default" in Borg("lz4").settings
    assert "default" not in Borg("zstd,3").settings


@pytest.mark.parametrize("tool", [Atesta(), Restic(), Borg("lz4"), Zpaq()], ids=lambda tool: tool.name)
def test_tools_that_pass_over_files_that_look_the_same_are_told_to_read_them(tool: Contender, place: Place) -> None:
    first, second = tool.ingest(place).command, tool.ingest_again(place).command

    assert {"--full", "--force", "disabled", "-force"} & set(second)
    assert not {"--full", "--force", "disabled", "-force"} & set(first)


def test_what_is_not_encrypted_says_so() -> None:
    assert "not encrypted" in Zpaq().settings
    assert "no encryption" in Casync().settings
