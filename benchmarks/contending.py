"""Where a contender works: a fresh folder, the images that it takes in, and the passphrase."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.images import ImageSet
from benchmarks.measuring import Step

PASSPHRASE = "measured, not kept: 4711"
"""Guards throw-away repositories only; it still goes through files and the environment, as a user's would."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A fresh folder for one tool in one round, and the images that it takes in."""

    folder: Path
    images: ImageSet

    @property
    def repository(self) -> Path:
        """Where everything that the tool keeps is counted."""
        return self.folder / "repository"

    @property
    def target(self) -> Path:
        """The folder that is restored to."""
        return self.folder / "restored"

    @property
    def environment(self) -> dict[str, str]:
        """A home without settings and caches."""
        return {"HOME": str(self.folder / "home")}

    def step(self, command: Sequence[str], folder: Path | None = None, **environment: str) -> Step:
        """A command in this place."""
        return Step(command=command, folder=folder or self.folder, environment={**self.environment, **environment})
