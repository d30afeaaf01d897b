"""Tools that archive and synchronise rather than back up, set as near to the others as they can be."""

from __future__ import annotations

from benchmarks.contending import PASSPHRASE, Place
from benchmarks.measuring import Step

_ZSTD = "--compression=zstd"


class Zpaq:
    """zpaq: one journaling archive, deduplicated by content."""

    name = "zpaq"
    program = "zpaq"
    version_command = ("sh", "-c", "zpaq | head -n 1")
    settings = "method 1 (its default); not encrypted, because it takes its key on the command line only"

    def prepare(self, place: Place) -> None:
        """Nothing: the archive begins with its first update."""
        place.repository.mkdir()

    def ingest(self, place: Place) -> Step:
        """``zpaq add`` of all images."""
        names = [path.name for path in place.images.paths]
        return place.step(["zpaq", "add", str(place.repository / "images.zpaq"), *names], place.images.folder)

    def ingest_again(self, place: Place) -> Step:
        """The same; ``-force`` reads files whose date did not change."""
        step = self.ingest(place)
        return place.step([*step.command, "-force"], place.images.folder)

    def restore(self, place: Place) -> Step:
        """``zpaq extract`` of one file."""
        name = place.images.largest.name
        archive = str(place.repository / "images.zpaq")
        return place.step(["zpaq", "extract", archive, name, "-to", str(place.target / name)])


class Casync:
    """casync: chunks in a folder, an index for each image."""

    name = "casync"
    program = "casync"
    version_command = ("casync", "--version")
    settings = "blob indexes, --compression=zstd, chunks of 64 KiB on average (its default); it has no encryption"

    def prepare(self, place: Place) -> None:
        """The folder of the indexes."""
        place.repository.mkdir()

    def ingest(self, place: Place) -> Step:
        """``casync make`` for each image, one after the other."""
        store = f"--store={place.repository}/chunks.castr"
        each = f'casync make {store} {_ZSTD} "{place.repository}/$image.caibx" "$image"'
        return place.step(["sh", "-e", "-c", f"for image in *.img; do {each}; done"], place.images.folder)

    def ingest_again(self, place: Place) -> Step:
        """The same: it reads and cuts everything, and finds every chunk there."""
        return self.ingest(place)

    def restore(self, place: Place) -> Step:
        """``casync extract`` of one index."""
        name = place.images.largest.name
        store = f"--store={place.repository}/chunks.castr"
        return place.step(
            ["casync", "extract", store, str(place.repository / f"{name}.caibx"), str(place.target / name)]
        )


class Duplicity:
    """duplicity: encrypted volumes, no deduplication within a full backup."""

    name = "duplicity"
    program = "duplicity"
    version_command = ("duplicity", "--version")
    settings = "GnuPG with a passphrase (AES-256), volumes of 200 MB (its defaults); it does not deduplicate"

    def prepare(self, place: Place) -> None:
        """The folders that it wants to find; GnuPG's must be closed to others."""
        place.repository.mkdir()
        (place.folder / "gnupg").mkdir(mode=0o700)

    def ingest(self, place: Place) -> Step:
        """``duplicity full`` of the folder."""
        return self._step(place, "full", str(place.images.folder), f"file://{place.repository}")

    def ingest_again(self, place: Place) -> Step:
        """A second full backup: it stores everything anew."""
        return self.ingest(place)

    def restore(self, place: Place) -> Step:
        """``duplicity restore`` of one file."""
        name = place.images.largest.name
        from_url, target = f"file://{place.repository}", str(place.target / name)
        return self._step(place, "restore", "--file-to-restore", name, from_url, target)

    def _step(self, place: Place, action: str, *arguments: str) -> Step:
        return place.step(
            ["duplicity", action, "--no-print-statistics", "--archive-dir", str(place.folder / "cache"), *arguments],
            PASSPHRASE=PASSPHRASE,
            GNUPGHOME=str(place.folder / "gnupg"),
        )
