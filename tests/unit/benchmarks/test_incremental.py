"""The comparison of second backups: what it changes, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

from benchmarks import incremental
from benchmarks.comparison import MachineFigures
from benchmarks.incremental import PIECE_BYTES, Result, as_markdown
from benchmarks.measuring import Measured

MACHINE = MachineFigures(
    processor="P", processors=2, memory_bytes=1, kernel="k", file_system="ext4", python="3.11", load_before=0.25
)


def result(tool: str, gib: int, second_s: float) -> Result:
    def took(seconds: float) -> Measured:
        return Measured(wall_s=seconds, cpu_s=1.0, peak_rss_bytes=100 << 20)

    return Result(tool=tool, disk_bytes=gib << 30, changed_bytes=10**6, first=took(9.0), second=took(second_s))


def test_ratios_are_of_the_largest_disk() -> None:
    text = as_markdown(
        [result("atesta", 1, 5.0), result("atesta", 2, 2.0), result("restic", 2, 50.0)], "c", MACHINE, ()
    )

    assert "At 2 GiB Atesta's second backup is 25 times as fast as restic's." in text
    assert "| atesta | 1 GiB | 1 MB | 9.0 s | 5.00 s | 1.0 | 100 MiB |" in text


def test_what_is_told_is_what_was_changed(tmp_path: Path) -> None:
    disk = tmp_path / "disk.raw"
    incremental.write_disk(disk, 4 << 20)
    before = disk.read_bytes()
    changed = incremental.change(disk, 4 << 20, 3)
    incremental.tell(tmp_path, "t2", "t1", changed)
    after = disk.read_bytes()

    told = json.loads((tmp_path / "disk.changes.json").read_text())["extents"]
    differing = [
        at for at in range(0, 4 << 20, PIECE_BYTES) if before[at : at + PIECE_BYTES] != after[at : at + PIECE_BYTES]
    ]
    assert told == [[at, PIECE_BYTES] for at in differing]
    assert len(told) == 3
