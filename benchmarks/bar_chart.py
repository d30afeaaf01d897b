"""A chart of horizontal bars on a logarithmic scale, a bar for each name and series, as SVG."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from reportlab.graphics import renderSVG
from reportlab.graphics.shapes import Drawing, Line, Rect, String
from reportlab.lib.colors import HexColor

_WIDTH, _LABEL_WIDTH, _ROW_HEIGHT, _TOP, _BOTTOM = 720, 250, 20, 34, 22
_FONT = "Helvetica"
_COLOURS = ("#17703a", "#9db4c8", "#d9932f")


def bar_chart(title: str, names: Sequence[str], values: Mapping[str, Sequence[float]]) -> str:
    """For each name a value of each series; values of zero have no bar. Returns the SVG document."""
    height = _TOP + _BOTTOM + _ROW_HEIGHT * len(names)
    drawing: Any = Drawing(_WIDTH, height)
    drawing.add(String(8, height - 16, title, fontName=f"{_FONT}-Bold", fontSize=11))
    present = [value for series in values.values() for value in series if value > 0]
    low = 10.0 ** math.floor(math.log10(min(present, default=1.0)))
    high = 10.0 ** math.ceil(math.log10(max(present, default=10.0) * 1.001))
    room = _WIDTH - _LABEL_WIDTH - 60

    def across(value: float) -> float:
        return _LABEL_WIDTH + room * math.log10(max(value, low) / low) / math.log10(high / low)

    power = low
    while power <= high * 1.001:
        drawing.add(Line(across(power), _BOTTOM, across(power), height - _TOP, strokeColor=HexColor("#dde2e7")))
        drawing.add(String(across(power), 8, f"{power:,g}", fontName=_FONT, fontSize=8, textAnchor="middle"))
        power *= 10
    thickness = (_ROW_HEIGHT - 4) / max(1, len(values))
    for row, name in enumerate(names):
        base = height - _TOP - (row + 1) * _ROW_HEIGHT
        # From the left: whoever shows the drawing may have a wider font than was reckoned with.
        drawing.add(String(8, base + 6, name, fontName=_FONT, fontSize=8))
        for number, series in enumerate(values.values()):
            y = base + 2 + (len(values) - 1 - number) * thickness
            colour = HexColor(_COLOURS[number])
            length = across(series[row]) - _LABEL_WIDTH if series[row] > 0 else 0.0
            drawing.add(Rect(_LABEL_WIDTH, y, length, thickness, fillColor=colour, strokeWidth=0, strokeColor=colour))
            if number == 0:
                told = f"{series[row]:,.0f}"
                drawing.add(String(_LABEL_WIDTH + length + 4, base + 6, told, fontName=_FONT, fontSize=8))
    for number, label in enumerate(values):
        x = _WIDTH - 90 * (len(values) - number)
        drawing.add(Rect(x, height - 18, 8, 8, fillColor=HexColor(_COLOURS[number]), strokeWidth=0))
        drawing.add(String(x + 12, height - 17, label, fontName=_FONT, fontSize=9))
    return str(renderSVG.drawToString(drawing))
