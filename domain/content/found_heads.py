"""Finding signed heads and proofs in text that came through mailboxes: quoted, with other line breaks, among words."""

from __future__ import annotations

import re
from collections.abc import Iterator

_NOTE = (
    r"atesta/[0-9a-f]{32}\n\d{1,19}\n[A-Za-z0-9+/]{43}=\n\n"
    r"(?:\u2014 atesta/[0-9a-f]{32} [A-Za-z0-9+/=]{1,200}\n){1,16}"
)
_HEAD = re.compile(_NOTE)
_PROOF = re.compile(
    r"c2sp\.org/tlog-proof@v1\nextra [A-Za-z0-9+/=]{1,100000}\nindex \d{1,19}\n(?:[A-Za-z0-9+/]{43}=\n){0,63}\n" + _NOTE
)
_QUOTED = re.compile(r"^[ \t]*(?:>[ \t]?)*[ \t]*", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*(?:\r\n|\r|\n)")


def heads_in(text: str) -> Iterator[str]:
    """The texts in ``text`` that look like signed heads, each as it was signed. Nothing is verified."""
    for found in _HEAD.finditer(_plain(text)):
        yield found.group(0)


def proofs_in(text: str) -> Iterator[str]:
    """The texts in ``text`` that look like proofs of entries, each with its signed head. Nothing is verified."""
    for found in _PROOF.finditer(_plain(text)):
        yield found.group(0)


def _plain(text: str) -> str:
    return _QUOTED.sub("", _LINE_END.sub("\n", text)) + "\n"
