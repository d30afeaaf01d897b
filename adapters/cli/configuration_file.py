"""Writing a new configuration file, never over one that is there."""

from __future__ import annotations

from pathlib import Path

from domain.errors import EnvironmentTroubleError


def write_configuration(file: Path, text: str) -> None:
    """Write ``text`` to the new file. Raises EnvironmentTroubleError, also when it exists."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The configuration cannot be written: {error.strerror}.",
            where=str(file),
            next_step="Choose another folder.",
        ) from error
