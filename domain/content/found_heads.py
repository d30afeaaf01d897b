"""Finding signed heads in text that came through mailboxes: quoted, with other line breaks, between other words."""

from __future__ import annotations

import re
from collections.abc import Iterator

_HEAD = re.compile(
    r"atesta/[0-9a-f]{32}\n\d{1,19}\n[A-Za-z0-9+/]{43}=\n\n"
    r"(?:\u2014 atesta/[0-9a-f]{32} [A-Za-z0-9+/=]{1,200}\n){1,16}"
)
_QUOTED = re.compile(r"^[ \t]*(?:>[ \t]?)*[ \t]*", re.MULTILINE)
_LINE_END = re.compile(r"[ \t]*(?:\r\n|\r|\n)")


def heads_in(text: str) -> Iterator[str]:
    """The texts in ``text`` that look like signed heads, each as it was signed. Nothing is verified."""
    plain = _QUOTED.sub("", _LINE_END.sub("\n", text)) + "\n"
    for found in _HEAD.finditer(plain):
        yield found.group(0)
