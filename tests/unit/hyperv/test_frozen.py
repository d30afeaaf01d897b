"""Which frozen file belongs to which disk of a machine, and several disks on any controller."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from adapters.hyperv.frozen import in_machine_order
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.verb_schemas import DiskReply, FrozenDiskReply, MachineReply, Number64
from domain.errors import EnvironmentTroubleError
from tests.doubles.repository import opened
from tests.doubles.standin_source import source_of_host
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller


def live(number: int, disk_id: str) -> DiskReply:
    return DiskReply(
        path=f"D:\\{number}.vhdx",
        controller="SCSI",
        controller_number=0,
        location=number,
        disk_id=disk_id,
        size_bytes=Number64(1),
        kind="vhdx",
        rct_id="",
    )


def frozen(number: int, disk_id: str) -> FrozenDiskReply:
    return FrozenDiskReply(
        path=f"D:\\{number}.frozen",
        disk_id=disk_id,
        instance_id=f"i{number}",
        controller="SCSI",
        controller_number=0,
        location=number,
    )


def machine(tmp_path: Path, *disks: DiskReply) -> MachineReply:
    model = HostModel(tmp_path)
    model.add_machine("web")
    (reply,) = HyperVHost(ModelCaller(model)).list_machines()
    return MachineReply(**{**{name: getattr(reply, name) for name in reply.__struct_fields__}, "disks": disks})


def test_disks_are_found_by_guid_whatever_their_order_and_place(tmp_path: Path) -> None:
    found = in_machine_order(
        machine(tmp_path, live(0, "AA"), live(1, "BB")), [frozen(0, "bb"), frozen(1, "aa")], "here"
    )

    assert [(disk.disk_id, held.disk_id) for disk, held in found] == [("AA", "aa"), ("BB", "bb")]


def test_where_the_host_tells_no_guid_the_place_decides(tmp_path: Path) -> None:
    found = in_machine_order(machine(tmp_path, live(0, ""), live(1, "BB")), [frozen(1, "BB"), frozen(0, "")], "here")

    assert [held.location for _, held in found] == [0, 1]


@pytest.mark.parametrize(
    ("disks", "held"),
    [
        ([live(0, "AA"), live(1, "BB")], [frozen(0, "AA")]),
        ([live(0, "AA")], [frozen(0, "AA"), frozen(1, "BB")]),
        ([live(0, "AA")], [frozen(0, "CC")]),
        ([live(0, "AA"), live(1, "AA")], [frozen(0, "AA"), frozen(1, "AA")]),
        ([live(0, "AA"), live(1, "AA")], [frozen(0, "AA")]),
    ],
)
def test_disks_that_are_not_the_same_ones_are_no_backup(
    tmp_path: Path, disks: list[DiskReply], held: list[FrozenDiskReply]
) -> None:
    with pytest.raises(EnvironmentTroubleError, match="pass-through") as caught:
        in_machine_order(machine(tmp_path, *disks), held, "here")

    assert caught.value.where == "here"


@pytest.mark.parametrize("generation", [1, 2])
def test_several_disks_and_a_persons_checkpoints_are_backed_up_and_restored(tmp_path: Path, generation: int) -> None:
    model = HostModel(tmp_path / "host")
    contents = [random.Random(seed).randbytes(256 << 10) for seed in range(3)]
    vm = model.add_machine("db", contents, generation=generation)
    model.take_user_checkpoint(vm)
    vm.write(1, 0, random.Random(9).randbytes(8192))
    with opened(tmp_path / "repository") as repository:
        for _ in range(2):
            source = source_of_host(model)
            (found,) = source.machines()
            repository.workflow(workers=2).back_up(source, found)
            assert repository.restored(repository.points()[-1]) == [vm.content(number) for number in range(3)]
            vm.write(2, 4096, random.Random(10).randbytes(4096))
        model.advance(10)
        assert model.leftovers() == []
