"""Writing what a command answers into a file that a person named."""

from __future__ import annotations

from pathlib import Path

from adapters.durable_files import write_durably
from domain.errors import EnvironmentTroubleError


def write_text(file: Path, text: str) -> None:
    """Put ``text`` at ``file`` durably, in the place of what is there. Raises EnvironmentTroubleError."""
    try:
        write_durably(file, text.encode())
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The file cannot be written: {error.strerror}.", where=str(file), next_step="Name another one."
        ) from error
