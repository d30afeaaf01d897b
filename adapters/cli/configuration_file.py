"""Writing a new configuration file, never over one that is there."""

from __future__ import annotations

from pathlib import Path

from domain.errors import BadInputError, EnvironmentTroubleError


def write_configuration(file: Path, text: str) -> None:
    """Write ``text`` to the new file. Raises BadInputError when it exists, EnvironmentTroubleError."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("x", encoding="utf-8") as opened:
            opened.write(text)
    except FileExistsError as error:
        raise BadInputError(
            "There is a configuration already.", where=str(file), next_step="Use it, or name another file."
        ) from error
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The configuration cannot be written: {error.strerror}.",
            where=str(file),
            next_step="Choose another folder.",
        ) from error
