"""The builder of the guests that the tests rely on."""

from __future__ import annotations

import itertools
import tomllib
from pathlib import Path

import pytest

from domain.errors import EnvironmentTroubleError
from domain.model.machines import Firmware
from tests.guests.boot_sectors import boot_sector
from tests.guests.build import build_guest
from tests.guests.cache import cached
from tests.guests.catalog import GUESTS, GuestName
from tests.guests.debian_disk import DISK_BYTES, layout
from tests.guests.rootfs import debian_sources


@pytest.mark.parametrize("program", ["prints-text", "reset-loop", "powers-off", "blank-console"])
def test_a_boot_sector_is_one_sector_that_the_firmware_accepts(program: str) -> None:
    sector = boot_sector(program)
    assert len(sector) == 512
    assert sector.endswith(b"\x55\xaa")


@pytest.mark.parametrize("firmware", list(Firmware))
def test_partitions_lie_one_after_the_other_inside_the_disk(firmware: Firmware) -> None:
    parts = layout(firmware)
    ordered = [part for part in (parts.esp, parts.boot, parts.swap, parts.root) if part is not None]
    assert [part.number for part in ordered] == list(range(1, len(ordered) + 1))
    for one, next_one in itertools.pairwise(ordered):
        assert one.offset + one.length == next_one.offset
    assert ordered[-1].offset + ordered[-1].length <= DISK_BYTES - 33 * 512  # The backup GPT needs the end.


def test_every_guest_has_a_machine_name_of_its_own() -> None:
    assert len({guest.machine_name for guest in GUESTS.values()}) == len(GuestName)


def test_a_guest_is_laid_out_as_an_exported_machine(tmp_path: Path) -> None:
    built = build_guest(GuestName.PRINTS_TEXT, tmp_path)
    said = tomllib.loads(built.settings_file.read_text(encoding="utf-8"))
    assert said["name"] == built.machine_name
    assert said["id"] == built.machine_id
    assert built.folder / said["disks"][0]["file"] == built.vhdx
    assert built.vhdx.read_bytes()[:8] == b"vhdxfile"


def test_other_vendors_package_sources_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.guests.rootfs._debian_codename", lambda: "bookworm")
    folder = tmp_path / "sources.list.d"
    folder.mkdir()
    ours = "Types: deb\nURIs: http://mirror.test/\nSuites: bookworm bookworm-updates\nComponents: main"
    (folder / "a.sources").write_text(f"{ours}\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n")
    (folder / "b.sources").write_text(f"{ours}\nSigned-By: /usr/share/keyrings/vendor.gpg\n")
    (folder / "c.list").write_text("deb http://vendor.test/ bookworm-tools main\n")
    found = debian_sources(tmp_path)
    assert found.count("Types: deb") == 1
    assert "vendor" not in found


def test_a_one_line_package_source_is_understood(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.guests.rootfs._debian_codename", lambda: "bookworm")
    (tmp_path / "sources.list").write_text("# mirrors\ndeb [arch=amd64] http://mirror.test/ bookworm main contrib\n")
    assert debian_sources(tmp_path) == "deb [arch=amd64] http://mirror.test/ bookworm main contrib\n"


def test_a_machine_without_debian_sources_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentTroubleError):
        debian_sources(tmp_path)


def test_the_cache_makes_a_thing_once_and_keeps_nothing_of_a_failed_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATESTA_CACHE", str(tmp_path))
    made: list[Path] = []

    def make(path: Path) -> None:
        made.append(path)
        path.write_text("half", encoding="ascii")
        if len(made) == 1:
            raise EnvironmentTroubleError("the mirror is down")

    with pytest.raises(EnvironmentTroubleError):
        cached("thing", b"recipe", make, suffix=".tar")
    first = cached("thing", b"recipe", make, suffix=".tar")
    assert cached("thing", b"recipe", make, suffix=".tar") == first
    other = cached("thing", b"another recipe", make, suffix=".tar")
    assert len(made) == 3
    assert other != first
    assert not first.exists()
