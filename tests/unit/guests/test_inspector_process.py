"""The inspector process as an enemy: it hangs, dies, lies and asks for what is not its own."""

from __future__ import annotations

import sys

import pytest

from adapters.guests.inspection import InspectionLimits
from adapters.guests.outside import OutsideGuestFileSystems
from tests.unit.guests.guest_volumes import MIB, FrozenBytes

pytestmark = pytest.mark.process

SETUP = """
import os, sys, signal
sys.stdin, sys.stdout = os.fdopen(0, "rb", 0), os.fdopen(1, "wb", 0)
from adapters.guests.messages import *
receive_frame(sys.stdin)
"""
ANSWERS = 'send_frame(sys.stdout, ANSWER, b"""%s""")'


@pytest.fixture
def volume() -> FrozenBytes:
    content = bytearray(MIB)
    content[3:11] = b"NTFS    "
    return FrozenBytes(content)


def remark_about(volume: FrozenBytes, behaviour: str, *, wall_seconds: float = 60, read_bytes: int = 1 << 30) -> str:
    """What examine says when the inspector behaves so; swap_ranges finds nothing then."""
    guests = OutsideGuestFileSystems(
        limits=InspectionLimits(wall_seconds=wall_seconds, read_bytes=read_bytes),
        inspector_command=(sys.executable, "-c", SETUP + behaviour),
    )
    assert guests.swap_ranges(volume) == ()
    (found,) = guests.examine(volume).volumes
    assert found.readable is False
    return found.remark


def test_one_that_hangs_is_stopped(volume: FrozenBytes) -> None:
    assert "stopped after 1 seconds" in remark_about(volume, "signal.pause()", wall_seconds=1)


def test_one_that_does_not_take_its_data_is_stopped(volume: FrozenBytes) -> None:
    asks = "send_frame(sys.stdout, READ, READ_REQUEST.pack(0, 1 << 20)); signal.pause()"

    assert "stopped after 1 seconds" in remark_about(volume, asks, wall_seconds=1)


def test_one_that_asks_without_end_is_stopped(volume: FrozenBytes) -> None:
    asks = "while True: send_frame(sys.stdout, READ, READ_REQUEST.pack(0, 1 << 16)); receive_frame(sys.stdin)"

    assert "after it had read 1 MiB" in remark_about(volume, asks, read_bytes=MIB)


@pytest.mark.parametrize(
    ("behaviour", "remark"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed (SIGSEGV)"),
        ("os.abort()", "crashed (SIGABRT)"),
        ("os.kill(os.getpid(), signal.SIGKILL)", "was killed"),
        ("os.kill(os.getpid(), signal.SIGXCPU)", "was killed"),
        ("sys.exit(0)", "gave up without an answer (exit code 0)"),
        ("raise RuntimeError", "gave up without an answer (exit code 1)"),
        ("sys.stdout.write(b'\\xff' * 65536)", "gave up without an answer"),
        ("sys.stdout.write(b'A\\x00')", "gave up without an answer"),
        ("send_frame(sys.stdout, b'?', b'')", "what no inspector sends"),
        ("send_frame(sys.stdout, READ, b'short')", "what no inspector sends"),
        ("send_frame(sys.stdout, READ, READ_REQUEST.pack(1 << 20, 1))", "outside its volume"),
        ("send_frame(sys.stdout, READ, READ_REQUEST.pack(2**64 - 1, 1))", "outside its volume"),
        (ANSWERS % "not json", "cannot be understood"),
        (ANSWERS % '{"readable": "perhaps"}', "cannot be understood"),
        (ANSWERS % '{"surprise": 1}', "cannot be understood"),
    ],
)
def test_whatever_it_does_instead_of_answering_becomes_a_remark(
    volume: FrozenBytes, behaviour: str, remark: str
) -> None:
    assert remark in remark_about(volume, behaviour)


@pytest.mark.parametrize("extents", ["[[0, 1048577]]", "[[4096, 4096], [0, 4096]]", "[[0, 0]]", "[[-4096, 8192]]"])
def test_ranges_outside_the_volume_or_out_of_order_are_refused(volume: FrozenBytes, extents: str) -> None:
    lie = f'{{"swap_files": [{{"kind": "pagefile.sys", "path": "/", "extents": {extents}}}]}}'

    assert "contradicts the volume" in remark_about(volume, ANSWERS % lie)


def test_an_answer_that_is_in_order_is_taken(volume: FrozenBytes) -> None:
    answer = '{"swap_files": [{"kind": "pagefile.sys", "path": "/a\\u001bb", "extents": [[4095, 8193]]}]}'
    command = (sys.executable, "-c", SETUP + ANSWERS.replace('b"""', 'rb"""') % answer)

    (found,) = OutsideGuestFileSystems(inspector_command=command).swap_ranges(volume)

    assert found.where == "/a�b on the whole disk"
    assert [(extent.offset, extent.length) for extent in found.extents] == [(4096, 8192)]


def test_a_missing_program_becomes_a_remark(volume: FrozenBytes) -> None:
    guests = OutsideGuestFileSystems(inspector_command=("/does/not/exist",))

    assert "could not be started" in guests.examine(volume).volumes[0].remark


def test_it_gets_nothing_of_the_environment(volume: FrozenBytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATESTA_PASSPHRASE", "secret")
    tells = "import msgspec; send_frame(sys.stdout, ANSWER, msgspec.json.encode(Answer(remark=' '.join(os.environ))))"

    remark = remark_about(volume, tells)

    assert "PYTHONPATH" in remark
    assert "ATESTA_PASSPHRASE" not in remark


@pytest.mark.parametrize("attempt", ["open('/etc/hostname')", "os.pipe()", "os.dup(0)", "bytearray(1 << 29)"])
def test_its_rights_are_gone_before_it_reads_the_volume(volume: FrozenBytes, attempt: str) -> None:
    job = "Job(task='examine', file_system='ntfs', size_bytes=1, cpu_seconds=9, memory_bytes=1 << 29)"
    tries = f"""
from adapters.guests.inspector import give_up_rights
give_up_rights({job})
try:
    {attempt}
except (OSError, MemoryError) as error:
    send_frame(sys.stdout, ANSWER, b'{{"remark": "refused: ' + type(error).__name__.encode() + b'"}}')
"""
    assert remark_about(volume, tries).startswith("refused")


def test_too_little_memory_becomes_a_remark(volume: FrozenBytes) -> None:
    guests = OutsideGuestFileSystems(limits=InspectionLimits(memory_bytes=1 << 20))

    (found,) = guests.examine(volume).volumes

    assert found.readable is False
    assert found.remark


def test_a_disk_whose_time_is_used_up_says_so(volume: FrozenBytes) -> None:
    guests = OutsideGuestFileSystems(limits=InspectionLimits(disk_seconds=-1))

    assert "used up" in guests.examine(volume).volumes[0].remark
    assert guests.swap_ranges(volume) == ()
