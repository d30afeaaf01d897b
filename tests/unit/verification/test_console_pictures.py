"""Frames: what counts as dark and as a change; the picture, the reel, and making them unreadable."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from domain.ports.lab import Frame
from tests.unit.verification.console_world import drawn, frame_from
from verification.console_frames import changed_materially, is_dark
from verification.picture import REEL_BYTES_MAX, REEL_FRAMES_MAX, picture_png, redacted, reel_gif


@pytest.mark.parametrize("frame", [None, drawn(""), drawn("", cursor=True), frame_from("only_a_cursor")])
def test_a_console_with_nothing_but_a_cursor_is_dark(frame: Frame | None) -> None:
    assert is_dark(frame)


@pytest.mark.parametrize("name", ["uefi_login", "login", "grub_menu", "seabios_empty"])
def test_a_console_with_text_is_not_dark(name: str) -> None:
    assert not is_dark(frame_from(name))


def test_a_blinking_cursor_is_no_change() -> None:
    assert not changed_materially(drawn("web01 login:"), drawn("web01 login:", cursor=True))


def test_a_new_word_is_a_change() -> None:
    assert changed_materially(drawn(""), drawn("login:"))


def test_another_resolution_is_a_change() -> None:
    assert changed_materially(drawn("a"), drawn("a", size=(640, 400)))


def test_the_first_picture_is_a_change() -> None:
    assert changed_materially(None, drawn(""))
    assert not changed_materially(None, None)


def test_the_picture_leaves_out_the_empty_rest_of_a_large_console() -> None:
    with Image.open(io.BytesIO(picture_png(frame_from("uefi_login")))) as picture:
        assert picture.size == (640, 400)
        assert max(picture.convert("L").tobytes()) > 150


def test_the_picture_keeps_a_console_that_is_full() -> None:
    with Image.open(io.BytesIO(picture_png(frame_from("grub_menu")))) as picture:
        assert picture.width > 1200


def test_the_picture_is_never_wider_than_its_bound() -> None:
    wide = Image.effect_noise((4000, 1000), 90).convert("RGB")
    with Image.open(io.BytesIO(picture_png(Frame(width=4000, height=1000, rgb=wide.tobytes())))) as picture:
        assert picture.size == (1280, 320)


def test_a_redacted_picture_holds_no_more_than_its_blocks() -> None:
    frame = redacted(frame_from("uefi_login"))
    image = Image.frombytes("RGB", (frame.width, frame.height), frame.rgb)
    assert image.size == (1280, 800)
    assert image.resize((40, 25), Image.Resampling.NEAREST).resize(image.size, Image.Resampling.NEAREST).tobytes() == (
        image.tobytes()
    )


def test_the_reel_is_animated_and_bounded_however_many_frames_there_are() -> None:
    noise = [Image.effect_noise((320, 200), 90 + number).convert("RGB") for number in range(60)]
    content = reel_gif([Frame(width=320, height=200, rgb=image.tobytes()) for image in noise])
    assert content is not None
    assert len(content) <= REEL_BYTES_MAX
    with Image.open(io.BytesIO(content)) as reel:
        assert 2 <= getattr(reel, "n_frames", 1) <= REEL_FRAMES_MAX


def test_the_reel_takes_frames_of_any_shape() -> None:
    content = reel_gif([frame_from("login"), frame_from("uefi_login"), frame_from("only_a_cursor")])
    assert content is not None
    with Image.open(io.BytesIO(content)) as reel:
        assert reel.size == (320, 200)


def test_one_frame_is_no_reel() -> None:
    assert reel_gif([drawn("a")]) is None
