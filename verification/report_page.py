"""A report laid out: the same content as HTML for mail clients and as plain text.

Every field is plain text that may come from a guest; the HTML template escapes all of it. Mail clients know little:
tables for layout, styles on the elements, dark mode by a media query for those that have one.
"""

from __future__ import annotations

import functools
import textwrap
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

_TEXT_WIDTH = 76


@dataclass(frozen=True, slots=True, kw_only=True)
class Rung:
    """One grade on the ladder of proof; ``reached`` is how far this verification came."""

    name: str
    reached: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """A figure and what it measures."""

    label: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskRow:
    """A disk in the table: ``content`` has a line for the partition table and one for each volume."""

    number: int
    name: str
    size: str
    content: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPage:
    """All that a report shows, as plain text. ``tone`` is ``good``, ``bad`` or ``open``.

    ``picture`` and ``reel`` are the URLs of the pictures in the HTML, empty for none; ``picture_alt`` says what is on
    the picture to those who do not see it.
    """

    title: str
    word: str
    tone: str
    machine: str
    outcome: str
    point: str
    picture: str
    picture_alt: str
    picture_note: str
    reel: str
    rungs: tuple[Rung, ...]
    figures: tuple[Figure, ...]
    reasons: tuple[str, ...]
    evidence: str
    not_proven: tuple[str, ...]
    overrides: tuple[str, ...]
    disks: tuple[DiskRow, ...]
    backup: tuple[Figure, ...]
    console_text: str
    footer: tuple[Figure, ...]
    head: str = ""
    proof: str = ""


def page_html(page: ReportPage) -> str:
    """``page`` as an HTML document for mail clients."""
    return _environment().get_template("report.html.j2").render(page=page)


HEAD_WORDS = "Signed head of the event log; `atesta audit witness` holds the log against this mail"


OVERRIDES_WORDS = "Overridden by a person since the last report"


def page_text(page: ReportPage) -> str:
    """``page`` as plain text, 76 columns wide, that says all that the HTML says."""
    blocks = [
        f"{page.word}: {page.machine}\n{page.outcome}\n{page.point}",
        _figures(page.figures),
        _list("Why", page.reasons),
        f"The console said\n    {page.evidence}" if page.evidence else "",
        _list("Not proven", page.not_proven),
        _list(OVERRIDES_WORDS, page.overrides),
        "Proof\n" + "\n".join(f"  [{'x' if rung.reached else ' '}] {rung.name}" for rung in page.rungs),
        "Disks\n" + "\n".join(_disk(disk) for disk in page.disks) if page.disks else "",
        "Backup\n" + _figures(page.backup) if page.backup else "",
        f"Picture\n  {page.picture_alt}" + (f"\n  {page.picture_note}" if page.picture_note else ""),
        "Console\n" + textwrap.indent(page.console_text, "    ") if page.console_text else "",
        _figures(page.footer),
        f"{HEAD_WORDS}\n\n{page.head}" if page.head else "",
        page.proof,
    ]
    return "\n\n".join(block for block in blocks if block).rstrip("\n") + "\n"


def _figures(figures: tuple[Figure, ...]) -> str:
    width = max((len(figure.label) for figure in figures), default=0)
    return "\n".join(f"  {figure.label:<{width}}  {figure.value}" for figure in figures)


def _list(heading: str, sentences: tuple[str, ...]) -> str:
    wrapped = [
        textwrap.fill(sentence, _TEXT_WIDTH, initial_indent="  - ", subsequent_indent="    ") for sentence in sentences
    ]
    return "\n".join([heading, *wrapped]) if wrapped else ""


def _disk(disk: DiskRow) -> str:
    return "\n".join([f"  {disk.number}  {disk.name}, {disk.size}", *(f"       {line}" for line in disk.content)])


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("verification", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
