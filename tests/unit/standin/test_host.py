"""The whole stand-in host: what it holds open, and what is left of it after a reboot and without power."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapters.hyperv.errors import HostUnreachableError
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.remote_call import BadReplyError
from adapters.hyperv.remote_shell import RemoteShell
from adapters.hyperv.shells import RemoteVerbs
from adapters.hyperv.verb_scripts import script_text
from tests.standin.host import StandInHost
from tests.standin.winrm_connection import Trouble
from tests.unit.disks.vhdx_images import MIB
from tests.unit.standin.smb_reading import first_bytes

pytestmark = pytest.mark.process


@pytest.fixture
def verbs(standin_host: StandInHost) -> Iterator[HyperVHost]:
    caller = RemoteVerbs(standin_host.connection(), sleep=lambda _: None)
    yield HyperVHost(caller, sleep=lambda _: None)
    caller.close()


def test_a_live_disk_cannot_be_read_and_a_frozen_one_can(standin_host: StandInHost, verbs: HyperVHost) -> None:
    machine = standin_host.model.add_machine("web", [bytes(MIB)])
    base = machine.disks[0].leaf.path
    with pytest.raises(OSError, match="0xc0000043"):
        first_bytes(standin_host.smb, base)
    started = verbs.take_checkpoint(machine.id, consistency=2)
    checkpoint = verbs.wait(started.job, 60).id_of("Msvm_VirtualSystemSettingData")
    assert first_bytes(standin_host.smb, base) == b"vhdxfile"
    with pytest.raises(OSError, match="0xc0000043"):
        first_bytes(standin_host.smb, machine.disks[0].leaf.path)
    verbs.wait(verbs.destroy_checkpoint(machine.id, checkpoint).job, 60)
    while verbs.merge_state(machine.id).merging:
        pass
    with pytest.raises(OSError, match="0xc0000043"):
        first_bytes(standin_host.smb, base)
    verbs.wait(verbs.set_state(machine.id, 6).job, 60)
    assert first_bytes(standin_host.smb, base) == b"vhdxfile"


def test_verbs_and_shares_answer_again_after_a_reboot(standin_host: StandInHost, verbs: HyperVHost) -> None:
    machine = standin_host.model.add_machine("web", [bytes(MIB)])
    assert len(verbs.list_machines()) == 1
    standin_host.model.reboot()
    assert len(verbs.list_machines()) == 1
    with pytest.raises(OSError, match="0xc0000043"):
        first_bytes(standin_host.smb, machine.disks[0].leaf.path)


def test_without_power_nothing_answers(standin_host: StandInHost, verbs: HyperVHost) -> None:
    machine = standin_host.model.add_machine("web", [bytes(MIB)])
    standin_host.power_off()
    with pytest.raises(HostUnreachableError):
        verbs.list_machines()
    with pytest.raises((OSError, ValueError)):
        first_bytes(standin_host.smb, machine.home)
    standin_host.power_on()
    assert [listed.name for listed in verbs.list_machines()] == ["web"]


def test_scripts_that_are_no_verb_are_not_answered_without_an_engine(standin_host: StandInHost) -> None:
    shell = RemoteShell(standin_host.connection())
    with pytest.raises(BadReplyError, match="does not know this script"):
        shell.run("host-facts", script_text("host-facts") + " ", b"{}")
    shell.close()


def test_an_answer_that_is_not_sealed_is_refused(standin_host: StandInHost, verbs: HyperVHost) -> None:
    standin_host.winrm.fail(Trouble.PLAIN_ANSWER, "Receive")
    with pytest.raises(BadReplyError, match="in the open"):
        verbs.host_facts()
    assert verbs.host_facts().computer == "HV01"


def test_a_lost_connection_costs_a_reading_verb_nothing(standin_host: StandInHost, verbs: HyperVHost) -> None:
    for trouble in (Trouble.DROPPED_UNREAD, Trouble.DROPPED_UNANSWERED, Trouble.ANSWER_CUT, Trouble.UNAVAILABLE):
        for operation in ("Create", "Command", "Send", "Receive"):
            if operation == "Create":
                standin_host.winrm.reboot()
            standin_host.winrm.fail(trouble, operation)
            assert verbs.host_facts().computer == "HV01"
            standin_host.winrm.heal()


def test_it_says_where_it_is_reached(standin_host: StandInHost) -> None:
    connection = standin_host.connection()
    assert connection.endpoint == f"http://127.0.0.1:{standin_host.winrm.port}/wsman"
    assert standin_host.smb.password == standin_host.winrm.password


def test_scripts_run_in_the_engine_of_a_whole_host(standin_host_with_engine: StandInHost) -> None:
    caller = RemoteVerbs(standin_host_with_engine.connection())
    standin_host_with_engine.model.add_machine("web", [bytes(MIB)])
    assert [listed.name for listed in HyperVHost(caller).list_machines()] == ["web"]
    caller.close()
