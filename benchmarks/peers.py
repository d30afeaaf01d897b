"""Atesta beside restic and borg, or zpaq, casync and duplicity, on the same disk images in the same run.

``python -m benchmarks.peers --rounds 3 --size full --write-docs``: each tool takes the three images into an empty
encrypted repository by one command, restores the largest, and takes the same images in once more. Tools take turns,
and every restore is compared byte for byte.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import page_cache
from benchmarks.comparison import Comparison, ImageFigures, Round, ToolFigures, again_seconds, save
from benchmarks.contenders import Contender, Profile, contenders
from benchmarks.contending import Place
from benchmarks.data import Size, images
from benchmarks.images import ImageSet, allocated_bytes, cache_folder, virtual_bytes
from benchmarks.measuring import measure
from benchmarks.page_cache import FILLER_NAME, PageCache
from benchmarks.report import as_markdown, write_between_markers
from benchmarks.this_machine import describe, version_line
from domain.errors import AtestaError, DamagedDataError

_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_BLOCK_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is compared, how, and how often."""

    size: Size
    profile: Profile
    cache: PageCache
    rounds: int

    @property
    def command(self) -> str:
        """The command that does the same again."""
        options = f"--rounds {self.rounds} --size {self.size} --profile {self.profile} --cache {self.cache}"
        return f"python -m benchmarks.peers {options}"


def main() -> int:
    """Compare as the command line says and print the tables."""
    chosen = _arguments()
    workplace: Path = chosen.folder or cache_folder()
    try:
        comparison = compare(
            images(chosen.size),
            contenders(chosen.profile),
            Plan(size=chosen.size, profile=chosen.profile, cache=chosen.cache, rounds=chosen.rounds),
            workplace=workplace,
        )
        text = as_markdown(comparison)
        print(text)
        save(comparison, chosen.json or cache_folder() / "results" / f"peers-{chosen.size}-{chosen.profile}.json")
        if chosen.write_docs:
            write_between_markers(_DOCS, f"peers {chosen.size} {chosen.profile}", text)
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        (workplace / FILLER_NAME).unlink(missing_ok=True)
    return 0


def compare(chosen_images: ImageSet, tools: Sequence[Contender], plan: Plan, *, workplace: Path) -> Comparison:
    """Run all rounds in fresh folders below ``workplace``. Raises DamagedDataError when a restore differs."""
    machine = describe(workplace)
    rounds: dict[str, list[Round]] = {tool.name: [] for tool in tools}
    for number in range(plan.rounds):
        for tool in tools:
            one = run_round(tool, chosen_images, plan.cache, workplace)
            rounds[tool.name].append(one)
            sys.stderr.write(f"round {number + 1}, {tool.name}: {_in_short(one)}\n")
    return Comparison(
        size=plan.size,
        profile=plan.profile,
        cache=plan.cache,
        command=plan.command,
        measured_at=datetime.now(UTC).isoformat(timespec="minutes"),
        machine=machine,
        images=tuple(
            ImageFigures(name=path.name, allocated_bytes=allocated_bytes(path), virtual_bytes=virtual_bytes(path))
            for path in chosen_images.paths
        ),
        restored_image=chosen_images.largest.name,
        tools=tuple(_tool_figures(tool, rounds[tool.name], chosen_images) for tool in tools),
    )


def run_round(tool: Contender, chosen_images: ImageSet, cache: PageCache, workplace: Path) -> Round:
    """One tool, once, in a folder of its own that is removed afterwards. Raises DamagedDataError."""
    with tempfile.TemporaryDirectory(prefix=f"peers-{tool.name}.", dir=workplace) as folder:
        place = Place(folder=Path(folder), images=chosen_images)
        for needed in ("home", "restored"):
            (place.folder / needed).mkdir()
        tool.prepare(place)
        page_cache.prepare(cache, chosen_images.paths, workplace)
        ingest = measure(tool.ingest(place), durable=place.folder)
        page_cache.prepare(cache, page_cache.files_below(place.repository), workplace)
        restore = measure(tool.restore(place), durable=place.folder)
        _check(tool, place)
        stored_bytes = sum(path.stat().st_blocks for path in page_cache.files_below(place.repository)) * _BLOCK_BYTES
        page_cache.prepare(cache, chosen_images.paths, workplace)
        again = measure(tool.ingest_again(place), durable=place.folder)
    return Round(ingest=ingest, restore=restore, again=again, stored_bytes=stored_bytes)


def _check(tool: Contender, place: Place) -> None:
    """The restored image is the largest file below the target."""
    restored = max(page_cache.files_below(place.target), key=virtual_bytes, default=None)
    if restored is None or subprocess.run(["cmp", "-s", restored, place.images.largest], check=False).returncode:
        raise DamagedDataError(f"What {tool.name} restored is not what it took in.", where=place.images.largest.name)


def _tool_figures(tool: Contender, rounds: Sequence[Round], chosen_images: ImageSet) -> ToolFigures:
    place = Place(folder=Path("WORK"), images=chosen_images)
    return ToolFigures(
        name=tool.name,
        version=version_line(tuple(tool.version_command)),
        settings=tool.settings,
        ingest_command=_shown(tool.ingest(place).command, chosen_images),
        restore_command=_shown(tool.restore(place).command, chosen_images),
        rounds=tuple(rounds),
    )


def _shown(command: Sequence[str], chosen_images: ImageSet) -> str:
    text = " ".join(command).replace(f"{sys.executable} -m adapters.cli.main", "atesta")
    return text.replace(str(chosen_images.folder), "IMAGES").replace("WORK/restored", "TARGET")


def _in_short(one: Round) -> str:
    stored_mb = one.stored_bytes / 1e6
    times = f"ingest {one.ingest.wall_s:.2f} s, restore {one.restore.wall_s:.2f} s, again {again_seconds(one):.2f} s"
    return f"{times}, stored {stored_mb:,.1f} MB"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3, help="how often each tool runs; they take turns")
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    parser.add_argument("--profile", type=Profile, choices=list(Profile), default=Profile.DEFAULT)
    parser.add_argument("--cache", type=PageCache, choices=list(PageCache), default=PageCache.FULL)
    parser.add_argument("--folder", type=Path, help="where repositories are made (default: the cache)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="where the figures are saved")
    parser.add_argument("--write-docs", action="store_true", help="write the tables into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
