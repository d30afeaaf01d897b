"""The mail's preview, looked at in headless Chromium, light and dark, wide and narrow."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from adapters.mail.folder_transport import FolderTransport, preview_html
from tests.unit.mail.mail_world import a_mail
from tests.unit.verification.report_world import BOOTED, PANICKED, a_report
from verification.report import report_mails

pytestmark = pytest.mark.process

GREEN, RED = (23, 112, 58), (179, 38, 30)
SCRIPT = "<script>document.body.innerHTML='hijacked'</script>"


def preview(folder: Path, *, verdict_is_good: bool, name: str = "web01") -> Path:
    report = a_report(BOOTED if verdict_is_good else PANICKED, name=name, guest_text=SCRIPT)
    (mail,) = report_mails(report, key="v1", sender="a@example.org", recipients=["ops@example.org"])
    transport = FolderTransport(folder=folder)
    transport.deliver(mail)
    return transport.preview_path(mail.key)


def screenshot(page: Path, folder: Path, *options: str, width: int = 700) -> Image.Image:
    target = folder / "page.png"
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars"]
    command += [f"--user-data-dir={folder / 'profile'}", f"--window-size={width},1800", *options]
    subprocess.run([*command, f"--screenshot={target}", page.as_uri()], check=True, capture_output=True, timeout=120)
    with Image.open(target) as image:
        return image.convert("RGB")


def share_of(image: Image.Image, colour: tuple[int, int, int], box: tuple[int, int, int, int]) -> float:
    pixels = np.asarray(image.crop(box), dtype=np.int16)
    near = int((np.abs(pixels - np.array(colour)).max(axis=2) < 12).sum())
    return near / ((box[2] - box[0]) * (box[3] - box[1]))


@pytest.mark.parametrize(("good", "band"), [(True, GREEN), (False, RED)])
def test_the_word_stands_on_its_colour_and_the_picture_loads(
    tmp_path: Path, good: bool, band: tuple[int, int, int]
) -> None:
    image = screenshot(preview(tmp_path, verdict_is_good=good), tmp_path)
    assert share_of(image, band, (40, 30, 660, 160)) > 0.6
    assert share_of(image, (255, 255, 255), (40, 30, 660, 160)) > 0.02
    assert share_of(image, (0, 0, 0), (40, 260, 660, 500)) > 0.6
    assert share_of(image, (255, 255, 255), (40, 900, 660, 1700)) > 0.6


def test_dark_mode_turns_the_page_dark_and_keeps_the_text_readable(tmp_path: Path) -> None:
    dark = screenshot(
        preview(tmp_path, verdict_is_good=True),
        tmp_path,
        "--force-dark-mode",
        "--blink-settings=preferredColorScheme=0",
    )
    assert share_of(dark, (26, 32, 39), (40, 900, 660, 1700)) > 0.6
    assert share_of(dark, (255, 255, 255), (40, 900, 660, 1700)) < 0.02
    assert share_of(dark, (232, 237, 242), (40, 600, 660, 1700)) > 0.005


def test_a_phone_shows_the_whole_width(tmp_path: Path) -> None:
    image = screenshot(preview(tmp_path, verdict_is_good=True, name="n" * 300), tmp_path, width=500)
    assert share_of(image, GREEN, (0, 30, 8, 100)) == 0
    assert share_of(image, GREEN, (480, 30, 490, 100)) > 0.9


def test_a_script_from_a_guest_is_shown_and_not_run(tmp_path: Path) -> None:
    page = preview(tmp_path, verdict_is_good=True, name=SCRIPT)
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    command += ["--disable-background-networking", "--disable-component-update", "--disable-sync", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path / 'profile'}", page.as_uri()]
    dom = subprocess.run(command, check=True, capture_output=True, timeout=120, text=True).stdout
    assert "&lt;script&gt;" in dom
    assert "BOOTED" in dom
    assert "<script" not in dom


def test_the_preview_would_not_run_a_script_even_unescaped(tmp_path: Path) -> None:
    mail = a_mail()
    html = preview_html(mail)
    assert "default-src 'none'" in html
    assert "cid:" not in html
    assert html.count("data:image/png;base64,") == 1
