"""Making text that a guest or a source chose harmless to show: bounded, printable, on the lines it claims."""

from __future__ import annotations

import unicodedata

_LINES_MAX = 80
_LINE_LENGTH_MAX = 200
_INPUT_LENGTH_MAX = 64 * 1024


def cleaned_lines(text: str) -> str:
    """Strip control, format (bidi, zero-width), private and unassigned characters; bound lines and their length."""
    lines = text[:_INPUT_LENGTH_MAX].replace("\r\n", "\n").replace("\t", "    ").split("\n")
    clean = [_printable(line).rstrip()[:_LINE_LENGTH_MAX] for line in lines]
    return "\n".join(clean[:_LINES_MAX]).strip("\n")


def cleaned_line(text: str, length_max: int) -> str:
    """The same on one line of at most ``length_max`` characters, shortened visibly."""
    line = " ".join(_printable(text[:_INPUT_LENGTH_MAX].replace("\n", " ").replace("\t", " ")).split())
    return line if len(line) <= length_max else line[: length_max - 1].rstrip() + "…"


def _printable(line: str) -> str:
    composed = unicodedata.normalize("NFC", line)
    return "".join(" " if _is_space(character) else character for character in composed if not _is_unsafe(character))


def _is_unsafe(character: str) -> bool:
    category = unicodedata.category(character)
    return category.startswith("C") or category in ("Zl", "Zp")


def _is_space(character: str) -> bool:
    return unicodedata.category(character) == "Zs"
