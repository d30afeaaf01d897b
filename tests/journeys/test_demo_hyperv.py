"""``make demo-hyperv``, with a small disk that is not booted."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.journeys import demo_hyperv
from tests.standin.samba import why_not

pytestmark = [pytest.mark.process, pytest.mark.skipif(bool(why_not()), reason=why_not() or "it runs")]


def test_the_demo_ends_with_a_clean_host_and_the_guest_s_bytes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    raw = tmp_path / "disk.raw"
    raw.write_bytes(random.Random(1).randbytes(5 << 20).ljust(8 << 20, b"\0"))
    demo_hyperv.play(tmp_path / "demo", raw=raw, with_engine=False)
    said = capfd.readouterr().out
    assert "incremental: tracked" in said
    assert "byte for byte" in said
    assert "nothing but one reference point" in said
