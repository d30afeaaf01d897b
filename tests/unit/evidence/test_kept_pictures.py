"""Pictures for a bundle: small copies of what was captured, and nothing of what was replaced since."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from blake3 import blake3
from PIL import Image

from adapters.evidence.pictures import WIDTH, KeptPictures


def keep(folder: Path, image: Image.Image) -> str:
    content = io.BytesIO()
    image.save(content, "PNG")
    digest = blake3(content.getvalue()).hexdigest()
    (folder / f"{digest}.png").write_bytes(content.getvalue())
    return digest


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA"])
def test_a_picture_is_scaled_down_whatever_its_mode(tmp_path: Path, mode: str) -> None:
    digest = keep(tmp_path, Image.new("RGB", (720, 400), (170, 90, 0)).convert(mode))

    (kept,) = KeptPictures(tmp_path, 2).kept([digest], originals=False)

    with Image.open(io.BytesIO(kept.small)) as small:
        assert (small.format, small.size) == ("WEBP", (WIDTH, 133))
        if mode in ("RGB", "P"):
            red, green, blue = small.convert("RGB").getpixel((50, 50))  # type: ignore[misc]
            assert red > green > blue
    assert (kept.digest, kept.original, kept.altered) == (digest, b"", False)


def test_originals_come_as_they_were_captured(tmp_path: Path) -> None:
    digest = keep(tmp_path, Image.new("RGB", (720, 400)))

    (kept,) = KeptPictures(tmp_path, 1).kept([digest], originals=True)

    assert kept.original == (tmp_path / f"{digest}.png").read_bytes()


def test_a_replaced_picture_is_told_and_nothing_of_it_is_given(tmp_path: Path) -> None:
    digest, other = (keep(tmp_path, Image.new("RGB", (720, 400), colour)) for colour in ("black", "white"))
    (tmp_path / f"{digest}.png").write_bytes((tmp_path / f"{other}.png").read_bytes())

    altered, whole = KeptPictures(tmp_path, 2).kept([digest, other], originals=True)

    assert (altered.altered, altered.small, altered.original) == (True, b"", b"")
    assert not whole.altered


def test_what_is_gone_is_left_out_and_what_is_no_picture_has_no_copy(tmp_path: Path) -> None:
    digest = blake3(b"no picture").hexdigest()
    (tmp_path / f"{digest}.png").write_bytes(b"no picture")

    (kept,) = KeptPictures(tmp_path, 2).kept(["ab" * 32, digest], originals=False)

    assert (kept.digest, kept.small, kept.altered) == (digest, b"", False)


def test_many_come_in_the_order_in_which_they_were_asked_for(tmp_path: Path) -> None:
    digests = [keep(tmp_path, Image.new("L", (4, 4), number % 256)) for number in range(40)] * 20

    found = [kept.digest for kept in KeptPictures(tmp_path, 2).kept(digests, originals=False)]

    assert found == digests
