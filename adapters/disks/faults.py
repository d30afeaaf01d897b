"""The errors of disk images, so that each says the same next step."""

from __future__ import annotations

import errno

from domain.errors import AtestaError, BadInputError, DamagedDataError, EnvironmentTroubleError

_OUT_OF_SPACE = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def damaged_image(what: str, where: str) -> DamagedDataError:
    """An image that contradicts its format."""
    return DamagedDataError(
        what,
        where=where,
        next_step="Check the disk on its host with Test-VHD, then export or copy it again.",
    )


def unsupported_image(what: str, where: str) -> BadInputError:
    """A sound image of a kind that Atesta does not read."""
    return BadInputError(
        what, where=where, next_step="Convert it to a dynamic VHDX with Convert-VHD or qemu-img, and use that."
    )


def unreadable(error: OSError, where: str) -> AtestaError:
    """Translate the operating system's refusal to open or read ``where``."""
    if isinstance(error, FileNotFoundError):
        return BadInputError("The file does not exist.", where=where, next_step="Check the path.")
    if isinstance(error, PermissionError):
        return EnvironmentTroubleError(
            "The file may not be read.", where=where, next_step="Grant read access to the user that runs Atesta."
        )
    return EnvironmentTroubleError(
        f"The file cannot be read: {error.strerror or error}.",
        where=where,
        next_step="Check the disk or share that holds it, then try again.",
    )


def unwritable(error: OSError, where: str) -> EnvironmentTroubleError:
    """Translate the operating system's refusal to write ``where``."""
    if error.errno in _OUT_OF_SPACE:
        return EnvironmentTroubleError(
            "There is no room left for the image.",
            where=where,
            next_step="Free space there or choose another folder, then start again; nothing was left behind.",
        )
    return EnvironmentTroubleError(
        f"The image cannot be written: {error.strerror or error}.",
        where=where,
        next_step="Check that the folder exists and is writable, then start again.",
    )
