"""A comparison with round figures, as the command would save it."""

from __future__ import annotations

from benchmarks.comparison import Comparison, ImageFigures, MachineFigures, Round, ToolFigures
from benchmarks.measuring import Measured

MIB = 1 << 20


def tool(name: str, ingest_s: tuple[float, ...], restore_s: tuple[float, ...], stored_bytes: int) -> ToolFigures:
    """A tool whose rounds took these seconds."""
    return ToolFigures(
        name=name,
        version=f"{name} 1.0",
        settings="as it comes",
        ingest_command=f"{name} take IMAGES",
        restore_command=f"{name} give TARGET",
        rounds=tuple(
            Round(
                ingest=Measured(wall_s=taken, cpu_s=taken * 2, peak_rss_bytes=100 * MIB),
                restore=Measured(wall_s=given, cpu_s=given, peak_rss_bytes=50 * MIB),
                stored_bytes=stored_bytes,
            )
            for taken, given in zip(ingest_s, restore_s, strict=True)
        ),
    )


def comparison() -> Comparison:
    """Atesta takes 2 s and the other 20 s for 300 MB; stored are 80 and 100 MB."""
    return Comparison(
        size="small",
        profile="default",
        cache="warm",
        command="python -m benchmarks.peers --rounds 3",
        measured_at="2026-11-22T14:05+00:00",
        machine=MachineFigures(
            processor="Example 1",
            processors=2,
            memory_bytes=8 << 30,
            kernel="6.1",
            file_system="ext4",
            python="3.11.2",
            load_before=0.25,
        ),
        images=(
            ImageFigures(name="install-a.img", allocated_bytes=100_000_000, virtual_bytes=800_000_000),
            ImageFigures(name="install-a-aged.img", allocated_bytes=200_000_000, virtual_bytes=800_000_000),
        ),
        restored_image="install-a-aged.img",
        tools=(
            tool("atesta", (2.0, 1.0, 9.0), (1.0, 1.0, 1.0), 80_000_000),
            tool("other", (20.0, 18.0, 21.0), (4.0, 2.0, 3.0), 100_000_000),
        ),
    )
