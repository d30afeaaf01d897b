"""Waiting for a job on the host, whatever it does."""

from __future__ import annotations

from typing import TypeVar

import pytest

from adapters.hyperv.errors import HostBusyError, HostCode, JobFailedError
from adapters.hyperv.host import FinishedJob, HyperVHost
from adapters.hyperv.verb_schemas import AffectedElement, Arguments, JobReply

T = TypeVar("T")
MADE = AffectedElement(kind="Msvm_VirtualSystemSettingData", id="Microsoft:1")


def job(
    state: int, *, error_code: int = 0, error_text: str = "", affected: tuple[AffectedElement, ...] = ()
) -> JobReply:
    return JobReply(state=state, percent=50, error_code=error_code, error_text=error_text, affected=affected)


class Jobs:
    """Answers each look with the next reply, and the last one from then on. Time passes while somebody sleeps."""

    host = "hv1"

    def __init__(self, *replies: JobReply) -> None:
        self.replies = list(replies)
        self.seconds = 0.0

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        reply = self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]
        assert isinstance(reply, reply_type)
        return reply

    def sleep(self, seconds: float) -> None:
        assert 0 < seconds <= 5
        self.seconds += seconds

    def waited(self, deadline_seconds: float = 60, job_id: str = "j") -> FinishedJob:
        host = HyperVHost(self, sleep=self.sleep, monotonic=lambda: self.seconds)
        return host.wait(job_id, deadline_seconds)


def test_a_job_is_looked_at_until_it_is_over() -> None:
    done = Jobs(job(2), job(3), job(4), job(6), job(7, affected=(MADE,))).waited()
    assert done.id_of("Msvm_VirtualSystemSettingData") == "Microsoft:1"
    assert not done.has_warnings


def test_completed_with_warnings_is_success() -> None:
    assert Jobs(job(32768)).waited().has_warnings


@pytest.mark.parametrize("reply", [job(8), job(9), job(10, error_code=32768), job(7, error_code=1), job(5), job(11)])
def test_every_other_end_is_a_failure(reply: JobReply) -> None:
    with pytest.raises(JobFailedError):
        Jobs(reply).waited()


def test_the_hosts_reason_is_told() -> None:
    with pytest.raises(JobFailedError, match="writer failed"):
        Jobs(job(10, error_code=32768, error_text="a  writer\nfailed")).waited()


def test_a_job_that_hangs_is_left_at_the_deadline() -> None:
    jobs = Jobs(job(4))
    with pytest.raises(HostBusyError) as left:
        jobs.waited(deadline_seconds=30)
    assert left.value.code == HostCode.TIMEOUT
    assert 30 <= jobs.seconds < 31


def test_nothing_is_asked_about_what_was_done_at_once() -> None:
    jobs = Jobs()
    assert jobs.waited(job_id="") == FinishedJob()


def test_several_things_made_are_not_guessed_among() -> None:
    assert FinishedJob(affected=(MADE, MADE)).id_of("Msvm_VirtualSystemSettingData") == ""
