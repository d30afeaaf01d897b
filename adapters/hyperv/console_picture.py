"""The console of a machine on a host as a picture, and its heartbeat in words."""

from __future__ import annotations

import base64
import binascii
import zlib
from enum import StrEnum

import numpy as np
from PIL import Image

from adapters.hyperv.verb_schemas import ThumbnailReply
from domain.errors import DamagedDataError

_PIXEL_BYTES = 2
_OK, _DEGRADED, _ERROR, _NO_CONTACT, _LOST, _PAUSED = 2, 3, 7, 12, 13, 15
_APPLICATIONS_CRITICAL = 32782


class Heartbeat(StrEnum):
    """What the heartbeat of a guest says. ABSENT is no failure: the guest has no integration services."""

    OK = "ok"
    APPLICATIONS_CRITICAL = "applications critical"
    DEGRADED = "degraded"
    FAILED = "failed"
    NO_CONTACT = "no contact"
    PAUSED = "paused"
    ABSENT = "absent"


def console_picture(reply: ThumbnailReply) -> Image.Image:
    """The console as an RGB picture. Raises DamagedDataError when the host sent other than a picture of this size."""
    wanted = reply.width * reply.height * _PIXEL_BYTES
    try:
        packed = base64.b64decode(reply.pixels, validate=True)
        pixels = zlib.decompressobj(-zlib.MAX_WBITS).decompress(packed, wanted + 1)
    except (binascii.Error, ValueError, zlib.error) as error:
        raise DamagedDataError("The host's picture of the console cannot be read.") from error
    if len(pixels) != wanted:
        raise DamagedDataError(
            f"The host's picture of the console has not {reply.width} x {reply.height} pixels of 16 bits."
        )
    return Image.fromarray(_rgb_of(pixels).reshape(reply.height, reply.width, 3))


def is_black(picture: Image.Image) -> bool:
    """Whether nothing at all is shown, which may be a blanked screen."""
    return picture.getbbox() is None


def heartbeat_of(status: tuple[int, ...]) -> Heartbeat:
    """The word for Msvm_HeartbeatComponent.OperationalStatus."""
    if not status:
        return Heartbeat.ABSENT
    if status[0] == _OK and _APPLICATIONS_CRITICAL in status[1:]:
        return Heartbeat.APPLICATIONS_CRITICAL
    words = {
        _OK: Heartbeat.OK,
        _DEGRADED: Heartbeat.DEGRADED,
        _ERROR: Heartbeat.FAILED,
        _NO_CONTACT: Heartbeat.NO_CONTACT,
        _LOST: Heartbeat.NO_CONTACT,
        _PAUSED: Heartbeat.PAUSED,
    }
    return words.get(status[0], Heartbeat.FAILED)


def _rgb_of(pixels: bytes) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    """RGB565, little-endian, expanded to 8 bits as libvirt does."""
    words = np.frombuffer(pixels, dtype="<u2").astype(np.uint32)
    red, green, blue = words >> 11, (words >> 5) & 0x3F, words & 0x1F
    expanded = ((red * 527 + 23) >> 6, (green * 259 + 33) >> 6, (blue * 527 + 23) >> 6)
    return np.stack(expanded, axis=-1).astype(np.uint8)
