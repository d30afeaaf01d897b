"""Port: reading the text on a console picture."""

from __future__ import annotations

from typing import Protocol

from domain.ports.lab import Frame


class ConsoleReader(Protocol):
    """Turns a picture of a console into text, with the mistakes that optical reading makes."""

    def read(self, frame: Frame) -> str:
        """The text on ``frame``, line by line, in bounded time; empty when there is none or it took too long.

        The result is untrusted: the guest chose it. Raises EnvironmentTroubleError when the reading program is
        missing or broken.
        """
