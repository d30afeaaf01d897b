"""What the simulated cmdlets are told: filters as WQL has them, and loud refusals of all that a host does not know."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.standin import cim, wql
from tests.standin.cim import Cim, CimError
from tests.standin.cim_schema import CLASSES
from tests.standin.machine import Machine, State
from tests.standin.model import INVALID_PARAMETER, JOB_STARTED, HostModel
from tests.unit.disks.vhdx_images import MIB

V2 = "root/virtualization/v2"
PROPERTIES = {"Name": "string", "State": "uint16", "Kinds": "uint16[]"}
ROWS: list[dict[str, Any]] = [
    {"Name": "a\\b", "State": 2, "Kinds": [1]},
    {"Name": "It's", "State": 3, "Kinds": []},
    {"Name": None, "State": 3, "Kinds": []},
]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", [0, 1, 2]),
        ("Name = 'A\\\\B'", [0]),
        ("name='It\\'s' OR State = 2", [0, 1]),
        ("State = 3 AND Name <> 'x'", [1]),
        ("(State = 2 OR State = 3) AND NAME LIKE 'it%'", [1]),
        ('State >= 3 AND Name = "It\'s"', [1]),
    ],
)
def test_filters_choose_rows(text: str, found: list[int]) -> None:
    test = wql.condition(text, PROPERTIES)
    assert [number for number, row in enumerate(ROWS) if test(row)] == found


@pytest.mark.parametrize(
    "text", ["Nme = 'x'", "Name = ", "Name 'x'", "Name = 'x' State = 2", "(Name = 'x'", "Name = 'x", "Name = unquoted"]
)
def test_what_is_no_filter_is_an_invalid_query(text: str) -> None:
    with pytest.raises(wql.InvalidQueryError):
        wql.condition(text, PROPERTIES)


@pytest.mark.parametrize("text", ["State = '2'", "Kinds = 1"])
def test_values_of_another_type_are_not_compared(text: str) -> None:
    with pytest.raises(wql.InvalidQueryError):
        wql.condition(text, PROPERTIES)(ROWS[0])


@pytest.fixture
def model(tmp_path: Path) -> HostModel:
    return HostModel(tmp_path)


@pytest.fixture
def machine(model: HostModel) -> Machine:
    return model.add_machine("web", [bytes(MIB)])


def text(value: str) -> dict[str, str]:
    return {"type": "String", "value": value}


def invoked(model: HostModel, name: str, method: str, key: str, **arguments: dict[str, str]) -> Any:
    asked = {"do": "invoke", "class": name, "method": method, "key": key, "arguments": arguments}
    return Cim(model).answer(asked)


def snapshot(model: HostModel, machine: Machine, **arguments: dict[str, str]) -> Any:
    service = "Msvm_VirtualSystemSnapshotService"
    given = {
        "AffectedSystem": {"type": "reference", "class": "Msvm_ComputerSystem", "key": machine.id},
        "SnapshotSettings": text(""),
        "SnapshotType": {"type": "UInt16", "value": "32768"},
    }
    return invoked(model, service, "CreateSnapshot", service, **{**given, **arguments})


def test_every_class_lists_its_instances_with_all_properties(model: HostModel, machine: Machine) -> None:
    model.create_recovery_checkpoint(machine.id, consistency=2, ignore=False)
    model.advance(3)
    for known in CLASSES.values():
        for found in Cim(model).answer({"do": "query", "class": known.name, "namespace": known.namespace}):
            assert [entry["name"] for entry in found["properties"]] == list(known.properties)


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({"do": "query", "class": "Msvm_Computer", "namespace": V2}, cim.INVALID_CLASS),
        ({"do": "query", "class": "Msvm_ComputerSystem", "namespace": "root/cimv2"}, cim.INVALID_CLASS),
        ({"do": "query", "class": "Msvm_ComputerSystem", "namespace": "root/v3"}, cim.INVALID_NAMESPACE),
        ({"do": "query", "class": "Msvm_ComputerSystem", "namespace": V2, "filter": "Id='x'"}, cim.INVALID_QUERY),
        ({"do": "query", "query": "SELECT Name FROM x", "namespace": V2}, cim.INVALID_QUERY),
        ({"do": "class", "class": "Msvm_Nothing", "namespace": V2}, cim.INVALID_CLASS),
        ({"do": "associated", "class": "Msvm_ConcreteJob", "key": "x", "association": "Msvm_X"}, cim.INVALID_CLASS),
        ({"do": "cmdlet", "name": "Get-VHD", "arguments": {"Path": "D:\\nothing.vhdx"}}, 0x80070002),
    ],
)
def test_what_the_host_does_not_know_is_an_error(model: HostModel, asked: dict[str, Any], code: int) -> None:
    with pytest.raises(CimError) as error:
        Cim(model).answer(asked)
    assert error.value.code == code


def test_methods_and_their_arguments_are_checked(model: HostModel, machine: Machine) -> None:
    with pytest.raises(CimError, match="no method"):
        invoked(model, "Msvm_ComputerSystem", "Start", machine.id)
    with pytest.raises(CimError, match="no parameter"):
        snapshot(model, machine, Snapshot=text(""))
    with pytest.raises(CimError, match="Type mismatch"):
        snapshot(model, machine, SnapshotType={"type": "Int32", "value": "32768"})
    with pytest.raises(CimError, match="Not found"):
        snapshot(model, machine, AffectedSystem={"type": "reference", "class": "Msvm_ComputerSystem", "key": "x"})
    assert machine.checkpoints == []


def test_a_snapshot_is_made_by_settings_that_fit_the_class_of_the_host(model: HostModel, machine: Machine) -> None:
    def embedded(name: str, kind: str, value: str) -> dict[str, str]:
        body = f'<PROPERTY NAME="{name}" TYPE="{kind}"><VALUE>{value}</VALUE></PROPERTY>'
        return text(f'<INSTANCE CLASSNAME="Msvm_VirtualSystemSnapshotSettingData">{body}</INSTANCE>')

    for wrong in (
        embedded("Level", "uint8", "1"),
        embedded("ConsistencyLevel", "uint16", "1"),
        text("<x/>"),
        text("x"),
    ):
        assert snapshot(model, machine, SnapshotSettings=wrong)["code"] == INVALID_PARAMETER
    assert snapshot(model, machine, SnapshotType={"type": "UInt16", "value": "9"})["code"] == INVALID_PARAMETER
    copy = embedded("GuestBackupType", "uint8", "2")
    model.os_build = "10.0.14393.0"
    assert snapshot(model, machine, SnapshotSettings=copy)["code"] == INVALID_PARAMETER
    model.os_build = "10.0.20348.1"
    assert snapshot(model, machine, SnapshotSettings=copy)["code"] == JOB_STARTED
    model.advance(3)
    assert [held.kind for held in machine.checkpoints] == ["recovery"]


def test_associations_lead_from_a_machine_to_what_is_its(model: HostModel, machine: Machine) -> None:
    held = model.take_user_checkpoint(machine)

    def keys(association: str) -> list[str]:
        asked = {"do": "associated", "class": "Msvm_ComputerSystem", "key": machine.id, "association": association}
        return [found["key"] for found in Cim(model).answer(asked)]

    assert keys("Msvm_SettingsDefineState") == [machine.settings_id]
    assert keys("Msvm_SnapshotOfVirtualSystem") == [held.id]
    assert keys("Msvm_ReferencePointOfVirtualSystem") == []


def test_a_failed_job_tells_why_when_asked(model: HostModel, machine: Machine) -> None:
    machine.passes_a_disk_through = True
    job = snapshot(model, machine)["out"][1]["value"]["key"]
    model.advance(3)
    (found,) = Cim(model).answer({"do": "query", "class": "Msvm_ConcreteJob", "namespace": V2})
    assert {entry["name"]: entry["value"] for entry in found["properties"]}["JobState"] == 10
    told = invoked(model, "Msvm_ConcreteJob", "GetErrorEx", job)
    assert "no checkpoint can be taken" in told["out"][0]["value"][0]


def test_a_machine_is_saved_by_its_method(model: HostModel, machine: Machine) -> None:
    number = {"type": "UInt16", "value": "6"}
    assert (
        invoked(model, "Msvm_ComputerSystem", "RequestStateChange", machine.id, RequestedState=number)["code"] == 4096
    )
    model.advance(3)
    assert machine.state is State.SAVED
