"""What this machine could do at best, beside what the pipeline does: ``python -m benchmarks.roofline --size full``.

Each step is measured alone, on one core and on real disk content in pieces as the pipeline has them. The ideal pipeline
does nothing but these steps, keeps every core busy, and writes to the disk meanwhile.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import zstandard
from blake3 import blake3
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from adapters.uncached_writing import open_uncached, write_all_at
from benchmarks import page_cache
from benchmarks.comparison import MachineFigures
from benchmarks.data import Size, images
from benchmarks.images import ImageSet, allocated_bytes, cache_folder, data_ranges
from benchmarks.page_cache import PageCache, files_below
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe
from benchmarks.trial_repository import TrialRepository
from domain.content.aligned_buffer import aligned_buffer
from domain.content.chunking import Chunker, ChunkingParameters
from domain.content.packs import FRAME_PLAIN_BYTES_MAX
from domain.errors import AtestaError
from domain.model.extents import Extent
from domain.model.stages import Stage, StageProfile, held_back_by
from domain.workflows.pack_writing import COMPRESSION
from domain.workflows.segment_windows import WINDOW_BYTES

_Piece = TypeVar("_Piece", bytes, memoryview)
_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_SAMPLE_BYTES = 256 << 20
_CHUNK_BYTES = 64 << 10
_KEY = bytes(32)
_NONCE = bytes(12)
_STEPS_OF_STAGE = {
    Stage.READING: ("read",),
    Stage.CUTTING: ("cut",),
    Stage.HASHING: ("BLAKE3 of chunks", "BLAKE3 of packs"),
    Stage.COMPRESSING: ("zstandard",),
    Stage.SEALING: ("AES-GCM",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """What a run had to do, in bytes: read or written on the disk's side, new to the repository, and packed."""

    disk_bytes: int
    plain_bytes: int
    packed_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Bytes a second, each step alone on one core; of plain bytes, but for sealing, opening, digest and disk writes."""

    copy: float
    read: float
    cut: float
    hash: float
    compress: float
    decompress: float
    seal: float
    open: float
    digest: float
    write: float


def ingest_steps(load: Load, rates: Rates) -> dict[str, float]:
    """Seconds of one core that each step of taking ``load`` in needs."""
    return {
        "read": load.disk_bytes / rates.read,
        "cut": load.disk_bytes / rates.cut,
        "BLAKE3 of chunks": load.disk_bytes / rates.hash,
        "zstandard": load.plain_bytes / rates.compress,
        "AES-GCM": load.packed_bytes / rates.seal,
        "BLAKE3 of packs": load.packed_bytes / rates.digest,
    }


def again_steps(load: Load, rates: Rates) -> dict[str, float]:
    """Seconds of one core that each step of taking in what is stored already needs: nothing is new but its maps."""
    return {
        "read": load.disk_bytes / rates.read,
        "cut": load.disk_bytes / rates.cut,
        "BLAKE3 of chunks": load.disk_bytes / rates.hash,
    }


def restore_steps(load: Load, rates: Rates) -> dict[str, float]:
    """Seconds of one core that each step of giving ``load`` back needs."""
    return {
        "read": load.packed_bytes / rates.read,
        "AES-GCM": load.packed_bytes / rates.open,
        "zstandard": load.plain_bytes / rates.decompress,
        "BLAKE3 of chunks": load.disk_bytes / rates.hash,
    }


def ideal_seconds(steps: Mapping[str, float], written_bytes: int, rates: Rates, cores: int) -> float:
    """How long the ideal pipeline takes: as its cores, or as the disk, whichever is slower."""
    return max(sum(steps.values()) / cores, written_bytes / rates.write)


def as_markdown(
    title: str, steps: Mapping[str, float], written_bytes: int, rates: Rates, *, cores: int, real_s: float
) -> str:
    """A table of the steps with their share, then the ideal beside the real time."""
    total = sum(steps.values())
    ideal = ideal_seconds(steps, written_bytes, rates, cores)
    lines = [f"| {title} | seconds of one core | share |", "|---|--:|--:|"]
    lines += [f"| {name} | {seconds:.2f} | {seconds / total:.0%} |" for name, seconds in steps.items()]
    lines += [
        f"| all | {total:.2f} | |",
        f"| write, durable, meanwhile | {written_bytes / rates.write:.2f} | |",
        f"| ideal on {cores} cores | {ideal:.2f} | |",
        f"| real | {real_s:.2f} | {ideal / real_s:.2f} of the ideal's speed |",
    ]
    return "\n".join(lines)


def stages_as_markdown(steps: Mapping[str, float], write_s: float, profile: StageProfile) -> str:
    """Each stage of the real pipeline, in seconds over its workers, beside what it would take by itself."""
    ideal = {stage: sum(steps.get(name, 0.0) for name in names) for stage, names in _STEPS_OF_STAGE.items()}
    ideal[Stage.WRITING] = write_s
    lines = ["| stage | alone | real, by the workers | share | CPU |", "|---|--:|--:|--:|--:|"]
    for stage in Stage:
        time = profile.by_workers[stage]
        alone = f"{ideal[stage]:.2f}" if stage in ideal else ""
        lines.append(f"| {stage} | {alone} | {time.wall_s:.2f} | {profile.share(stage):.0%} | {time.cpu_s:.2f} |")
    lines += ["", f"Held back by {held_back_by(profile)}."]
    return "\n".join(lines)


def measure_rates(image: Path, folder: Path) -> Rates:
    """Measure every step on content spread over ``image``; writes go to ``folder``."""
    windows = list(_windows(image))
    sample = [memoryview(window) for window in windows]
    chunks = [chunk for window in sample for chunk in _cut_up(window, _CHUNK_BYTES)]
    frames = [frame for window in sample for frame in _cut_up(window, FRAME_PLAIN_BYTES_MAX)]
    compressor = zstandard.ZstdCompressor(compression_params=COMPRESSION)
    decompressor = zstandard.ZstdDecompressor()
    cipher, chunker = AESGCM(_KEY), Chunker(ChunkingParameters(), bytes(16))
    packed = [compressor.compress(frame) for frame in frames]
    sealed = [cipher.encrypt(_NONCE, frame, None) for frame in packed]
    room = memoryview(bytearray(WINDOW_BYTES))
    return Rates(
        copy=_rate(sample, lambda window: _copy(window, room)),
        read=_read_rate(image, room),
        cut=_rate(sample, lambda window: chunker.cut(window, [Extent(0, len(window))])),
        hash=_rate(chunks, lambda chunk: blake3(chunk, key=_KEY).digest()),
        compress=_rate(frames, compressor.compress),
        decompress=_rate(packed, decompressor.decompress, of=sum(map(len, frames))),
        seal=_rate(packed, lambda frame: cipher.encrypt(_NONCE, frame, None)),
        open=_rate(sealed, lambda frame: cipher.decrypt(_NONCE, frame, None)),
        digest=_rate(sealed, lambda frame: blake3(frame).digest()),
        write=_write_rate(folder),
    )


def main() -> int:
    """Measure as the command line says and print the tables."""
    chosen = _arguments()
    cores = os.cpu_count() or 1
    machine = describe(cache_folder())
    try:
        found = images(chosen.size)
        with tempfile.TemporaryDirectory(prefix="roofline.", dir=cache_folder()) as folder:
            page_cache.prepare(PageCache.WARM, found.paths, Path(folder))
            rates = measure_rates(found.paths[0], Path(folder))
            rounds = [_real(found, Path(folder) / str(number), cores) for number in range(chosen.rounds)]
        command = f"python -m benchmarks.roofline --size {chosen.size} --rounds {chosen.rounds}"
        text = "\n".join([*_report(rates, rounds, cores), "", _circumstances(command, len(rounds), machine)])
        print(text)
        if chosen.write_docs:
            write_between_markers(_DOCS, "roofline", text)
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


def _report(rates: Rates, rounds: Sequence[_Real], cores: int) -> Iterator[str]:
    yield "| step alone, one core | MB/s |\n|---|--:|"
    for name in Rates.__slots__:
        yield f"| {name} | {getattr(rates, name) / 1e6:,.0f} |"
    ingest, restore = rounds[0].ingest, rounds[0].restore
    ingest_s = statistics.median(one.ingest_s for one in rounds)
    restore_s = statistics.median(one.restore_s for one in rounds)
    steps = ingest_steps(ingest, rates)
    yield "\n" + as_markdown("ingest", steps, ingest.packed_bytes, rates, cores=cores, real_s=ingest_s)
    middle = sorted(rounds, key=lambda one: one.ingest_s)[len(rounds) // 2]
    yield "\n" + stages_as_markdown(steps, ingest.packed_bytes / rates.write, middle.profile)
    again_s = statistics.median(one.again.elapsed_s for one in rounds)
    steps = again_steps(ingest, rates)
    yield "\n" + as_markdown("the same images again", steps, 0, rates, cores=cores, real_s=again_s)
    middle = sorted(rounds, key=lambda one: one.again.elapsed_s)[len(rounds) // 2]
    yield "\n" + stages_as_markdown(steps, 0.0, middle.again)
    steps = restore_steps(restore, rates)
    yield "\n" + as_markdown("restore", steps, restore.disk_bytes, rates, cores=cores, real_s=restore_s)


def _circumstances(command: str, rounds: int, machine: MachineFigures) -> str:
    where = f"{machine.processors} processors ({machine.processor}), load before {machine.load_before:.1f}"
    return f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, medians of {rounds} rounds, start-up not counted; {where}."


@dataclass(frozen=True, slots=True, kw_only=True)
class _Real:
    ingest: Load
    ingest_s: float
    profile: StageProfile
    again: StageProfile
    restore: Load
    restore_s: float


def _real(found: ImageSet, folder: Path, cores: int) -> _Real:
    """All images in, and in once more, the largest out again, in this process; durable, start-up not counted."""
    largest = found.paths.index(found.largest)
    with TrialRepository(folder) as repository:
        started = time.perf_counter()
        taken = repository.take(found.paths, cores)
        ingest_s = time.perf_counter() - started
        packed_bytes = repository.pack_bytes()
        again = repository.take(found.paths, cores).profile
        page_cache.prepare(PageCache.WARM, files_below(folder), folder)
        target = folder / "restored.raw"
        started = time.perf_counter()
        given_bytes = repository.give_back(taken.disks[largest], target, cores)
        restore_s = time.perf_counter() - started
        target.unlink()
    figures = taken.figures
    return _Real(
        ingest=Load(disk_bytes=figures.read_bytes, plain_bytes=figures.new_bytes, packed_bytes=packed_bytes),
        ingest_s=ingest_s,
        profile=taken.profile,
        again=again,
        restore=Load(
            disk_bytes=given_bytes,
            plain_bytes=given_bytes,
            packed_bytes=given_bytes * packed_bytes // max(1, figures.new_bytes),
        ),
        restore_s=restore_s,
    )


def _windows(image: Path) -> Iterator[bytes]:
    """Windows of content, evenly spread over the image."""
    step = max(1, allocated_bytes(image) // _SAMPLE_BYTES)
    with image.open("rb", buffering=0) as file:
        places = [
            at for start, end in data_ranges(file.fileno()) for at in range(start, end - WINDOW_BYTES, WINDOW_BYTES)
        ]
        for place in places[::step] or [0]:
            yield os.pread(file.fileno(), WINDOW_BYTES, place)


def _cut_up(window: memoryview, length: int) -> list[memoryview]:
    return [window[at : at + length] for at in range(0, len(window), length)]


def _copy(window: memoryview, room: memoryview) -> None:
    room[: len(window)] = window


def _rate(pieces: Sequence[_Piece], step: Callable[[_Piece], object], of: int = 0) -> float:
    """The fastest of three passes, in bytes of processor time; ``of`` where the pieces are not what counts."""
    best = min(_seconds_of(pieces, step) for _ in range(3))
    return (of or sum(map(len, pieces))) / best


def _seconds_of(pieces: Sequence[_Piece], step: Callable[[_Piece], object]) -> float:
    started = time.thread_time()
    for piece in pieces:
        step(piece)
    return time.thread_time() - started


def _read_rate(image: Path, room: memoryview) -> float:
    """Reading from the page cache into memory that stays in the processor's cache."""
    with image.open("rb", buffering=0) as file:
        ranges = list(data_ranges(file.fileno()))

        def read_all() -> int:
            total = 0
            for start, end in ranges:
                for at in range(start, end, WINDOW_BYTES):
                    total += os.preadv(file.fileno(), [room[: min(WINDOW_BYTES, end - at)]], at)
            return total

        read_all()
        started = time.thread_time()
        total = read_all()
        return total / (time.thread_time() - started)


def _write_rate(folder: Path) -> float:
    """Sequential writes past the page cache, made durable; on the clock, because a disk takes its time."""
    piece = aligned_buffer(WINDOW_BYTES)
    piece[:] = bytes(WINDOW_BYTES)
    started = time.perf_counter()
    descriptor = open_uncached(folder / "written", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC)
    try:
        for at in range(0, _SAMPLE_BYTES, WINDOW_BYTES):
            write_all_at(descriptor, piece, at)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return _SAMPLE_BYTES / (time.perf_counter() - started)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.roofline", description=__doc__)
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
