"""What a guest reads of its disk when it boots, in its order: recorded from QEMU, replayed on any image.

``python -m benchmarks.boot_reads --record DISK --firmware bios`` boots a raw image in QEMU (its writes are thrown away)
and takes every read from QEMU's trace ``blk_co_preadv``. Neighbours are joined up to 64 KiB, because firmware and boot
loaders read sector by sector what a host's cache gives in larger parts, and each read is widened to whole blocks of
4 KiB. The list in ``benchmarks/boot-reads.csv`` is of the demo's guest web01 (Debian, BIOS, IDE).

An image of another layout is read where it has data: what stood at a share of the recorded disk's data stands at the
same share of the image's.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import itertools
import subprocess
import tempfile
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmarks.images import data_ranges

RECORDED = Path(__file__).with_name("boot-reads.csv")
BLOCK_BYTES = 4096
READ_BYTES_MAX = 64 << 10
_BOOT_SECONDS = 170


def recorded(file: Path = RECORDED) -> list[tuple[int, int]]:
    """Where in the recorded disk's data, counted without its holes, and how many bytes, for each read in order."""
    with file.open(newline="") as lines:
        return [(int(place), int(length)) for place, length in itertools.islice(csv.reader(lines), 1, None)]


def reads_of(image: Path, file: Path = RECORDED) -> list[tuple[int, int]]:
    """Offset and length of each read of a boot from ``image``; none reaches beyond a stretch of data."""
    data = _Data(image)
    reads = recorded(file)
    recorded_bytes = max(place + length for place, length in reads)
    scale = min(1.0, data.total_bytes / recorded_bytes)
    found = (data.stretch_at(int(place * scale), length) for place, length in reads)
    return [(offset, length) for offset, length in found if length]


def from_trace(lines: Iterable[str], image: Path) -> list[tuple[int, int]]:
    """The reads of a trace, joined and on whole blocks, as places in the data of ``image``; holes are left out."""
    data = _Data(image)
    found = []
    for offset, length in _joined(_traced(lines)):
        place = data.place_of(offset)
        if place is not None:
            found.append((place, length))
    return found


class _Data:
    """The stretches of data of an image, end to end."""

    def __init__(self, image: Path) -> None:
        with image.open("rb") as file:
            self._ranges = list(data_ranges(file.fileno()))
        self._firsts = [0, *itertools.accumulate(end - start for start, end in self._ranges)]
        self._starts = [start for start, _ in self._ranges]
        self.total_bytes = self._firsts[-1]

    def stretch_at(self, place: int, length: int) -> tuple[int, int]:
        """The offset of a place, on the grid, and how much of ``length`` is data there."""
        number = min(bisect_right(self._firsts, place), len(self._ranges)) - 1
        start, end = self._ranges[number]
        offset = start + place - self._firsts[number]
        offset -= offset % BLOCK_BYTES
        return offset, max(0, min(length, end - offset))

    def place_of(self, offset: int) -> int | None:
        """The place of an offset; None for a hole."""
        number = bisect_right(self._starts, offset) - 1
        if number < 0 or offset >= self._ranges[number][1]:
            return None
        return self._firsts[number] + offset - self._starts[number]


def _traced(lines: Iterable[str]) -> Iterator[tuple[int, int]]:
    for line in lines:
        words = line.split()
        if "blk_co_preadv" in words and "offset" in words:
            yield int(words[words.index("offset") + 1]), int(words[words.index("bytes") + 1])


def _joined(reads: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    start = end = -1
    for offset, length in itertools.chain(reads, [(-2, 0)]):
        first, last = offset - offset % BLOCK_BYTES, offset + length + -(offset + length) % BLOCK_BYTES
        if start <= offset <= end and last - start <= READ_BYTES_MAX:
            end = max(end, last)
            continue
        for at in range(start, end, READ_BYTES_MAX):
            yield at, min(READ_BYTES_MAX, end - at)
        start, end = first, last


def _record(image: Path, firmware: str) -> list[tuple[int, int]]:
    machine = ["-machine", "pc"] if firmware == "bios" else ["-machine", "q35", "-bios", "/usr/share/ovmf/OVMF.fd"]
    with tempfile.TemporaryDirectory(prefix="atesta-boot.") as folder:
        trace = Path(folder) / "trace"
        command = ["qemu-system-x86_64", "-display", "none", "-nic", "none", *machine, "-m", "1024M", "-smp", "2"]
        command += ["-accel", "tcg,thread=multi", "-cpu", "max,la57=off", "-serial", "none", "-monitor", "none"]
        command += ["-drive", f"file={image},format=raw,if=ide,snapshot=on"]
        command += ["-trace", f"enable=blk_co_preadv,file={trace}"]
        with contextlib.suppress(subprocess.TimeoutExpired):  # it has booted by then, and would go on for ever
            subprocess.run(command, timeout=_BOOT_SECONDS, check=True)
        with trace.open() as lines:
            return from_trace(lines, image)


def main() -> None:
    """Record a boot, or say what the recorded one is."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boot_reads", description=__doc__)
    parser.add_argument("--record", type=Path, metavar="DISK", help="a raw image that boots")
    parser.add_argument("--firmware", choices=["bios", "uefi"], default="bios")
    chosen = parser.parse_args()
    if chosen.record:
        write(_record(chosen.record, chosen.firmware))
    reads = recorded()
    print(f"{len(reads):,} reads of {sum(length for _, length in reads) / 1e6:,.1f} MB")


def write(reads: Iterable[tuple[int, int]], file: Path = RECORDED) -> None:
    """Write the list."""
    with file.open("w", newline="") as lines:
        writer = csv.writer(lines, lineterminator="\n")
        writer.writerow(("place", "bytes"))
        writer.writerows(reads)


if __name__ == "__main__":
    main()
