"""The two plots of a report, as drawings that go into the PDF as they are and into HTML as SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.charts.barcharts import VerticalBarChart
from reportlab.graphics.charts.legends import Legend
from reportlab.graphics.shapes import Drawing, String
from reportlab.lib.colors import HexColor

from adapters.evidence.months import Month

_WIDTH, _HEIGHT = 480, 170
_FONT = "Helvetica"


def coverage_plot(months: Sequence[Month]) -> Any:
    """Machines that were backed up, and machines that booted, in each month."""
    series = [[month.backed_up for month in months], [month.booted for month in months]]
    return _bars("Machines", months, series, ("backed up", "booted in the lab"), ("#9db4c8", "#17703a"))


def recovery_plot(months: Sequence[Month]) -> Any:
    """Median and longest recovery in each month, in seconds."""
    series = [[month.recovery_median_s or 0 for month in months], [month.recovery_max_s or 0 for month in months]]
    return _bars("Recovery, seconds", months, series, ("median", "longest"), ("#2c5f8a", "#d9932f"))


def svg_of(drawing: Any) -> str:
    """A drawing as an ``svg`` element for a page."""
    text = str(renderSVG.drawToString(drawing))
    return text[text.index("<svg") :]


def _bars(
    title: str, months: Sequence[Month], series: Sequence[Sequence[float]], names: Sequence[str], colours: Sequence[str]
) -> Any:
    drawing = Drawing(_WIDTH, _HEIGHT)
    drawing.add(String(8, _HEIGHT - 14, title, fontName=f"{_FONT}-Bold", fontSize=10))
    chart = VerticalBarChart()
    chart.x, chart.y, chart.width, chart.height = 40, 24, _WIDTH - 60, _HEIGHT - 58
    chart.data = series
    chart.categoryAxis.categoryNames = [month.name for month in months]
    chart.categoryAxis.labels.fontName = chart.valueAxis.labels.fontName = _FONT
    chart.categoryAxis.labels.fontSize = chart.valueAxis.labels.fontSize = 7
    chart.valueAxis.valueMin = 0
    chart.valueAxis.valueStep = max(1, math.ceil(max(max(values) for values in series) / 5))
    chart.valueAxis.labelTextFormat = "%d"
    chart.valueAxis.visibleGrid = True
    chart.valueAxis.gridStrokeColor = HexColor("#dde2e7")
    chart.groupSpacing = 8
    for number, colour in enumerate(colours):
        chart.bars[number].fillColor = HexColor(colour)
        chart.bars[number].strokeColor = None
    drawing.add(chart)
    legend = Legend()
    legend.x, legend.y, legend.boxAnchor = _WIDTH - 20, _HEIGHT - 4, "ne"
    legend.fontName, legend.fontSize, legend.columnMaximum, legend.dxTextSpace = _FONT, 8, 1, 4
    legend.dx = legend.dy = 7
    legend.alignment = "right"
    legend.colorNamePairs = [(HexColor(colour), name) for colour, name in zip(colours, names, strict=True)]
    drawing.add(legend)
    return drawing
