"""From console frames to what a person is shown: the picture (PNG) and the reel (an animated strip of the boot)."""

from __future__ import annotations

import io
from collections.abc import Sequence

from PIL import Image, ImageChops

from domain.ports.lab import Frame

PICTURE_WIDTH_MAX = 1280
REEL_WIDTH = 320
REEL_FRAMES_MAX = 24
REEL_BYTES_MAX = 512 * 1024
_CONSOLE_WIDTH_MIN = 640
_EMPTY_MARGIN = 16
_REDACTED_BLOCKS_ACROSS = 40
_REEL_FRAME_MS = 600
_REEL_LAST_FRAME_MS = 2400


def picture_png(frame: Frame, *, redact: bool = False) -> bytes:
    """``frame`` as a PNG at most 1280 pixels wide; with ``redact`` as blocks in which no text can be read.

    Where a large console is empty to the right and below, that part is left out: a prompt must be legible on a phone.
    """
    shown = redacted(frame) if redact else frame
    image = _fitted(_without_empty_rest(_image(shown)), PICTURE_WIDTH_MAX)
    # A console has few colours; a palette makes its picture a quarter of the size, and loses nothing below 256 colours.
    if image.getcolors(maxcolors=256) is not None:
        image = image.quantize(colors=256, dither=Image.Dither.NONE)
    content = io.BytesIO()
    image.save(content, format="PNG", optimize=True)
    return content.getvalue()


def reel_gif(frames: Sequence[Frame], *, redact: bool = False) -> bytes | None:
    """An animated GIF of at most 24 of ``frames`` and 512 KiB that plays twice; None for fewer than two frames."""
    chosen = list(_evenly(frames, REEL_FRAMES_MAX))
    while len(chosen) >= 2:
        content = _gif([redacted(frame) if redact else frame for frame in chosen])
        if len(content) <= REEL_BYTES_MAX:
            return content
        chosen = list(_evenly(chosen, len(chosen) // 2))
    return None


def redacted(frame: Frame) -> Frame:
    """``frame`` averaged into some 40 blocks across: its kind can be told, its words cannot."""
    image = _image(frame)
    across = min(_REDACTED_BLOCKS_ACROSS, frame.width)
    down = max(round(frame.height * across / frame.width), 1)
    blocks = image.resize((across, down), Image.Resampling.BOX).resize(image.size, Image.Resampling.NEAREST)
    return Frame(width=frame.width, height=frame.height, rgb=blocks.tobytes())


def thumbnail(frame: Frame) -> Frame:
    """``frame`` at the reel's width, so that many can be kept in memory."""
    image = _fitted(_image(frame), REEL_WIDTH)
    return Frame(width=image.width, height=image.height, rgb=image.tobytes())


def _image(frame: Frame) -> Image.Image:
    return Image.frombytes("RGB", (frame.width, frame.height), frame.rgb)


def _without_empty_rest(image: Image.Image) -> Image.Image:
    """Keep the top left with everything that is shown, in the console's own shape, at least 640 pixels wide."""
    corner = image.getpixel((image.width - 1, image.height - 1))
    content = ImageChops.difference(image, Image.new("RGB", image.size, corner)).getbbox()
    right, bottom = (content[2], content[3]) if content else (0, 0)
    share = max(
        (right + _EMPTY_MARGIN) / image.width, (bottom + _EMPTY_MARGIN) / image.height, _CONSOLE_WIDTH_MIN / image.width
    )
    if share >= 1:
        return image
    return image.crop((0, 0, round(image.width * share), round(image.height * share)))


def _fitted(image: Image.Image, width_max: int) -> Image.Image:
    if image.width <= width_max:
        return image
    height = max(round(image.height * width_max / image.width), 1)
    return image.resize((width_max, height), Image.Resampling.LANCZOS)


def _evenly(frames: Sequence[Frame], count: int) -> Sequence[Frame]:
    """At most ``count`` of ``frames``, spread evenly, the last one always among them."""
    if len(frames) <= count or count < 1:
        return frames[:0] if count < 1 else frames
    step = (len(frames) - 1) / max(count - 1, 1)
    return [frames[-1 - round(number * step)] for number in range(count)][::-1]


def _gif(frames: Sequence[Frame]) -> bytes:
    canvas = (REEL_WIDTH, max(_height_at_reel_width(frame) for frame in frames))
    images = [_on_canvas(frame, canvas) for frame in frames]
    content = io.BytesIO()
    durations = [_REEL_FRAME_MS] * (len(images) - 1) + [_REEL_LAST_FRAME_MS]
    images[0].save(
        content, format="GIF", save_all=True, append_images=images[1:], duration=durations, loop=1, optimize=True
    )
    return content.getvalue()


def _height_at_reel_width(frame: Frame) -> int:
    return max(round(frame.height * REEL_WIDTH / frame.width), 1)


def _on_canvas(frame: Frame, canvas: tuple[int, int]) -> Image.Image:
    resized = _image(frame).resize((REEL_WIDTH, _height_at_reel_width(frame)), Image.Resampling.LANCZOS)
    image = Image.new("RGB", canvas)
    image.paste(resized, (0, (canvas[1] - resized.height) // 2))
    return image.quantize(colors=64, dither=Image.Dither.NONE)
