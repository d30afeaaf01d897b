"""One shell and several: pieces, deadline, cancellation, lost connections, and which verbs are sent again."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
import requests
from winrm.exceptions import InvalidCredentialsError, WinRMOperationTimeoutError, WSManFaultError

from adapters.hyperv.connection import HostConnection
from adapters.hyperv.errors import HostBusyError, HostRefusesUserError, HostSilentError
from adapters.hyperv.remote_call import BadReplyError
from adapters.hyperv.remote_shell import INPUT_PIECE_BYTES, RemoteShell
from adapters.hyperv.shells import SHELLS_MAX, RemoteVerbs
from adapters.hyperv.verb_schemas import (
    MachineArguments,
    MergeReply,
    StartedJob,
    TakeCheckpointArguments,
)
from adapters.hyperv.winrm_trouble import ConnectionLostError
from tests.unit.hyperv.scripted_protocol import CONNECTION, ScriptedProtocol, connecting, framed

VM = "8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001"
MACHINE = MachineArguments(machine_id=VM)
TAKE = TakeCheckpointArguments(machine_id=VM, consistency=1)
LOST = requests.ConnectionError("reset")


def verbs_over(*protocols: ScriptedProtocol, monotonic: Callable[[], float] = lambda: 0.0) -> RemoteVerbs:
    connect = connecting(*protocols)

    def new_shell(connection: HostConnection) -> RemoteShell:
        return RemoteShell(connection, connect=connect, monotonic=monotonic)

    return RemoteVerbs(CONNECTION, new_shell=new_shell, sleep=lambda _: None)


def fault(code: int, reason: str = "no") -> WSManFaultError:
    return WSManFaultError(500, "http", "<x/>", reason, wsman_fault_code=code)


def test_a_verb_is_sent_whole_and_its_command_ended() -> None:
    protocol = ScriptedProtocol()
    assert verbs_over(protocol).call("merge-state", MACHINE, MergeReply) == MergeReply(merging=False, status=(2,))
    assert protocol.calls == [
        "open_shell",
        "run_command",
        "send_command_input",
        "get_command_output_raw",
        "cleanup_command",
    ]
    assert protocol.verbs == ["merge-state"]


def test_the_shell_is_used_again() -> None:
    protocol = ScriptedProtocol(answers=[(framed({"merging": False, "status": []}), b"", 0, True)] * 3)
    verbs = verbs_over(protocol)
    for _ in range(3):
        verbs.call("merge-state", MACHINE, MergeReply)
    assert protocol.calls.count("open_shell") == 1


def test_much_input_goes_in_pieces_of_which_only_the_last_is_the_end() -> None:
    protocol = ScriptedProtocol()
    shell = RemoteShell(CONNECTION, connect=connecting(protocol))
    shell.run("changed-ranges", "x" * 2 * INPUT_PIECE_BYTES, b'{"path": "' + "\u00e4".encode() * 1000 + b'"}')
    assert [end for _, end in protocol.pieces] == [False, False, True]
    assert all(len(piece) <= INPUT_PIECE_BYTES and piece.isascii() for piece, _ in protocol.pieces)


def test_noise_around_the_reply_is_left_aside() -> None:
    noise = b'#< CLIXML\r\n<Objs><S S="Error">progress</S></Objs>'
    protocol = ScriptedProtocol(
        answers=[
            (b"\xef\xbb\xbfActive code page: 65001\r\n", noise, -1, False),
            WinRMOperationTimeoutError(),
            (framed({"merging": True, "status": []}), b"", 0, True),
        ]
    )
    assert verbs_over(protocol).call("merge-state", MACHINE, MergeReply).merging


def test_what_powershell_complains_of_is_told_when_there_is_no_reply() -> None:
    complaint = b'#< CLIXML\r\n<Objs><S S="Error">Cannot &lt;load&gt; it_x000D__x000A_</S></Objs>'
    with pytest.raises(BadReplyError, match="Cannot <load> it"):
        verbs_over(ScriptedProtocol(answers=[(b"", complaint, 1, True)])).call("merge-state", MACHINE, MergeReply)


@pytest.mark.parametrize(
    "output",
    [
        b"",
        b"C:\\> not PowerShell",
        b"#HV1#",
        b"#HV1#!!!!",
        framed(1)[:-6],
        framed({}) + framed({}),
        framed({"merging": 1}),
    ],
)
def test_output_that_is_no_reply_is_refused(output: bytes) -> None:
    with pytest.raises(BadReplyError):
        verbs_over(ScriptedProtocol(answers=[(output, b"", 0, True)])).call("merge-state", MACHINE, MergeReply)


def test_a_host_that_never_ends_is_left_at_the_deadline_and_its_command_ended() -> None:
    now = iter(float(second) for second in range(1000))
    protocol = ScriptedProtocol(answers=[WinRMOperationTimeoutError() for _ in range(1000)])
    with pytest.raises(HostSilentError, match="did not finish merge-state in 60 s"):
        verbs_over(protocol, monotonic=lambda: next(now)).call("merge-state", MACHINE, MergeReply)
    assert protocol.calls[-1] == "cleanup_command"


def test_a_cancelled_verb_ends_its_command() -> None:
    class CancelledError(Exception):
        pass

    def cancelled() -> None:
        raise CancelledError

    protocol = ScriptedProtocol()
    with pytest.raises(CancelledError):
        RemoteShell(CONNECTION, connect=connecting(protocol), keep_on=cancelled).run("merge-state", "", b"{}")
    assert "cleanup_command" in protocol.calls
    assert "get_command_output_raw" not in protocol.calls


@pytest.mark.parametrize("method", ["open_shell", "run_command", "send_command_input", "get_command_output_raw"])
def test_a_reading_verb_is_sent_again_after_a_lost_connection(method: str) -> None:
    first, second = ScriptedProtocol(faults={method: LOST}), ScriptedProtocol()
    assert verbs_over(first, second).call("merge-state", MACHINE, MergeReply).status == (2,)
    assert second.verbs == ["merge-state"]


@pytest.mark.parametrize("method", ["open_shell", "run_command"])
def test_a_changing_verb_is_sent_again_when_it_cannot_have_started(method: str) -> None:
    first = ScriptedProtocol(faults={method: fault(2150858843)})
    second = ScriptedProtocol(answers=[(framed({"job": "j"}), b"", 0, True)])
    assert verbs_over(first, second).call("take-checkpoint", TAKE, StartedJob).job == "j"


@pytest.mark.parametrize("method", ["send_command_input", "get_command_output_raw"])
def test_a_changing_verb_that_may_have_run_is_not_sent_again(method: str) -> None:
    first, second = ScriptedProtocol(faults={method: LOST}), ScriptedProtocol()
    with pytest.raises(ConnectionLostError) as lost:
        verbs_over(first, second).call("take-checkpoint", TAKE, StartedJob)
    assert lost.value.may_have_run
    assert second.calls == []


def test_a_host_that_is_lost_again_and_again_is_given_up() -> None:
    protocols = [ScriptedProtocol(faults={"open_shell": LOST}) for _ in range(4)]
    with pytest.raises(HostSilentError):
        verbs_over(*protocols).call("merge-state", MACHINE, MergeReply)
    assert [len(one.calls) > 0 for one in protocols] == [True, True, True, False]


def test_a_reply_counts_although_the_goodbye_is_lost() -> None:
    first, second = ScriptedProtocol(faults={"cleanup_command": LOST}), ScriptedProtocol()
    verbs = verbs_over(first, second)
    assert verbs.call("merge-state", MACHINE, MergeReply).status == (2,)
    assert verbs.call("merge-state", MACHINE, MergeReply).status == (2,)
    assert second.calls[0] == "open_shell"


def test_a_connection_that_lay_idle_is_made_anew_for_the_same_shell() -> None:
    now = [0.0]
    first, second = ScriptedProtocol(), ScriptedProtocol()
    verbs = verbs_over(first, second, monotonic=lambda: now[0])
    verbs.call("merge-state", MACHINE, MergeReply)
    now[0] = 300.0
    verbs.call("merge-state", MACHINE, MergeReply)
    assert second.calls[0] == "run_command"


def test_wrong_credentials_are_not_tried_again_and_not_told() -> None:
    first, second = ScriptedProtocol(faults={"open_shell": InvalidCredentialsError("no")}), ScriptedProtocol()
    with pytest.raises(HostRefusesUserError) as refused:
        verbs_over(first, second).call("merge-state", MACHINE, MergeReply)
    assert second.calls == []
    assert "secret!" not in f"{refused.value!r}{refused.value.__cause__!r}{CONNECTION!r}"


def test_a_full_host_is_told_as_busy() -> None:
    with pytest.raises(HostBusyError, match="limits"):
        verbs_over(ScriptedProtocol(faults={"open_shell": fault(2150859173)})).call("merge-state", MACHINE, MergeReply)


def test_closing_ends_the_shell_on_the_host_even_when_it_is_gone() -> None:
    protocol = ScriptedProtocol(faults={"close_shell": LOST})
    verbs = verbs_over(protocol)
    verbs.call("merge-state", MACHINE, MergeReply)
    verbs.close()
    verbs.close()
    assert protocol.calls[-2:] == ["close_shell", "close_session"]


def test_many_threads_share_at_most_five_shells() -> None:
    opened: list[object] = []
    at_once, peak, guard = 0, 0, threading.Lock()
    all_in = threading.Barrier(SHELLS_MAX)

    class CountingShell(RemoteShell):
        def run(self, verb: str, script: str, arguments: bytes) -> bytes:
            nonlocal at_once, peak
            with guard:
                at_once += 1
                peak = max(peak, at_once)
            all_in.wait(30)
            with guard:
                at_once -= 1
            return b'{"ok": true, "value": {"merging": false, "status": []}}'

    def new_shell(connection: HostConnection) -> RemoteShell:
        opened.append(connection)
        return CountingShell(connection)

    verbs = RemoteVerbs(CONNECTION, new_shell=new_shell)
    threads = [
        threading.Thread(target=verbs.call, args=("merge-state", MACHINE, MergeReply)) for _ in range(4 * SHELLS_MAX)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert (len(opened), peak) == (SHELLS_MAX, SHELLS_MAX)
