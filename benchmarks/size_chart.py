"""A chart of lines with points, as SVG: seconds over disk size, a line for each tool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.charts.lineplots import LinePlot
from reportlab.graphics.shapes import Drawing, String
from reportlab.graphics.widgets.markers import makeMarker
from reportlab.lib.colors import HexColor

_WIDTH, _HEIGHT = 560, 240
_FONT = "Helvetica"
_COLOURS = ("#17703a", "#2c5f8a", "#d9932f", "#9db4c8")


def size_chart(
    title: str,
    lines: Mapping[str, Sequence[tuple[float, float]]],
    across: str = "size of the disk, GiB",
    across_min: float = 0,
) -> str:
    """For each line its points, ascending; ``across`` says what the horizontal axis is, from ``across_min`` on.

    Returns the SVG document.
    """
    drawing: Any = Drawing(_WIDTH, _HEIGHT)
    drawing.add(String(8, _HEIGHT - 16, title, fontName=f"{_FONT}-Bold", fontSize=11))
    drawing.add(String(_WIDTH - 20, 6, across, fontName=_FONT, fontSize=8, textAnchor="end"))
    plot: Any = LinePlot()
    plot.x, plot.y, plot.width, plot.height = 40, 32, _WIDTH - 60, _HEIGHT - 82
    plot.data = [list(points) for points in lines.values()]
    plot.xValueAxis.valueMin, plot.yValueAxis.valueMin = across_min, 0
    plot.xValueAxis.labels.fontName = plot.yValueAxis.labels.fontName = _FONT
    plot.xValueAxis.labels.fontSize = plot.yValueAxis.labels.fontSize = 8
    plot.yValueAxis.visibleGrid = True
    plot.yValueAxis.gridStrokeColor = HexColor("#dde2e7")
    legend: Any = Legend()
    legend.x, legend.y, legend.boxAnchor = 8, _HEIGHT - 24, "nw"
    legend.fontName, legend.fontSize, legend.columnMaximum, legend.dxTextSpace = _FONT, 9, 1, 4
    legend.dx = legend.dy = 8
    legend.alignment = "right"
    legend.colorNamePairs = [(HexColor(_COLOURS[at]), name) for at, name in enumerate(lines)]
    for at in range(len(lines)):
        plot.lines[at].strokeColor = HexColor(_COLOURS[at])
        plot.lines[at].strokeWidth = 2
        plot.lines[at].symbol = makeMarker("FilledCircle", size=5)
    drawing.add(plot)
    drawing.add(legend)
    return str(renderSVG.drawToString(drawing))
