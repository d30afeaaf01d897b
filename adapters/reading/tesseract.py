"""Reads console pictures with the tesseract program.

Tesseract is trained on dark print on white paper at some 30 pixels a line, so a console's picture is inverted and
enlarged first. One thread: on a busy machine its OpenMP threads spin and make it ten times slower. The picture goes in
and the text comes out through pipes; nothing of a guest is left in temporary files.
"""

from __future__ import annotations

import io
import os
import subprocess
from dataclasses import dataclass

from PIL import Image, ImageOps

from domain.errors import EnvironmentTroubleError
from domain.ports.lab import Frame

_SIDE_MAX = 4096
_ENLARGED_WIDTH_MAX = 2600
_MARGIN = 20
_TEXT_BYTES_MAX = 64 * 1024
_INSTALL = "Install it: apt install tesseract-ocr tesseract-ocr-eng."


@dataclass(frozen=True, slots=True, kw_only=True)
class TesseractReader:
    """A ConsoleReader that starts ``program`` for each picture and stops it after ``seconds_max``."""

    program: str = "tesseract"
    seconds_max: float = 30.0

    def read(self, frame: Frame) -> str:
        """The text on ``frame``; empty when there is none, or when reading took longer than ``seconds_max``.

        Raises EnvironmentTroubleError when tesseract or its English data is missing, or it fails.
        """
        if not 0 < frame.width <= _SIDE_MAX or not 0 < frame.height <= _SIDE_MAX:
            return ""
        prepared = prepared_for_reading(frame)
        return "" if prepared is None else self._text_of(_portable_graymap(prepared))

    def _text_of(self, picture: bytes) -> str:
        command = [self.program, "stdin", "stdout", "-l", "eng", "--psm", "6", "-c", "tessedit_do_invert=0"]
        try:
            done = subprocess.run(
                command,
                input=picture,
                capture_output=True,
                timeout=self.seconds_max,
                check=False,
                env={**os.environ, "OMP_THREAD_LIMIT": "1"},
            )
        except FileNotFoundError as error:
            raise EnvironmentTroubleError(
                "The program that reads console pictures is missing.", where=self.program, next_step=_INSTALL
            ) from error
        except subprocess.TimeoutExpired:
            return ""
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The program that reads console pictures cannot be started: {error.strerror}.",
                where=self.program,
                next_step=_INSTALL,
            ) from error
        if done.returncode != 0:
            raise EnvironmentTroubleError(
                f"Reading a console picture failed: {_last_line(done.stderr)}", where=self.program, next_step=_INSTALL
            )
        return done.stdout[:_TEXT_BYTES_MAX].decode("utf-8", errors="replace")


def prepared_for_reading(frame: Frame) -> Image.Image | None:
    """``frame`` as dark print on white, cut to its content and enlarged; None when it shows one colour only."""
    gray = Image.frombytes("RGB", (frame.width, frame.height), frame.rgb).convert("L")
    if _median(gray) < 128:
        gray = ImageOps.invert(gray)
    gray = ImageOps.autocontrast(gray)
    content = ImageOps.invert(gray).getbbox()
    if content is None:
        return None
    cut = gray.crop(content)
    factor = min(2.0, _ENLARGED_WIDTH_MAX / cut.width)
    size = (max(round(cut.width * factor), 1), max(round(cut.height * factor), 1))
    return ImageOps.expand(cut.resize(size, Image.Resampling.LANCZOS), _MARGIN, 255)


def _median(gray: Image.Image) -> int:
    counts = gray.histogram()
    half, seen = sum(counts) / 2, 0
    for level, count in enumerate(counts):
        seen += count
        if seen >= half:
            return level
    return 255


def _portable_graymap(picture: Image.Image) -> bytes:
    content = io.BytesIO()
    picture.save(content, format="PPM")
    return content.getvalue()


def _last_line(output: bytes) -> str:
    lines = [line.strip() for line in output.decode("utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else "it said nothing."
