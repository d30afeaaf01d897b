"""Stand-in hosts as fixtures; a conftest imports the ones that its tests use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.standin.engine import find_engine
from tests.standin.host import StandInHost
from tests.standin.samba import why_not


@pytest.fixture
def standin_host(tmp_path: Path) -> Iterator[StandInHost]:
    """A host with WinRM and SMB that recognises scripts; the test is not run where smbd cannot be."""
    yield from _started(tmp_path, with_engine=False)


@pytest.fixture
def standin_host_with_engine(tmp_path: Path) -> Iterator[StandInHost]:
    """A host whose scripts run in PowerShell; the test is not run where there is none."""
    if find_engine() is None:
        pytest.skip("not run: no PowerShell engine")
    yield from _started(tmp_path, with_engine=True)


def _started(folder: Path, *, with_engine: bool) -> Iterator[StandInHost]:
    if why_not():
        pytest.skip(why_not())
    with StandInHost(folder / "standin", with_engine=with_engine) as host:
        yield host
