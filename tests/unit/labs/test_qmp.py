"""The monitor's protocol against a scripted QEMU at the other end of a socket."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import pytest

from adapters.labs.qemu.monitor import Monitor
from adapters.labs.qemu.qmp import QmpConnection, QmpError
from domain.errors import EnvironmentTroubleError

GREETING = b'{"QMP": {"version": {}, "capabilities": ["oob"]}}\r\n'
WANTED = frozenset({"RESET", "STOP"})


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """QEMU's end and ours."""
    ours, theirs = socket.socketpair()
    theirs.settimeout(5)
    with ours, theirs:
        yield theirs, ours


def line(**content: object) -> bytes:
    return json.dumps(content).encode() + b"\r\n"


def test_the_greeting_is_answered_by_leaving_the_negotiation(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, ours = pair
    theirs.sendall(GREETING + line(**{"return": {}, "id": 1}))

    QmpConnection(ours, WANTED, 5).greet()

    assert json.loads(theirs.recv(1000)) == {"execute": "qmp_capabilities", "id": 1}


def test_an_answer_is_found_between_events_and_answers_that_came_too_late(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    theirs, ours = pair
    qmp = QmpConnection(ours, WANTED, 5)
    theirs.sendall(
        line(event="RESET", data={"guest": True})
        + line(**{"return": "old", "id": 0})
        + line(event="OTHER")
        + line(event="STOP")
        + line(**{"return": ["new"], "id": 1})
        + line(event="RESET")[:7]
    )

    assert qmp.execute("query", {"a": 1}) == ["new"]
    assert json.loads(theirs.recv(1000)) == {"execute": "query", "arguments": {"a": 1}, "id": 1}
    assert [event["event"] for event in qmp.events()] == ["RESET", "STOP"]
    assert qmp.events() == []
    theirs.sendall(line(event="RESET")[7:])
    assert [event["event"] for event in qmp.events()] == ["RESET"]


def test_a_command_that_is_refused_says_why_and_the_next_one_works(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, ours = pair
    qmp = QmpConnection(ours, WANTED, 5)
    theirs.sendall(
        line(error={"class": "GenericError", "desc": "no such thing"}, id=1) + line(**{"return": {}, "id": 2})
    )

    with pytest.raises(QmpError, match="no such thing"):
        qmp.execute("frobnicate")
    assert qmp.execute("stop") == {}


def test_silence_ends_in_time_and_a_late_answer_is_not_taken_for_the_next(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    theirs, ours = pair
    qmp = QmpConnection(ours, WANTED, 0.05)
    with pytest.raises(TimeoutError):
        qmp.execute("slow")
    theirs.sendall(line(**{"return": "slow", "id": 1}) + line(**{"return": "next", "id": 2}))

    assert qmp.execute("next") == "next"


def test_a_trickle_of_events_does_not_put_the_deadline_off(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, ours = pair
    theirs.sendall(line(event="RESET") * 500)

    with pytest.raises(TimeoutError):
        QmpConnection(ours, WANTED, 0.05).execute("stop")


@pytest.mark.parametrize(
    "said",
    [b"hello\n", b'{"QMP"\n', b"[]\n", b"\xff\xfe\n", line(**{"return": {}}), b"x" * (5 << 20)],
    ids=["words", "half", "list", "bytes", "no greeting", "endless"],
)
def test_what_is_not_qmp_is_the_labs_trouble(said: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.setblocking(False)
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8 << 20)
    with Monitor(5) as monitor, theirs:
        sent = theirs.send(said)
        theirs.shutdown(socket.SHUT_WR)
        assert sent
        with pytest.raises(EnvironmentTroubleError, match="connection to QEMU failed"):
            monitor.connect(ours)


def test_a_line_without_an_end_is_given_up() -> None:
    ours, theirs = socket.socketpair()
    qmp = QmpConnection(ours, WANTED, 5)
    with ours, theirs:
        for _ in range(64):
            theirs.sendall(b"x" * 65536)
            qmp.events()
        theirs.sendall(b"x")
        with pytest.raises(QmpError, match="absurdly long"):
            qmp.events()


def test_a_qemu_that_closes_is_told_by_the_next_command_and_not_by_looking_for_events() -> None:
    ours, theirs = socket.socketpair()
    qmp = QmpConnection(ours, WANTED, 5)
    theirs.sendall(line(event="STOP"))
    theirs.close()
    with ours:
        assert [event["event"] for event in qmp.events()] == ["STOP"]
        with pytest.raises((QmpError, OSError)):
            qmp.execute("stop")


def test_of_a_flood_of_events_the_last_ones_are_kept(pair: tuple[socket.socket, socket.socket]) -> None:
    theirs, ours = pair
    qmp = QmpConnection(ours, WANTED, 5)
    for burst in range(50):
        theirs.sendall(line(event="RESET", data={"burst": burst}) * 100 + line(**{"return": {}, "id": burst + 1}))
        qmp.execute("query")

    found = qmp.events()

    assert len(found) == 4096
    assert found[-1]["data"] == {"burst": 49}
