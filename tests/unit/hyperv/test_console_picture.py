"""Thumbnails of a host become pictures, whatever it sends."""

from __future__ import annotations

import base64
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hyperv.console_picture import Heartbeat, console_picture, heartbeat_of, is_black
from adapters.hyperv.verb_schemas import ThumbnailReply
from domain.errors import DamagedDataError


def packed(pixels: bytes) -> str:
    deflate = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return base64.b64encode(deflate.compress(pixels) + deflate.flush()).decode()


def reply(width: int, height: int, pixels: str) -> ThumbnailReply:
    return ThumbnailReply(width=width, height=height, pixels=pixels)


@given(st.integers(0, 31), st.integers(0, 63), st.integers(0, 31))
def test_each_colour_is_the_nearest_of_8_bits(red: int, green: int, blue: int) -> None:
    word = red << 11 | green << 5 | blue
    shown = console_picture(reply(1, 1, packed(word.to_bytes(2, "little")))).getpixel((0, 0))
    assert shown == (round(red * 255 / 31), round(green * 255 / 63), round(blue * 255 / 31))


def test_rows_follow_each_other() -> None:
    white_above_black = b"\xff" * 6 + b"\0" * 6
    picture = console_picture(reply(3, 2, packed(white_above_black)))
    assert (picture.getpixel((2, 0)), picture.getpixel((0, 1))) == ((255, 255, 255), (0, 0, 0))
    assert not is_black(picture)
    assert is_black(console_picture(reply(3, 2, packed(bytes(12)))))


@pytest.mark.parametrize(
    "pixels", ["", "???", "AAAA", packed(bytes(11)), packed(bytes(13)), packed(bytes(100_000_000)), packed(b"")]
)
def test_what_is_no_picture_of_this_size_is_refused(pixels: str) -> None:
    with pytest.raises(DamagedDataError):
        console_picture(reply(3, 2, pixels))


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ((), Heartbeat.ABSENT),
        ((2,), Heartbeat.OK),
        ((2, 2), Heartbeat.OK),
        ((2, 32782), Heartbeat.APPLICATIONS_CRITICAL),
        ((3, 2), Heartbeat.DEGRADED),
        ((7,), Heartbeat.FAILED),
        ((12,), Heartbeat.NO_CONTACT),
        ((13, 2), Heartbeat.NO_CONTACT),
        ((15,), Heartbeat.PAUSED),
        ((99,), Heartbeat.FAILED),
    ],
)
def test_a_heartbeat_in_words(status: tuple[int, ...], word: Heartbeat) -> None:
    assert heartbeat_of(status) is word
