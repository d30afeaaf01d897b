"""Whatever a host answers to WS-Management ends in a reply or in a typed error."""

from __future__ import annotations

import base64
import json
import uuid
from contextlib import suppress
from xml.sax.saxutils import escape

from hypothesis import given, settings
from hypothesis import strategies as st
from winrm.protocol import Protocol

from adapters.hyperv.connection import HostConnection, open_protocol
from adapters.hyperv.remote_shell import RemoteShell
from adapters.hyperv.shells import RemoteVerbs
from adapters.hyperv.verb_schemas import MachineArguments, MachineReply, MergeReply
from domain.errors import AtestaError

MACHINE = MachineArguments(machine_id="8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001")
CONNECTION = HostConnection(name="hv1", endpoint="http://127.0.0.1:1/wsman", transport="ntlm", user="u", password="p")
SHELL = "http://schemas.microsoft.com/wbem/wsman/1/windows/shell"


def envelope(body: str) -> bytes:
    return (
        f'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope" xmlns:rsp="{SHELL}">'
        f"<s:Header><RelatesTo>uuid:{uuid.UUID(int=0)}</RelatesTo></s:Header>"
        f"<s:Body>{body}</s:Body></s:Envelope>"
    ).encode()


OPENED = envelope('<w:Selector xmlns:w="x" Name="ShellId">S-1</w:Selector>')
STARTED = envelope("<rsp:CommandResponse><rsp:CommandId>C-1</rsp:CommandId></rsp:CommandResponse>")


def received(output: bytes, state: str = "Done", code: str = "0") -> bytes:
    text = base64.b64encode(output).decode()
    return envelope(
        f'<rsp:ReceiveResponse><rsp:Stream Name="stdout" CommandId="C-1">{text}</rsp:Stream>'
        f'<rsp:CommandState CommandId="C-1" State="{SHELL}/CommandState/{escape(state)}">'
        f"<rsp:ExitCode>{escape(code)}</rsp:ExitCode></rsp:CommandState></rsp:ReceiveResponse>"
    )


class AnsweringTransport:
    """The way to a host that gives one answer after the other; the last one again and again."""

    def __init__(self, answers: list[bytes]) -> None:
        self._answers = answers

    def send_message(self, message: object) -> bytes:
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]

    def close_session(self) -> None:
        """Nothing is open."""


def call_with(answers: list[bytes], kind: type[object] = MergeReply) -> object:
    def connect(connection: HostConnection) -> Protocol:
        protocol = open_protocol(connection)
        protocol.transport = AnsweringTransport(answers)  # type: ignore[assignment]
        return protocol

    seconds = iter(range(1_000_000))

    def new_shell(connection: HostConnection) -> RemoteShell:
        return RemoteShell(connection, connect=connect, monotonic=lambda: float(next(seconds)))

    return RemoteVerbs(CONNECTION, new_shell=new_shell, sleep=lambda _: None).call("merge-state", MACHINE, kind)


def ends_as_it_should(answers: list[bytes], kind: type[object] = MergeReply) -> None:
    with suppress(AtestaError):
        call_with(answers, kind)


def framed(text: bytes) -> bytes:
    return b"#HV1#" + base64.b64encode(text)


def test_an_honest_answer_is_taken() -> None:
    reply = framed(b'{"ok": true, "value": {"merging": true, "status": [2]}}')
    assert call_with([OPENED, STARTED, envelope(""), received(reply), envelope("")]) == MergeReply(
        merging=True, status=(2,)
    )


@settings(max_examples=150, deadline=None)
@given(st.lists(st.binary(max_size=300), min_size=1, max_size=5))
def test_bytes_of_any_kind(answers: list[bytes]) -> None:
    ends_as_it_should(answers)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 4), st.data())
def test_answers_that_were_cut_or_altered(which: int, data: st.DataObject) -> None:
    answers = [OPENED, STARTED, envelope(""), received(framed(b'{"ok": true, "value": {}}')), envelope("")]
    whole = answers[which]
    at = data.draw(st.integers(0, len(whole) - 1))
    altered = data.draw(st.binary(max_size=8))
    answers[which] = whole[:at] + altered + whole[at + data.draw(st.integers(0, len(whole))) :]
    ends_as_it_should(answers)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.text(max_size=20), st.text(max_size=8))
def test_output_states_and_exit_codes_of_any_kind(output: bytes, state: str, code: str) -> None:
    ends_as_it_should([OPENED, STARTED, envelope(""), received(output, state, code), envelope("")])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=30),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(["ok", "value", "error", "code", "message", "where", "id", "disks"]), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=200, deadline=None)
@given(JSON)
def test_replies_of_any_shape(reply: object) -> None:
    framed_reply = framed(json.dumps(reply).encode())
    ends_as_it_should([OPENED, STARTED, envelope(""), received(framed_reply), envelope("")], tuple[MachineReply, ...])


def test_entities_and_nested_lists_without_end_are_refused() -> None:
    ends_as_it_should([b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"])
    ends_as_it_should([OPENED, STARTED, envelope(""), received(framed(b"[" * 100_000)), envelope("")])
