"""The comparison as Markdown, and its place between markers in docs/benchmarks.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks.comparison import (
    Comparison,
    Round,
    ToolFigures,
    again_seconds,
    ingest_seconds,
    restore_seconds,
    stored,
)
from benchmarks.measuring import Measured
from domain.errors import BadInputError

_MIB = 1 << 20


def as_markdown(comparison: Comparison) -> str:
    """Tables, ratios, and everything that is needed to measure again."""
    return "\n".join(
        [
            *_figures(comparison),
            *_again(comparison),
            "",
            *_ratios(comparison),
            "",
            *_images(comparison),
            "",
            *_circumstances(comparison),
        ]
    )


def write_between_markers(file: Path, section: str, text: str) -> None:
    """Replace what stands between ``<!-- SECTION -->`` and ``<!-- end of SECTION -->`` in ``file``.

    Raises BadInputError when the markers are not there.
    """
    content = file.read_text(encoding="utf-8")
    begin, end = f"<!-- {section} -->", f"<!-- end of {section} -->"
    before, found, rest = content.partition(begin)
    _old, closed, after = rest.partition(end)
    if not found or not closed:
        raise BadInputError(f"The markers of {section!r} are missing.", where=str(file), next_step=f"Add {begin}{end}")
    file.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def _figures(comparison: Comparison) -> Iterator[str]:
    yield "| | ingest | rate | CPU | peak memory | stored | restore | rate | CPU | peak memory |"
    yield "|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|"
    for tool in comparison.tools:
        cells = (
            *_cells(tool, comparison.allocated_bytes, lambda one: one.ingest),
            f"{tool.median(stored) / 1e6:,.1f} MB",
            *_cells(tool, comparison.restored_bytes, lambda one: one.restore),
        )
        yield f"| {tool.name} | {' | '.join(cells)} |"


def _cells(tool: ToolFigures, data_bytes: int, phase: Callable[[Round], Measured]) -> tuple[str, str, str, str]:
    """Time, rate, CPU and memory of one phase."""
    middle = tool.median(lambda one: phase(one).wall_s)
    low, high = tool.spread(lambda one: phase(one).wall_s)
    _least, peak = tool.spread(lambda one: phase(one).peak_rss_bytes)
    return (
        f"{middle:,.2f} s ({low:,.2f}-{high:,.2f})",
        f"{data_bytes / middle / 1e6:,.0f} MB/s",
        f"{tool.median(lambda one: phase(one).cpu_s):,.1f} s",
        f"{peak / _MIB:,.0f} MiB",
    )


def _again(comparison: Comparison) -> Iterator[str]:
    """The second ingest of the same images, where it was measured."""
    if any(one.again is None for tool in comparison.tools for one in tool.rounds):
        return
    yield ""
    yield "| the same images again, all of them read | time | rate | CPU | peak memory |"
    yield "|---|--:|--:|--:|--:|"
    for tool in comparison.tools:
        yield f"| {tool.name} | {' | '.join(_cells(tool, comparison.allocated_bytes, _second_ingest))} |"


def _second_ingest(one: Round) -> Measured:
    assert one.again is not None
    return one.again


def _ratios(comparison: Comparison) -> Iterator[str]:
    ours, *others = comparison.tools
    yield f"| {ours.name} beside | ingest | restore | again | stored |"
    yield "|---|--:|--:|--:|--:|"
    for other in others:
        ingest = other.median(ingest_seconds) / ours.median(ingest_seconds)
        restore = other.median(restore_seconds) / ours.median(restore_seconds)
        share = ours.median(stored) / other.median(stored)
        times = [f"{ingest:.1f} times as fast", f"{restore:.1f} times as fast", _again_ratio(ours, other)]
        yield f"| {other.name} | {' | '.join(times)} | {share:.3f} of the bytes |"


def _again_ratio(ours: ToolFigures, other: ToolFigures) -> str:
    own = ours.median(again_seconds)
    return f"{other.median(again_seconds) / own:.1f} times as fast" if own else ""


def _images(comparison: Comparison) -> Iterator[str]:
    yield "| image | allocated | virtual |"
    yield "|---|--:|--:|"
    for image in comparison.images:
        yield f"| {image.name} | {image.allocated_bytes / 1e6:,.0f} MB | {image.virtual_bytes / 1e6:,.0f} MB |"


def _circumstances(comparison: Comparison) -> Iterator[str]:
    machine = comparison.machine
    rounds = len(comparison.tools[0].rounds)
    yield f"- Measured {comparison.measured_at} by `{comparison.command}`."
    yield (
        f"- Medians of {rounds} interleaved {'round' if rounds == 1 else 'rounds'} (smallest-largest); "
        f"page cache {comparison.cache}; rates are of allocated bytes; "
        f"{comparison.restored_image} restored and compared byte for byte."
    )
    yield (
        f"- {machine.processors} processors ({machine.processor}), {machine.memory_bytes / (1 << 30):.0f} GiB of "
        f"memory, Linux {machine.kernel}, {machine.file_system}, Python {machine.python}; "
        f"load before: {machine.load_before:.2f}."
    )
    for tool in comparison.tools:
        yield f"- {tool.version}: {tool.settings}. `{tool.ingest_command}`, then `{tool.restore_command}`."
