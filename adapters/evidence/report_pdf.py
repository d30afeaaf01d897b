"""The report of an evidence bundle on paper: a PDF that is the same bytes for the same facts."""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import reportlab
from reportlab.lib.colors import HexColor
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import LongTable, Paragraph, SimpleDocTemplate, Spacer, TableStyle

from adapters.evidence.plots import coverage_plot, recovery_plot
from adapters.evidence.report_content import ReportContent

_FONT, _BOLD = "AtestaText", "AtestaBold"
_MARGIN = 15 * mm
_SOFT = HexColor("#5b6875")
_LINE = HexColor("#dde2e7")


def report_pdf(content: ReportContent) -> bytes:
    """The PDF. Characters that its font does not have are shown as their code points."""
    target = io.BytesIO()
    document = SimpleDocTemplate(
        target,
        pagesize=A4,
        leftMargin=_MARGIN,
        rightMargin=_MARGIN,
        topMargin=_MARGIN,
        bottomMargin=_MARGIN,
        title="Evidence of backups and restore tests",
        author="Atesta",
        invariant=1,
    )
    document.build(_story(content), onFirstPage=_numbered, onLaterPages=_numbered)
    return target.getvalue()


def _story(content: ReportContent) -> list[Any]:
    story = [_text("Backups and restore tests", size=20, bold=True), _text(content.about, soft=True)]
    story += [_text(line, size=11, bold=True) for line in content.sums]
    if content.months:
        story += [Spacer(0, 8), coverage_plot(content.months), recovery_plot(content.months)]
    story += [_heading("Machines"), _machines(content)]
    story += [_text(line, soft=True) for line in content.targets]
    story += [_heading("What went wrong, all of it")]
    for failure in content.failures:
        story += [_text(failure.line), *(_text(why, soft=True, indent=10) for why in failure.why)]
    if not content.failures:
        story.append(_text("Nothing went wrong in this period."))
    story += [_heading("Verdicts that a person overrode")]
    story += [_text(line) for line in content.overrides] or [_text("None.")]
    story += [_heading("Restore points that expired")]
    story += [_text(f"{count}: {policy}; {reason}") for policy, reason, count in content.expired] or [_text("None.")]
    story += [_heading("Holds, scrubs, damage and jobs that failed")]
    story += [_text(line) for line in content.others] or [_text("None.")]
    story += [_heading("What auditors ask for")]
    story.append(_table([[one.where, one.asks, one.answered_by] for one in content.requirements], (45, 55, 80)))
    story += [_heading("What this does not cover"), *(_text(f"- {one}") for one in content.not_covered)]
    return story


def _machines(content: ReportContent) -> Any:
    head = ["machine", *content.columns, "not remedied", "median", "longest", "target", "over"]
    rows = [
        [*machine.cells, machine.median, machine.longest, machine.target, machine.missed]
        for machine in content.machines
    ]
    return _table([head, *rows], (25, *([12] * 8), 13, 12, 12, 15, 7), size=5.5, head_rows=1)


def _table(rows: Sequence[Sequence[str]], widths_mm: Sequence[float], *, size: float = 8, head_rows: int = 0) -> Any:
    cells = [[_text(cell, size=size) for cell in row] for row in rows]
    table = LongTable(cells, colWidths=[width * mm for width in widths_mm[: len(rows[0])]], repeatRows=head_rows)
    table.setStyle(
        TableStyle(
            [
                ("LINEBELOW", (0, 0), (-1, -1), 0.4, _LINE),
                ("VALIGN", (0, 0), (-1, -1), "TOP"),
                ("LEFTPADDING", (0, 0), (-1, -1), 2),
                ("RIGHTPADDING", (0, 0), (-1, -1), 2),
            ]
        )
    )
    return table


def _heading(words: str) -> Any:
    return _text(words, size=13, bold=True, before=12)


def _text(
    words: str, *, size: float = 9, bold: bool = False, soft: bool = False, indent: float = 0, before: float = 0
) -> Any:
    style = ParagraphStyle(
        "text",
        fontName=_BOLD if bold else _FONT,
        fontSize=size,
        leading=size * 1.35,
        leftIndent=indent,
        spaceBefore=before,
        spaceAfter=2,
        textColor=_SOFT if soft else HexColor("#1c242c"),
        splitLongWords=1,
    )
    return Paragraph(escape(_printable(words)), style)


def _printable(words: str) -> str:
    known = _glyphs()
    return "".join(one if ord(one) in known else f"<U+{ord(one):04X}>" for one in words)


@cache
def _glyphs() -> frozenset[int]:
    """Register the fonts that come with the library; returns what the regular one can show."""
    fonts = Path(reportlab.__file__).parent / "fonts"
    regular = TTFont(_FONT, str(fonts / "Vera.ttf"))
    pdfmetrics.registerFont(regular)
    pdfmetrics.registerFont(TTFont(_BOLD, str(fonts / "VeraBd.ttf")))
    return frozenset(regular.face.charToGlyph)


def _numbered(canvas: Any, document: Any) -> None:
    canvas.setFont("Helvetica", 7)
    canvas.drawRightString(A4[0] - _MARGIN, 8 * mm, f"Page {document.page}")
