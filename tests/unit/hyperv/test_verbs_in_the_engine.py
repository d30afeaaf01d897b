"""Each verb run in PowerShell against a small simulated host: what it sends, and that its reply fits the schema."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from adapters.hyperv.console_picture import console_picture
from adapters.hyperv.errors import HostBusyError, HostCode, HostRefusalError, JobUnknownError, NotOnHostError
from adapters.hyperv.remote_call import reply_value
from adapters.hyperv.verb_schemas import (
    ChangedRangesReply,
    DoctorFacts,
    FrozenDiskReply,
    GuestFacts,
    HostFacts,
    JobReply,
    MachineReply,
    MergeReply,
    ReferencePointReply,
    StartedJob,
    ThumbnailReply,
)
from domain.errors import AtestaError
from tests.standin.engine import needs_engine
from tests.unit.hyperv.engine_here import run_verb

pytestmark = needs_engine

VM = "8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001"
RECOVERY = "Microsoft:AAAAAAAA-0000-4000-8000-000000000001"
USERS = "Microsoft:AAAAAAAA-0000-4000-8000-000000000002"
POINT = "Microsoft:BBBBBBBB-0000-4000-8000-000000000001"
CHECKPOINT = {"machine_id": VM, "checkpoint": RECOVERY}


def told(verb: str, arguments: Mapping[str, object], kind: type[Any], code: int | None = None) -> Any:
    environment = {} if code is None else {"ATESTA_SIMULATED_CODE": str(code)}
    return reply_value(run_verb(verb, arguments, environment), kind, verb=verb, host="simulated")


def calls_of(tmp_path: Path, verb: str, arguments: Mapping[str, object]) -> list[dict[str, Any]]:
    file = tmp_path / "calls"
    run_verb(verb, arguments, {"ATESTA_SIMULATED_CALLS": str(file)})
    return [json.loads(line) for line in file.read_text().splitlines()]


def test_the_host_tells_of_itself() -> None:
    facts = told("host-facts", {}, HostFacts)
    assert (facts.computer, facts.cluster, facts.free_memory_bytes) == ("HOST", "", 4 << 30)


def test_machines_are_listed_without_the_host_itself() -> None:
    (machine,) = told("list-machines", {"machine_id": ""}, tuple[MachineReply, ...])
    assert (machine.id, machine.generation, machine.memory_bytes) == (VM, 2, 8 << 30)
    assert machine.notes == "it's\ngroß"
    assert [(disk.controller, disk.controller_number, disk.location) for disk in machine.disks] == [
        ("IDE", 0, 1),
        ("SCSI", 0, 3),
    ]
    assert [checkpoint.kind for checkpoint in machine.checkpoints] == ["recovery", "user"]


def test_one_machine_is_listed_by_its_id() -> None:
    for machine_id, count in ((VM.lower(), 1), ("00000000-0000-4000-8000-00000000dead", 0)):
        assert len(told("list-machines", {"machine_id": machine_id}, tuple[MachineReply, ...])) == count


def test_a_checkpoint_is_asked_for_with_the_settings_that_the_host_knows(tmp_path: Path) -> None:
    (call,) = calls_of(
        tmp_path, "take-checkpoint", {"machine_id": VM, "consistency": 1, "ignore_not_snapshottable": True}
    )
    assert call["arguments"]["SnapshotType"] == "UInt16 32768"
    assert call["arguments"]["SnapshotSettings"] == (
        '<INSTANCE CLASSNAME="Msvm_VirtualSystemSnapshotSettingData">'
        '<PROPERTY NAME="ConsistencyLevel" TYPE="uint8"><VALUE>1</VALUE></PROPERTY>'
        '<PROPERTY NAME="IgnoreNonSnapshottableDisks" TYPE="boolean"><VALUE>TRUE</VALUE></PROPERTY></INSTANCE>'
    )


def test_a_checkpoint_done_at_once_is_named() -> None:
    started = told(
        "take-checkpoint", {"machine_id": VM, "consistency": 2, "ignore_not_snapshottable": False}, StartedJob
    )
    assert started == StartedJob(job="", checkpoint=RECOVERY)


def test_a_job_that_ended_says_what_it_made() -> None:
    job = told("job", {"job": "done"}, JobReply)
    assert [(element.kind, element.id) for element in job.affected] == [
        ("Msvm_VirtualSystemSettingData", RECOVERY),
        ("Msvm_ComputerSystem", VM),
    ]


def test_a_job_that_failed_says_why() -> None:
    job = told("job", {"job": "failed"}, JobReply)
    assert (job.state, job.error_code, job.error_text) == (10, 32768, "no space left")


def test_a_job_that_expired_is_told() -> None:
    with pytest.raises(JobUnknownError):
        told("job", {"job": "gone"}, JobReply)


def test_frozen_disks_have_their_place_and_identity() -> None:
    disks = told("checkpoint-disks", CHECKPOINT, tuple[FrozenDiskReply, ...])
    assert [disk.path for disk in disks] == ["D:\\vms\\root.vhdx", "D:\\vms\\data.avhdx"]
    assert disks[1].instance_id == f"Microsoft:{VM}\\c\\0\\1\\L"


def test_changed_ranges_keep_all_64_bits() -> None:
    window = {"path": "D:\\ä.vhdx", "rct_id": "rctX:1", "offset": str((1 << 64) - (1 << 16)), "length": "65536"}
    reply = told("changed-ranges", window, ChangedRangesReply)
    assert reply.ranges == ((18446744073709547520, 4096),)


@pytest.mark.parametrize("length", ["0", str((64 << 30) + 1)])
def test_a_window_that_is_too_large_or_empty_is_refused(length: str) -> None:
    with pytest.raises(HostRefusalError) as refused:
        told("changed-ranges", {"path": "D:\\x", "rct_id": "r", "offset": "0", "length": length}, ChangedRangesReply)
    assert refused.value.code == HostCode.BAD_ARGUMENT


@pytest.mark.parametrize(
    ("code", "kind"), [(32779, HostRefusalError), (4096, HostRefusalError), (32774, HostBusyError)]
)
def test_return_codes_of_a_method_become_errors(code: int, kind: type[AtestaError]) -> None:
    window = {"path": "D:\\x", "rct_id": "r", "offset": "0", "length": "65536"}
    with pytest.raises(kind) as refused:
        told("changed-ranges", window, ChangedRangesReply, code)
    assert getattr(refused.value, "code", None) == code


def test_a_started_job_is_named(tmp_path: Path) -> None:
    assert told("convert-checkpoint", CHECKPOINT, StartedJob) == StartedJob(job="job-1")
    assert told("destroy-checkpoint", CHECKPOINT, StartedJob) == StartedJob(job="job-1")
    assert told("destroy-reference-point", {"machine_id": VM, "reference_point": POINT}, StartedJob).job == "job-1"
    assert told("set-state", {"machine_id": VM, "state": 6}, StartedJob).job == "job-1"


def test_a_machine_that_is_in_the_state_already_is_left_alone() -> None:
    assert told("set-state", {"machine_id": VM, "state": 2}, StartedJob) == StartedJob(job="")


def test_a_checkpoint_of_a_person_is_not_destroyed() -> None:
    with pytest.raises(HostRefusalError, match="no recovery checkpoint"):
        told("destroy-checkpoint", {"machine_id": VM, "checkpoint": USERS}, StartedJob)


def test_a_reference_point_pairs_disks_with_their_tracking() -> None:
    (point,) = told("reference-points", {"machine_id": VM}, tuple[ReferencePointReply, ...])
    assert [(disk.disk_id, disk.rct_id) for disk in point.disks] == [("11111111-2222-4333-8444-555555555555", "rctX:1")]


def test_the_doctor_is_told_what_cannot_be_found_out() -> None:
    facts = told("doctor-facts", {}, DoctorFacts)
    assert {one.member for one in facts.memberships} == {"unknown"}
    assert {one.value for one in facts.limits} == {-1}
    assert all(one.present for one in facts.classes)
    assert [(one.id, one.user_snapshot_type) for one in facts.checkpoint_policies] == [(VM, 0)]


def test_the_console_comes_in_the_size_of_the_synthetic_head() -> None:
    reply = told("thumbnail", {"machine_id": VM}, ThumbnailReply)
    picture = console_picture(reply)
    assert picture.size == (4, 2)
    assert [picture.getpixel((x, 0)) for x in range(4)] == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def test_a_machine_that_shows_nothing_has_no_frame() -> None:
    with pytest.raises(HostRefusalError) as refused:
        reply_value(
            run_verb("thumbnail", {"machine_id": VM}, {"ATESTA_SIMULATED_DARK": "1"}),
            ThumbnailReply,
            verb="thumbnail",
            host="simulated",
        )
    assert refused.value.code == HostCode.NO_FRAME


def test_a_guest_tells_of_itself() -> None:
    facts = told("guest-facts", {"machine_id": VM}, GuestFacts)
    assert facts.heartbeat == (2, 32782)
    assert [(item.name, item.value) for item in facts.items] == [("OSName", "Debian & more"), ("OSVersion", "")]


def test_merging_is_seen_in_the_status() -> None:
    assert told("merge-state", {"machine_id": VM}, MergeReply) == MergeReply(merging=True, status=(2, 32772))


@pytest.mark.parametrize("machine_id", ["' or 1=1 --", f"{VM}\n", "\u2018$(exit)\u2019", ""])
def test_what_is_no_guid_reaches_no_query(machine_id: str) -> None:
    with pytest.raises(HostRefusalError) as refused:
        told("merge-state", {"machine_id": machine_id}, MergeReply)
    assert refused.value.code == HostCode.BAD_ARGUMENT


@pytest.mark.parametrize("checkpoint", ["x' or InstanceID like '%", "a\\' or 1=1", "\u2019;exit"])
def test_quotes_and_backslashes_in_an_id_are_part_of_the_id(checkpoint: str) -> None:
    with pytest.raises(NotOnHostError):
        told("checkpoint-disks", {"machine_id": VM, "checkpoint": checkpoint}, tuple[FrozenDiskReply, ...])
