r"""From paths on a host to shares: drives, cluster volumes, UNC, mappings, and nothing that leaves a share."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.hyperv.paths import HostPaths, PrefixMapping, SharePath, parse_place
from domain.errors import BadInputError

PLACES = {
    "a drive": ("D:\\VMs\\web\\disk.vhdx", "\\\\hv1\\D$\\VMs\\web\\disk.vhdx"),
    "a drive in lower case": ("d:\\disk.vhdx", "\\\\hv1\\D$\\disk.vhdx"),
    "a volume of a cluster": (
        "C:\\ClusterStorage\\Volume1\\web\\disk.vhdx",
        "\\\\hv1\\C$\\ClusterStorage\\Volume1\\web\\disk.vhdx",
    ),
    "on SMB already": ("\\\\files\\vms\\web\\disk.vhdx", "\\\\files\\vms\\web\\disk.vhdx"),
    "forward slashes": ("D:/VMs/disk.vhdx", "\\\\hv1\\D$\\VMs\\disk.vhdx"),
    "a name with spaces and dots": ("D:\\My VMs\\a.b c.vhdx", "\\\\hv1\\D$\\My VMs\\a.b c.vhdx"),
}


@pytest.mark.parametrize("name", PLACES)
def test_where_a_path_of_the_host_is_read(name: str) -> None:
    host_path, unc = PLACES[name]

    place = HostPaths("hv1").place_of(host_path)

    assert str(place) == unc
    assert parse_place(unc) == place


def test_the_longest_prefix_that_the_user_gave_comes_first() -> None:
    paths = HostPaths(
        "hv1",
        [
            PrefixMapping("D:\\", "\\\\files\\all"),
            PrefixMapping("d:\\VMs", "\\\\files\\vms\\below"),
            PrefixMapping("E:\\", "/mnt/e"),
        ],
    )

    assert str(paths.place_of("D:\\VMs\\x.vhdx")) == "\\\\files\\vms\\below\\x.vhdx"
    assert str(paths.place_of("D:\\other\\x.vhdx")) == "\\\\files\\all\\other\\x.vhdx"
    assert paths.place_of("E:\\a\\x.vhdx") == Path("/mnt/e/a/x.vhdx")
    assert str(paths.place_of("D:\\VMs2\\x.vhdx")) == "\\\\files\\all\\VMs2\\x.vhdx"


REFUSED = [
    "",
    "disk.vhdx",
    "\\disk.vhdx",
    "D:disk.vhdx",
    "D:\\",
    "D:\\VMs\\..\\..\\x",
    "D:\\a\\..\\x",
    "\\\\?\\Volume{6f1d}\\x.vhdx",
    "\\\\.\\PHYSICALDRIVE1",
    "\\\\files\\vms\\..\\x",
    "\\\\files",
    "\\\\files\\vms",
    "D:\\a\0b",
    "D:\\a:stream",
    "D:\\a\\*.vhdx",
]


@pytest.mark.parametrize("path", REFUSED)
def test_what_names_no_file_on_a_share_is_refused(path: str) -> None:
    with pytest.raises(BadInputError) as caught:
        HostPaths("hv1").place_of(path)

    assert "Map its prefix" in caught.value.next_step


def test_a_mapping_does_not_help_to_leave_its_target() -> None:
    paths = HostPaths("hv1", [PrefixMapping("D:\\", "/mnt/d")])

    with pytest.raises(BadInputError):
        paths.place_of("D:\\..\\etc\\shadow")


CHILD = SharePath("hv1", "D$", ("VMs", "web", "Snapshots", "leaf.avhdx"))


def test_parents_are_looked_for_by_relative_then_absolute_path_without_repeating() -> None:
    names = ["..\\base.vhdx", "D:\\VMs\\web\\base.vhdx", "\\\\?\\Volume{6f1d}\\base.vhdx", "E:\\other\\base.vhdx"]

    found = HostPaths("hv1").parent_places(names, CHILD)

    assert [str(place) for place in found] == ["\\\\hv1\\D$\\VMs\\web\\base.vhdx", "\\\\hv1\\E$\\other\\base.vhdx"]


@pytest.mark.parametrize(
    "name",
    ["..\\..\\..\\..\\x.vhdx", "\\\\attacker\\share\\x.vhdx", "..\\..\\..\\.\\..\\x", "\\\\?\\UNC\\attacker\\s\\x"],
)
def test_an_image_leads_neither_out_of_the_share_nor_to_another_server(name: str) -> None:
    assert HostPaths("hv1").parent_places([name], CHILD) == []


def test_a_server_that_the_user_mapped_to_is_known() -> None:
    paths = HostPaths("hv1", [PrefixMapping("F:\\", "\\\\files\\vms")])

    assert [str(place) for place in paths.parent_places(["\\\\FILES\\vms\\x.vhdx"], CHILD)] == [
        "\\\\FILES\\vms\\x.vhdx"
    ]


def test_parents_of_a_local_file_stay_in_its_folder_or_below_a_mapping() -> None:
    paths = HostPaths("hv1", [PrefixMapping("D:\\", "/mnt/d")])
    child = Path("/mnt/d/VMs/leaf.avhdx")

    assert paths.parent_places(["..\\..\\..\\etc\\x", "base.vhdx", "D:\\VMs\\b.vhdx"], child) == [
        Path("/mnt/d/VMs/base.vhdx"),
        Path("/mnt/d/VMs/b.vhdx"),
    ]


@given(st.text(max_size=60))
def test_whatever_an_image_says_the_parent_is_on_a_known_server_and_plainly_named(text: str) -> None:
    for place in HostPaths("hv1").parent_places([text], CHILD):
        assert isinstance(place, SharePath)
        assert place.server.casefold() == "hv1"
        assert all(part not in {"", ".", ".."} and "\\" not in part and "/" not in part for part in place.parts)
