"""Comparing pictures of a console: whether anything is on it, and whether a change matters."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from domain.ports.lab import Frame

# The largest character cell in use (a 16x32 console font) and a little more: a blinking cursor or a counting-down digit
# stays within one cell.
_CELL_WIDTH_MAX = 20
_CELL_HEIGHT_MAX = 36
_COLOUR_STEP_MIN = 24


def is_dark(frame: Frame | None) -> bool:
    """Whether nothing is on the console: no picture, one colour, or one colour and a cursor."""
    if frame is None or frame.width == 0 or frame.height == 0:
        return True
    pixels = _pixels(frame)
    background = np.median(pixels[:: max(frame.height // 64, 1), :: max(frame.width // 64, 1)], axis=(0, 1))
    return not _exceeds_a_cell(np.abs(pixels.astype(np.int16) - background.astype(np.int16)))


def changed_materially(before: Frame | None, after: Frame | None) -> bool:
    """Whether more changed than what a blinking cursor does.

    Compare with the frame of the last material change, not with the previous one, so that small steps add up.
    """
    if before is None or after is None:
        return before is not after
    if (before.width, before.height) != (after.width, after.height):
        return True
    if before.rgb == after.rgb:
        return False
    return _exceeds_a_cell(np.abs(_pixels(before).astype(np.int16) - _pixels(after).astype(np.int16)))


def _pixels(frame: Frame) -> npt.NDArray[np.uint8]:
    return np.frombuffer(frame.rgb, dtype=np.uint8).reshape(frame.height, frame.width, 3)


def _exceeds_a_cell(difference: npt.NDArray[np.int16]) -> bool:
    different = difference.max(axis=2) >= _COLOUR_STEP_MIN
    rows = np.flatnonzero(different.any(axis=1))
    if rows.size == 0:
        return False
    columns = np.flatnonzero(different.any(axis=0))
    height, width = int(rows[-1] - rows[0]) + 1, int(columns[-1] - columns[0]) + 1
    return height > _CELL_HEIGHT_MAX or width > _CELL_WIDTH_MAX
