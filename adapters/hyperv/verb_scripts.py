"""The scripts of the verbs: package data, sent with their common prelude; and which of them may be sent twice."""

from __future__ import annotations

import functools
import hashlib
from importlib.resources import files

from domain.errors import BadInputError

READING = frozenset(
    {
        "host-facts",
        "list-machines",
        "job",
        "checkpoint-disks",
        "configuration-files",
        "changed-ranges",
        "reference-points",
        "merge-state",
        "doctor-facts",
        "thumbnail",
        "guest-facts",
    }
)
"""Verbs that change nothing: after a lost connection they are sent again."""

CHANGING = frozenset(
    {"take-checkpoint", "convert-checkpoint", "destroy-reference-point", "destroy-checkpoint", "set-state"}
)
"""Verbs that may have been done although no reply came: the caller looks at what there is before it repeats one."""

VERBS = READING | CHANGING


@functools.cache
def script_text(verb: str) -> str:
    """The script of a verb with the prelude before it. Raises BadInputError for a verb that there is not."""
    if verb not in VERBS:
        raise BadInputError(f"There is no verb {verb!r}.")
    folder = files("adapters.hyperv") / "verbs"
    return "\n".join((folder / f"{name}.ps1").read_text(encoding="ascii") for name in ("prelude", verb))


def verb_of(text: str) -> str | None:
    """The verb whose script is ``text``, by its SHA-256; None for any other text."""
    return _verbs_by_digest().get(hashlib.sha256(text.encode()).digest())


@functools.cache
def _verbs_by_digest() -> dict[bytes, str]:
    return {hashlib.sha256(script_text(verb).encode()).digest(): verb for verb in sorted(VERBS)}
