"""How a person names a restore point: a short id, ``NAME@latest`` or ``NAME@2026-11-22``."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date

from domain.errors import BadInputError

SHORT_ID_LENGTH = 8


@dataclass(frozen=True, slots=True)
class ById:
    """The point whose id starts with ``prefix`` (lower-case hexadecimal, at least 4 digits)."""

    prefix: str


@dataclass(frozen=True, slots=True)
class ByMachine:
    """The latest point of the machine ``name``, or the latest one taken on ``day``."""

    name: str
    day: date | None


def parse_point_name(text: str) -> ById | ByMachine:
    """Read a point's name. Raises BadInputError for one that follows neither form."""
    name, at, when = text.rpartition("@")
    if at and name:
        if when == "latest":
            return ByMachine(name, None)
        try:
            return ByMachine(name, date.fromisoformat(when))
        except ValueError as error:
            raise _bad(text) from error
    prefix = text.lower().replace("-", "")
    if len(prefix) < 4 or any(digit not in "0123456789abcdef" for digit in prefix):
        raise _bad(text)
    return ById(prefix)


def _bad(text: str) -> BadInputError:
    return BadInputError(
        "This names no restore point.",
        where=repr(text),
        next_step="Use a short id from `atesta points`, NAME@latest or NAME@2026-11-22.",
    )
