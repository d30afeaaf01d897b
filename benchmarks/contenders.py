"""The tools that are compared: how each makes a repository, takes the images in, and gives the largest one back."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from benchmarks.contending import PASSPHRASE, Place
from benchmarks.measuring import Step, measure
from benchmarks.more_contenders import Casync, Duplicity, Zpaq
from domain.errors import EnvironmentTroubleError

_PROJECT = Path(__file__).resolve().parents[1]
_PRINT_VERSION = "import importlib.metadata as metadata; print('atesta', metadata.version('atesta'))"


class Profile(StrEnum):
    """Which peers, and how they compress: as they do when nobody says anything, or all with zstandard.

    ``MORE`` are tools that archive and synchronise; they are slow or not encrypted, and stand in a table of their own.
    """

    DEFAULT = "default"
    ZSTD = "zstd"
    MORE = "more"


class Contender(Protocol):
    """A tool under test. All commands of one place run one after the other."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    @property
    def program(self) -> str:
        """What must be on PATH."""

    @property
    def version_command(self) -> Sequence[str]:
        """What prints its name and version."""

    @property
    def settings(self) -> str:
        """What a reader must know about how it is set, in one sentence."""

    def prepare(self, place: Place) -> None:
        """Make an empty encrypted repository; not part of the figures. Raises EnvironmentTroubleError."""

    def ingest(self, place: Place) -> Step:
        """Take in all images of the place, in one command."""

    def ingest_again(self, place: Place) -> Step:
        """Take in the same images once more after ``ingest``, reading all of them whatever their dates say."""

    def restore(self, place: Place) -> Step:
        """Restore the largest image below ``place.target``."""


class Atesta:
    """This project, as a user runs it."""

    name = "atesta"
    program = sys.executable
    version_command = (sys.executable, "-c", _PRINT_VERSION)
    settings = "zstandard strategy fast, AES-256-GCM, keyed BLAKE3; swap not excluded, no boot test"

    def prepare(self, place: Place) -> None:
        """``atesta init``, then switch off in atesta.toml what the others do not do."""
        measure(self._step(place, "init", "repository", "--exports", str(place.images.folder)), durable=place.folder)
        file = place.folder / "atesta.toml"
        text = file.read_text()
        for key in ("exclude_swap", "verify"):
            if f"{key} = true" not in text:
                raise EnvironmentTroubleError(f"atesta.toml does not set {key}.", where=str(file))
            text = text.replace(f"{key} = true", f"{key} = false")
        file.write_text(text)

    def ingest(self, place: Place) -> Step:
        """``atesta backup`` of all machines."""
        return self._step(place, "backup", "--json")

    def ingest_again(self, place: Place) -> Step:
        """A full backup: an incremental would not read images that nobody touched."""
        return self._step(place, "backup", "--full", "--json")

    def restore(self, place: Place) -> Step:
        """``atesta restore`` of the machine that the image is."""
        point = f"{place.images.largest.stem}@latest"
        return self._step(place, "restore", point, "--to", str(place.target), "--format", "raw")

    def _step(self, place: Place, *arguments: str) -> Step:
        return place.step(
            [sys.executable, "-m", "adapters.cli.main", *arguments],
            PYTHONPATH=str(_PROJECT),
            ATESTA_PASSPHRASE=PASSPHRASE,
        )


class Restic:
    """restic with repository version 2."""

    name = "restic"
    program = "restic"
    version_command = ("restic", "version")
    settings = "repository version 2, --compression auto (its default: zstandard)"

    def prepare(self, place: Place) -> None:
        """``restic init``."""
        (place.folder / "passphrase").write_text(PASSPHRASE)
        measure(self._step(place, ["init", "--repository-version", "2"]), durable=place.folder)

    def ingest(self, place: Place) -> Step:
        """``restic backup`` of the folder."""
        return self._step(place, ["backup", "--compression", "auto", "."], place.images.folder)

    def ingest_again(self, place: Place) -> Step:
        """The same with ``--force``, which reads files that look as they did."""
        return self._step(place, ["backup", "--compression", "auto", "--force", "."], place.images.folder)

    def restore(self, place: Place) -> Step:
        """``restic restore`` of one file."""
        name = place.images.largest.name
        return self._step(place, ["restore", "latest", "--target", str(place.target), "--include", name])

    def _step(self, place: Place, arguments: Sequence[str], folder: Path | None = None) -> Step:
        return place.step(
            ["restic", *arguments],
            folder,
            RESTIC_REPOSITORY=str(place.repository),
            RESTIC_PASSWORD_FILE=str(place.folder / "passphrase"),
            RESTIC_CACHE_DIR=str(place.folder / "cache"),
        )


class Borg:
    """BorgBackup with its key in the repository."""

    name = "borg"
    program = "borg"
    version_command = ("borg", "--version")

    def __init__(self, compression: str) -> None:
        self._compression = compression

    @property
    def settings(self) -> str:
        """Its encryption and compression."""
        default = " (its default)" if self._compression == "lz4" else ""
        return f"repokey-blake2, --compression {self._compression}{default}"

    def prepare(self, place: Place) -> None:
        """``borg init``."""
        measure(self._step(place, ["init", "--encryption", "repokey-blake2"]), durable=place.folder)

    def ingest(self, place: Place) -> Step:
        """``borg create`` of the folder."""
        return self._step(place, ["create", "--compression", self._compression, "::images", "."], place.images.folder)

    def ingest_again(self, place: Place) -> Step:
        """A second archive, without the cache of files that look as they did."""
        options = ["create", "--files-cache", "disabled", "--compression", self._compression]
        return self._step(place, [*options, "::again", "."], place.images.folder)

    def restore(self, place: Place) -> Step:
        """``borg extract`` of one file, with its holes."""
        return self._step(place, ["extract", "--sparse", "::images", place.images.largest.name], place.target)

    def _step(self, place: Place, arguments: Sequence[str], folder: Path | None = None) -> Step:
        return place.step(
            ["borg", *arguments],
            folder,
            BORG_REPO=str(place.repository),
            BORG_PASSPHRASE=PASSPHRASE,
            BORG_BASE_DIR=str(place.folder / "cache"),
        )


def contenders(profile: Profile) -> tuple[Contender, ...]:
    """The tools of a comparison, Atesta first. Raises EnvironmentTroubleError when one is not installed."""
    found: tuple[Contender, ...]
    if profile is Profile.MORE:
        found = (Atesta(), Zpaq(), Casync(), Duplicity())
    else:
        found = (Atesta(), Restic(), Borg("lz4" if profile is Profile.DEFAULT else "zstd,3"))
    for contender in found:
        if shutil.which(contender.program) is None:
            raise EnvironmentTroubleError(
                f"{contender.name} is not installed.",
                next_step="Run: apt-get install restic borgbackup zpaq casync duplicity",
            )
    return found
