"""A bundle as one ZIP file whose bytes follow from its members alone."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

from adapters.durable_files import write_durably
from domain.errors import BadInputError, EnvironmentTroubleError

_DATE = (1980, 1, 1, 0, 0, 0)
_UNIX = 3
_MODE = 0o100644 << 16
_STORED_SUFFIXES = (".webp", ".png")
# A sixth smaller than deflated, and only programs need to read them; the report must open everywhere.
_BZIP2 = frozenset({"events", "report.json"})


def archive_of(members: Mapping[str, bytes]) -> bytes:
    """The members as a ZIP archive: no times, no order but theirs, no owner."""
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, member in members.items():
            entry = zipfile.ZipInfo(name, _DATE)
            entry.create_system, entry.external_attr = _UNIX, _MODE
            entry.compress_type = _compression(name)
            archive.writestr(entry, member)
    return content.getvalue()


def _compression(name: str) -> int:
    if name.endswith(_STORED_SUFFIXES):
        return zipfile.ZIP_STORED
    return zipfile.ZIP_BZIP2 if name in _BZIP2 else zipfile.ZIP_DEFLATED


def write_archive(path: Path, content: bytes, *, overwrite: bool) -> None:
    """Write the file whole or not at all, readable by its owner.

    Raises BadInputError when it is there already, EnvironmentTroubleError.
    """
    try:
        write_durably(path, content, replace=overwrite)
    except FileExistsError as error:
        raise BadInputError(
            "The file is there already.", where=str(path), next_step="Give another name, or --overwrite."
        ) from error
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The bundle cannot be written: {error.strerror}.",
            where=str(path),
            next_step="Free space or another place.",
        ) from error
