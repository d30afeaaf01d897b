"""Who did something: what stands beside each event, so that an auditor can ask for a person, a host or a job."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

_NAME_LENGTH_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Actor:
    """An operating-system user on a host, the command that ran (such as ``atesta run``), and Atesta's version."""

    user: str
    host: str
    command: str
    version: str


def actor_of(user: str, host: str, command: str, version: str) -> Actor:
    """An actor whose names are shown safely anywhere: bounded, nothing invisible, never empty."""
    return Actor(user=_name(user), host=_name(host), command=_name(command), version=_name(version))


def _name(text: str) -> str:
    shown = "".join(
        character if unicodedata.category(character)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for character in text[: _NAME_LENGTH_MAX + 1]
    ).strip()
    if not shown:
        return "unknown"
    return shown if len(shown) <= _NAME_LENGTH_MAX else shown[: _NAME_LENGTH_MAX - 1] + "…"
