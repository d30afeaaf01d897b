from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from benchmarks.contenders import Profile
from benchmarks.contending import Place
from benchmarks.data import Size
from benchmarks.images import IMAGE_NAMES, ImageSet
from benchmarks.measuring import Step
from benchmarks.page_cache import PageCache
from benchmarks.peers import Plan, compare
from domain.errors import DamagedDataError

pytestmark = pytest.mark.process


@dataclass
class Copier:
    """A backup tool that copies; ``spoiled`` makes it restore something else."""

    name: str = "copier"
    spoiled: bool = False
    program: str = "cp"
    settings: str = "no compression"
    version_command: Sequence[str] = ("echo", "copier", "1.0", "for tests")

    def prepare(self, place: Place) -> None:
        place.repository.mkdir()

    def ingest(self, place: Place) -> Step:
        return place.step(["cp", "-r", str(place.images.folder), str(place.repository)])

    def ingest_again(self, place: Place) -> Step:
        return self.ingest(place)

    def restore(self, place: Place) -> Step:
        name = place.images.paths[0].name if self.spoiled else place.images.largest.name
        return place.step(["cp", str(place.repository / place.images.folder.name / name), str(place.target)])


@pytest.fixture
def image_set(tmp_path: Path) -> ImageSet:
    """Three images, the last one the largest."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number, name in enumerate(IMAGE_NAMES, start=1):
        (folder / name).write_bytes(bytes([number]) * number * 65536)
    return ImageSet(folder=folder)


def plan(rounds: int) -> Plan:
    return Plan(size=Size.SMALL, profile=Profile.DEFAULT, cache=PageCache.WARM, rounds=rounds)


def test_each_round_is_measured_in_a_place_that_is_removed(image_set: ImageSet, tmp_path: Path) -> None:
    workplace = tmp_path / "work"
    workplace.mkdir()
    tools = (Copier(), Copier(name="copier again"))
    found = compare(image_set, tools, plan(rounds=2), workplace=workplace)
    assert [(tool.name, len(tool.rounds)) for tool in found.tools] == [("copier", 2), ("copier again", 2)]
    assert found.tools[0].rounds[0].stored_bytes >= found.allocated_bytes
    again = found.tools[0].rounds[0].again
    assert again is not None
    assert again.wall_s > 0
    assert found.tools[0].version == "copier 1.0"
    assert found.restored_image == "install-a-aged.img"
    assert list(workplace.iterdir()) == []


def test_command_lines_name_no_folder_of_this_machine(image_set: ImageSet, tmp_path: Path) -> None:
    (tool,) = compare(image_set, (Copier(),), plan(rounds=1), workplace=tmp_path).tools
    assert tool.ingest_command == "cp -r IMAGES WORK/repository"
    assert str(tmp_path) not in tool.restore_command


def test_a_tool_that_restores_something_else_gets_no_figures(image_set: ImageSet, tmp_path: Path) -> None:
    with pytest.raises(DamagedDataError, match="copier restored is not what"):
        compare(image_set, (Copier(spoiled=True),), plan(rounds=1), workplace=tmp_path)
