"""Each verb run in PowerShell against a small simulated host: what it sends, and that its reply fits the schema."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

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
from tests.unit.hyperv.engine_here import Case, calls_in, run_cases

pytestmark = needs_engine

T = TypeVar("T")

VM = "8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001"
NOWHERE = "00000000-0000-4000-8000-00000000dead"
RECOVERY = "Microsoft:AAAAAAAA-0000-4000-8000-000000000001"
USERS = "Microsoft:AAAAAAAA-0000-4000-8000-000000000002"
POINT = "Microsoft:BBBBBBBB-0000-4000-8000-000000000001"
MACHINE = {"machine_id": VM}
CHECKPOINT = {"machine_id": VM, "checkpoint": RECOVERY}
WINDOW = {"path": "D:\\\u00e4.vhdx", "rct_id": "rctX:1", "offset": str((1 << 64) - (1 << 16)), "length": "65536"}
NO_GUIDS = ("' or 1=1 --", f"{VM}\n", "\u2018$(exit)\u2019", "")
ODD_IDS = ("x' or InstanceID like '%", "a\\' or 1=1", "\u2019;exit")

CASES = {
    "host": Case(verb="host-facts"),
    "all machines": Case(verb="list-machines", arguments={"machine_id": ""}),
    "one machine": Case(verb="list-machines", arguments={"machine_id": VM.lower()}),
    "no machine": Case(verb="list-machines", arguments={"machine_id": NOWHERE}),
    "checkpoint": Case(
        verb="take-checkpoint", arguments={**MACHINE, "consistency": 1, "ignore_not_snapshottable": True}
    ),
    "job done": Case(verb="job", arguments={"job": "done"}),
    "job failed": Case(verb="job", arguments={"job": "failed"}),
    "job gone": Case(verb="job", arguments={"job": "gone"}),
    "frozen disks": Case(verb="checkpoint-disks", arguments=CHECKPOINT),
    "ranges": Case(verb="changed-ranges", arguments=WINDOW),
    "empty window": Case(verb="changed-ranges", arguments={**WINDOW, "length": "0"}),
    "large window": Case(verb="changed-ranges", arguments={**WINDOW, "length": str((64 << 30) + 1)}),
    "converted": Case(verb="convert-checkpoint", arguments=CHECKPOINT),
    "destroyed": Case(verb="destroy-checkpoint", arguments=CHECKPOINT),
    "person's": Case(verb="destroy-checkpoint", arguments={**MACHINE, "checkpoint": USERS}),
    "point destroyed": Case(verb="destroy-reference-point", arguments={**MACHINE, "reference_point": POINT}),
    "saved": Case(verb="set-state", arguments={**MACHINE, "state": 6}),
    "started": Case(verb="set-state", arguments={**MACHINE, "state": 2}),
    "points": Case(verb="reference-points", arguments=MACHINE),
    "merging": Case(verb="merge-state", arguments=MACHINE),
    "doctor": Case(verb="doctor-facts"),
    "picture": Case(verb="thumbnail", arguments=MACHINE),
    "dark": Case(verb="thumbnail", arguments=MACHINE, dark="1"),
    "guest": Case(verb="guest-facts", arguments=MACHINE),
    **{f"code {code}": Case(verb="changed-ranges", arguments=WINDOW, code=code) for code in ("32779", "4096", "32774")},
    **{f"no guid {text}": Case(verb="merge-state", arguments={"machine_id": text}) for text in NO_GUIDS},
    **{f"odd id {text}": Case(verb="checkpoint-disks", arguments={**MACHINE, "checkpoint": text}) for text in ODD_IDS},
}


class Replies:
    """What the scripts of all cases replied, and which CIM methods they called."""

    def __init__(self, calls: Path) -> None:
        self.calls = calls
        self._replies = dict(zip(CASES, run_cases(list(CASES.values()), calls), strict=True))

    def told(self, case: str, kind: type[T]) -> T:
        return reply_value(self._replies[case], kind, verb=CASES[case].verb, host="simulated")


@pytest.fixture(scope="module")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Replies:
    return Replies(tmp_path_factory.mktemp("simulated") / "calls")


def test_the_host_tells_of_itself(replies: Replies) -> None:
    facts = replies.told("host", HostFacts)
    assert (facts.computer, facts.cluster, facts.free_memory_bytes) == ("HOST", "", 4 << 30)


def test_machines_are_listed_without_the_host_itself(replies: Replies) -> None:
    (machine,) = replies.told("all machines", tuple[MachineReply, ...])
    assert (machine.id, machine.generation, machine.memory_bytes) == (VM, 2, 8 << 30)
    assert machine.notes == "it's\ngroß"
    assert [(disk.controller, disk.controller_number, disk.location) for disk in machine.disks] == [
        ("IDE", 0, 1),
        ("SCSI", 0, 3),
    ]
    assert [checkpoint.kind for checkpoint in machine.checkpoints] == ["recovery", "user"]


@pytest.mark.parametrize(("case", "count"), [("one machine", 1), ("no machine", 0)])
def test_one_machine_is_listed_by_its_id(replies: Replies, case: str, count: int) -> None:
    assert len(replies.told(case, tuple[MachineReply, ...])) == count


def test_a_checkpoint_is_asked_for_with_the_settings_that_the_host_knows(replies: Replies) -> None:
    (arguments,) = calls_in(replies.calls, "CreateSnapshot")
    assert arguments["SnapshotType"] == "UInt16 32768"
    assert arguments["SnapshotSettings"] == (
        '<INSTANCE CLASSNAME="Msvm_VirtualSystemSnapshotSettingData">'
        '<PROPERTY NAME="ConsistencyLevel" TYPE="uint8"><VALUE>1</VALUE></PROPERTY>'
        '<PROPERTY NAME="IgnoreNonSnapshottableDisks" TYPE="boolean"><VALUE>TRUE</VALUE></PROPERTY></INSTANCE>'
    )


def test_a_checkpoint_done_at_once_is_named(replies: Replies) -> None:
    assert replies.told("checkpoint", StartedJob) == StartedJob(job="", checkpoint=RECOVERY)


def test_a_job_that_ended_says_what_it_made(replies: Replies) -> None:
    job = replies.told("job done", JobReply)
    assert [(element.kind, element.id) for element in job.affected] == [
        ("Msvm_VirtualSystemSettingData", RECOVERY),
        ("Msvm_ComputerSystem", VM),
    ]


def test_a_job_that_failed_says_why(replies: Replies) -> None:
    job = replies.told("job failed", JobReply)
    assert (job.state, job.error_code, job.error_text) == (10, 32768, "no space left")


def test_a_job_that_expired_is_told(replies: Replies) -> None:
    with pytest.raises(JobUnknownError):
        replies.told("job gone", JobReply)


def test_frozen_disks_have_their_place_and_identity(replies: Replies) -> None:
    disks = replies.told("frozen disks", tuple[FrozenDiskReply, ...])
    assert [disk.path for disk in disks] == ["D:\\vms\\root.vhdx", "D:\\vms\\data.avhdx"]
    assert disks[1].instance_id == f"Microsoft:{VM}\\c\\0\\1\\L"


def test_changed_ranges_keep_all_64_bits(replies: Replies) -> None:
    assert replies.told("ranges", ChangedRangesReply).ranges == ((18446744073709547520, 4096),)
    assert calls_in(replies.calls, "GetVirtualDiskChanges")[0] == {
        "Path": "D:\\\u00e4.vhdx",
        "LimitId": "rctX:1",
        "ByteOffset": "UInt64 18446744073709486080",
        "ByteLength": "UInt64 65536",
    }


@pytest.mark.parametrize("case", ["empty window", "large window"])
def test_a_window_that_is_too_large_or_empty_is_refused(replies: Replies, case: str) -> None:
    with pytest.raises(HostRefusalError) as refused:
        replies.told(case, ChangedRangesReply)
    assert refused.value.code == HostCode.BAD_ARGUMENT


@pytest.mark.parametrize(
    ("code", "kind"), [(32779, HostRefusalError), (4096, HostRefusalError), (32774, HostBusyError)]
)
def test_return_codes_of_a_method_become_errors(replies: Replies, code: int, kind: type[AtestaError]) -> None:
    with pytest.raises(kind) as refused:
        replies.told(f"code {code}", ChangedRangesReply)
    assert getattr(refused.value, "code", None) == code


@pytest.mark.parametrize("case", ["converted", "destroyed", "point destroyed", "saved"])
def test_a_started_job_is_named(replies: Replies, case: str) -> None:
    assert replies.told(case, StartedJob) == StartedJob(job="job-1")


def test_a_machine_that_is_in_the_state_already_is_left_alone(replies: Replies) -> None:
    assert replies.told("started", StartedJob) == StartedJob(job="")


def test_a_checkpoint_of_a_person_is_not_destroyed(replies: Replies) -> None:
    with pytest.raises(HostRefusalError, match="no recovery checkpoint"):
        replies.told("person's", StartedJob)


def test_a_reference_point_pairs_disks_with_their_tracking(replies: Replies) -> None:
    (point,) = replies.told("points", tuple[ReferencePointReply, ...])
    assert [(disk.disk_id, disk.rct_id) for disk in point.disks] == [("11111111-2222-4333-8444-555555555555", "rctX:1")]


def test_the_doctor_is_told_what_cannot_be_found_out(replies: Replies) -> None:
    facts = replies.told("doctor", DoctorFacts)
    assert {one.member for one in facts.memberships} == {"unknown"}
    assert {one.value for one in facts.limits} == {-1}
    assert all(one.present for one in facts.classes)
    assert [(one.id, one.user_snapshot_type) for one in facts.checkpoint_policies] == [(VM, 0)]


def test_the_console_comes_in_the_size_of_the_synthetic_head(replies: Replies) -> None:
    reply = replies.told("picture", ThumbnailReply)
    picture = console_picture(reply)
    assert picture.size == (4, 2)
    assert [picture.getpixel((x, 0)) for x in range(4)] == [(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)]


def test_a_machine_that_shows_nothing_has_no_frame(replies: Replies) -> None:
    with pytest.raises(HostRefusalError) as refused:
        replies.told("dark", ThumbnailReply)
    assert refused.value.code == HostCode.NO_FRAME


def test_a_guest_tells_of_itself(replies: Replies) -> None:
    facts = replies.told("guest", GuestFacts)
    assert facts.heartbeat == (2, 32782)
    assert [(item.name, item.value) for item in facts.items] == [("OSName", "Debian & more"), ("OSVersion", "")]


def test_merging_is_seen_in_the_status(replies: Replies) -> None:
    assert replies.told("merging", MergeReply) == MergeReply(merging=True, status=(2, 32772))


@pytest.mark.parametrize("machine_id", NO_GUIDS)
def test_what_is_no_guid_reaches_no_query(replies: Replies, machine_id: str) -> None:
    with pytest.raises(HostRefusalError) as refused:
        replies.told(f"no guid {machine_id}", MergeReply)
    assert refused.value.code == HostCode.BAD_ARGUMENT


@pytest.mark.parametrize("checkpoint", ODD_IDS)
def test_quotes_and_backslashes_in_an_id_are_part_of_the_id(replies: Replies, checkpoint: str) -> None:
    with pytest.raises(NotOnHostError):
        replies.told(f"odd id {checkpoint}", tuple[FrozenDiskReply, ...])
