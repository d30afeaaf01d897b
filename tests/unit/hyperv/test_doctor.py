"""What the doctor finds on a stand-in host, and that its transcript tells nothing private and can be replayed."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from adapters.hyperv.connection import HostConnection
from adapters.hyperv.doctor_checks import Check, Standing, host_checks, machine_checks
from adapters.hyperv.errors import HostUnreachableError
from adapters.hyperv.examination import ReachFile, examine
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.open_questions import Seen, open_questions
from adapters.hyperv.remote_call import VerbCaller
from adapters.hyperv.transcript import RecordingCaller, Sanitiser
from adapters.hyperv.verb_schemas import MembershipReply, ReferencePointReply, TrackedDisk
from domain.errors import BadInputError, BusyError
from tests.doubles.transcript_caller import TranscriptCaller
from tests.standin.machine import VSS_SERVICE, State
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller

CONNECTION = HostConnection(name="hv1", endpoint="https://hv1:5986/wsman", transport="ntlm", user="u", password="p")
CHANGING = {"take-checkpoint", "convert-checkpoint", "destroy-reference-point", "destroy-checkpoint", "set-state"}
SECRETS = ("web-customer", "HV01", "Finance", "virtual hard disks", "External", "00155D")


@pytest.fixture
def model(tmp_path: Path) -> HostModel:
    model = HostModel(tmp_path / "host")
    model.add_machine("web-customer", [b"data".ljust(1 << 20, b"\0")])
    return model


def reach_all(path: str) -> None:
    """Every share lets the user in."""


def examined(
    model: HostModel, *, reach: ReachFile | None = reach_all, caller: VerbCaller | None = None
) -> dict[tuple[str, str], Check]:
    checks = examine(HyperVHost(caller or ModelCaller(model)), CONNECTION, model.now, reach)
    return {(check.subject, check.name): check for check in checks}


def standing(model: HostModel, name: str, subject: str = "web-customer", *, reach: ReachFile = reach_all) -> Standing:
    return examined(model, reach=reach)[subject, name].standing


def test_a_host_that_is_well_fails_no_check(model: HostModel) -> None:
    assert {check.standing for check in examined(model).values()} <= {
        Standing.OK,
        Standing.CONFIRMED,
        Standing.NOT_TRIED,
    }


def test_only_questions_are_asked(model: HostModel) -> None:
    caller = ModelCaller(model)
    examined(model, caller=caller)
    assert not CHANGING & {verb for verb, _ in caller.calls}
    assert model.leftovers() == []


def test_a_host_that_is_down_has_no_checks(model: HostModel) -> None:
    model.is_up = False
    with pytest.raises(HostUnreachableError):
        examined(model)


def test_a_guest_without_vss_is_warned_of(model: HostModel) -> None:
    (machine,) = model.machines.values()
    assert standing(model, "integration services") is Standing.OK
    machine.service(VSS_SERVICE).enabled = False
    assert standing(model, "integration services") is Standing.WARNING
    machine.state = State.OFF
    assert standing(model, "integration services") is Standing.NOT_TRIED


def test_a_recovery_checkpoint_is_a_left_over(model: HostModel) -> None:
    (machine,) = model.machines.values()
    assert standing(model, "left-overs") is Standing.OK
    model.create_recovery_checkpoint(machine.id, consistency=2, ignore=False)
    model.advance(120)
    found = examined(model)["web-customer", "left-overs"]
    assert found.standing is Standing.WARNING
    assert machine.checkpoints[0].id in found.said


def test_an_old_configuration_version_is_not_tracked(model: HostModel) -> None:
    (machine,) = model.machines.values()
    machine.version = "5.0"
    assert standing(model, "change tracking") is Standing.WARNING


def test_shares_that_refuse_are_a_failed_check_and_files_in_use_are_not(model: HostModel) -> None:
    def refuse(path: str) -> None:
        raise BadInputError("There is no such share.", where=path)

    def in_use(path: str) -> None:
        raise BusyError("Somebody holds the file.", where=path)

    assert standing(model, "shares", reach=refuse) is Standing.FAILED
    assert standing(model, "shares", reach=in_use) is Standing.OK


def test_reading_a_frozen_parent_is_confirmed_or_contradicted(model: HostModel) -> None:
    name = "reading a frozen parent while the machine runs"
    (machine,) = model.machines.values()
    assert standing(model, name, "") is Standing.NOT_TRIED
    model.take_user_checkpoint(machine)
    assert standing(model, name, "") is Standing.CONFIRMED

    def refuse_parents(path: str) -> None:
        if not path.endswith(".avhdx"):
            raise BusyError("Somebody holds the file.", where=path)

    assert standing(model, name, "", reach=refuse_parents) is Standing.CONTRADICTED


def test_limits_rights_and_clock(model: HostModel) -> None:
    host = HyperVHost(ModelCaller(model))
    facts, doctor = host.host_facts(), host.doctor_facts()
    late = datetime.now(UTC) + timedelta(minutes=6)
    limits = tuple(replace(one, value=2) for one in doctor.limits)
    outsider = tuple(MembershipReply(group=one.group, member="no") for one in doctor.memberships)
    old = replace(facts, powershell="4.0", os_build="6.3.9600", time_utc=late, cluster="C1")
    poor = replace(doctor, limits=limits, memberships=outsider, classes=(), commands=doctor.commands[:0])
    found = {check.name: check.standing for check in host_checks(old, poor, late - timedelta(minutes=6))}
    assert found == {
        "Windows": Standing.WARNING,
        "PowerShell": Standing.FAILED,
        "clock": Standing.FAILED,
        "rights": Standing.FAILED,
        "administrative shares": Standing.WARNING,
        "WinRM limits": Standing.WARNING,
        "CIM classes": Standing.FAILED,
        "cmdlets": Standing.OK,
        "cluster": Standing.WARNING,
    }


def test_several_reference_points_are_left_overs_and_their_disks_a_question(model: HostModel) -> None:
    host = HyperVHost(ModelCaller(model))
    facts, (machine,) = host.host_facts(), host.list_machines()
    disks = (TrackedDisk(disk_id="Microsoft:x\\y", rct_id="r"),)
    points = tuple(ReferencePointReply(id=f"Microsoft:{n}", consistency=1, disks=disks) for n in range(2))
    left = {check.name: check for check in machine_checks(machine, facts, points)}["left-overs"]
    assert left.standing is Standing.WARNING
    seen = Seen(facts=facts, doctor=host.doctor_facts(), machines=[machine], points={machine.id: points})
    answers = {check.name: check.standing for check in open_questions(seen)}
    assert answers["reference points name their disks by settings that still exist"] is Standing.CONTRADICTED


def test_a_machine_without_production_checkpoints_that_was_frozen_confirms_that_they_are_not_needed(
    model: HostModel,
) -> None:
    host = HyperVHost(ModelCaller(model))
    (machine,) = host.list_machines()
    doctor = host.doctor_facts()
    policy = tuple(replace(one, user_snapshot_type=2) for one in doctor.checkpoint_policies)
    point = ReferencePointReply(id="Microsoft:1", consistency=1, disks=())
    for points, expected in (((), Standing.NOT_TRIED), ((point,), Standing.CONFIRMED)):
        seen = Seen(
            facts=host.host_facts(),
            doctor=replace(doctor, checkpoint_policies=policy),
            machines=[machine],
            points={machine.id: points},
        )
        assert open_questions(seen)[0].standing is expected


def test_a_transcript_tells_nothing_private_and_the_doctor_finds_the_same_in_it(
    model: HostModel, tmp_path: Path
) -> None:
    (machine,) = model.machines.values()
    machine.notes = "Finance, ask Ms. Doe"
    model.take_user_checkpoint(machine)
    caller = RecordingCaller(ModelCaller(model))
    live = examine(HyperVHost(caller), CONNECTION, model.now, reach_all)
    file = tmp_path / "transcript.jsonl"
    caller.write(file)
    text = file.read_text()

    private = [*SECRETS, machine.id, machine.disks[0].disk_id, machine.notes]
    assert [word for word in private if word.casefold() in text.casefold()] == []
    replayed = examine(HyperVHost(TranscriptCaller(file)), CONNECTION, model.now, reach_all)
    assert [check.standing for check in replayed] == [check.standing for check in live]


def test_a_transcript_has_the_code_of_a_refusal_and_not_its_text(model: HostModel, tmp_path: Path) -> None:
    caller = RecordingCaller(ModelCaller(model))
    with pytest.raises(BadInputError):
        HyperVHost(caller).merge_state("00000000-0000-4000-8000-00000000dead")
    caller.write(tmp_path / "transcript")
    entry = json.loads((tmp_path / "transcript").read_text().splitlines()[1])
    assert entry["error"] == {"kind": "NotOnHostError", "code": 64002}
    assert entry["arguments"] == {"machine_id": "00000000-0000-4000-8000-000000000001"}


@pytest.mark.parametrize(
    ("key", "text", "cleaned"),
    [
        ("path", "D:\\Kunden\\Meier.vhdx", "D:\\folder-1\\file-2.vhdx"),
        ("path", "\\\\files\\vms\\Meier.AVHDX", "\\\\share-1\\share-2\\file-3.avhdx"),
        ("notes", "call Meier", ""),
        ("id", "Microsoft:8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001", "Microsoft:00000000-0000-4000-8000-000000000001"),
        ("id", "5CED1297-4598-4915-A5FC-AD21BB4D02A4", "5CED1297-4598-4915-A5FC-AD21BB4D02A4"),
        ("name", "Meier", "name-1"),
    ],
)
def test_what_is_private_is_replaced(key: str, text: str, cleaned: str) -> None:
    assert Sanitiser().cleaned({key: text}) == {key: cleaned}


def test_the_same_is_replaced_by_the_same() -> None:
    sanitiser = Sanitiser()
    first = sanitiser.cleaned({"name": "Meier", "path": "D:\\a\\b.vhdx"})
    assert sanitiser.cleaned({"name": "MEIER", "path": "D:\\a\\b.vhdx"}) == first
