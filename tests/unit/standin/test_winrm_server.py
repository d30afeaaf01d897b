"""The stand-in's WinRM, asked by pypsrp and by pywinrm: two clients that know nothing of each other."""

from __future__ import annotations

import ssl
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree.ElementTree import ParseError

import pytest
import requests
from pypsrp.exceptions import AuthenticationError, WSManFaultError
from pypsrp.shell import Process, SignalCode, WinRS
from pypsrp.wsman import WSMan
from winrm.exceptions import InvalidCredentialsError, WinRMOperationTimeoutError, WinRMTransportError
from winrm.protocol import Protocol

from tests.standin.shells import CLIXML_NOISE, OPERATION_TIMED_OUT, SHELL_NOT_FOUND, SHELL_QUOTA, Output, Shells
from tests.standin.winrm_connection import Trouble
from tests.standin.winrm_server import WinRmServer

HOLD = "hold"

_ERRORS: dict[Trouble, type[Exception]] = {
    Trouble.DROPPED_UNREAD: requests.ConnectionError,
    Trouble.DROPPED_UNANSWERED: requests.ConnectionError,
    Trouble.ANSWER_CUT: requests.exceptions.ChunkedEncodingError,
    Trouble.REFUSED: InvalidCredentialsError,
    Trouble.GARBAGE: ParseError,
    Trouble.SERVER_ERROR: WinRMTransportError,
    Trouble.UNAVAILABLE: WinRMTransportError,
    Trouble.SILENT: requests.Timeout,
}
"""What pywinrm makes of each."""


class Echo:
    """Gives back what it reads; ``hold`` never ends by itself."""

    def __init__(self, line: str, variables: Mapping[str, str], output: Output) -> None:
        self.line = line
        self._output = output
        self.killed = False
        if line.startswith("missing"):
            raise FileNotFoundError(line)

    def feed(self, data: bytes, *, end: bool) -> None:
        self._output.put("stdout", data)
        if end and self.line != HOLD:
            self._output.put("stderr", self.line.encode())
            self._output.ended(7)

    def kill(self) -> None:
        self.killed = True


@pytest.fixture(scope="module", params=[False, True], ids=["http", "https"])
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WinRmServer]:
    with WinRmServer(tmp_path_factory.mktemp("winrm"), Shells(Echo), has_tls=request.param) as running:
        yield running


@pytest.fixture(autouse=True)
def healthy(server: WinRmServer) -> Iterator[None]:
    yield
    server.heal()
    server.shells.close_all()
    server.shells.shells_max = 30


def psrp(server: WinRmServer, *, password: str | None = None, auth: str = "negotiate", timeout_s: int = 20) -> WSMan:
    return WSMan(
        "127.0.0.1",
        port=server.port,
        ssl=server.has_tls,
        auth=auth,
        username=server.user,
        password=password or server.password,
        encryption="auto" if server.has_tls else "always",
        cert_validation=str(server.ca_file) if server.ca_file else True,  # type: ignore[arg-type]
        operation_timeout=timeout_s,
        read_timeout=timeout_s + 30,
        negotiate_service="http",
    )


def pywinrm(
    server: WinRmServer,
    *,
    transport: str = "ntlm",
    password: str | None = None,
    encryption: str = "",
    read_timeout_s: int = 30,
) -> Protocol:
    return Protocol(
        server.endpoint,
        transport=transport,  # type: ignore[arg-type]
        username=server.user,
        password=password or server.password,
        ca_trust_path=str(server.ca_file) if server.ca_file else None,  # type: ignore[arg-type]
        message_encryption=encryption or ("auto" if server.has_tls else "always"),  # type: ignore[arg-type]
        operation_timeout_sec=1,
        read_timeout_sec=read_timeout_s,
        proxy=None,
    )


def test_pypsrp_runs_a_command_with_input(server: WinRmServer) -> None:
    with psrp(server) as client, WinRS(client, codepage=65001) as shell:
        process = Process(shell, "echo", ["one", "two"])
        process.begin_invoke()
        process.send("Grüße ".encode(), end=False)
        process.send(bytes(range(256)) * 900, end=True)
        process.end_invoke()
        process.signal(SignalCode.TERMINATE)
        assert process.stdout == "Grüße ".encode() + bytes(range(256)) * 900
        assert process.stderr == CLIXML_NOISE + b"echo one two"
        assert process.rc == 7
    assert server.shells.count == 0


def test_pywinrm_runs_a_command_with_input(server: WinRmServer) -> None:
    client = pywinrm(server)
    shell = client.open_shell(codepage=65001)
    command = client.run_command(shell, "echo", ["three"], console_mode_stdin=False)
    client.send_command_input(shell, command, b"abc", end=True)
    assert client.get_command_output(shell, command) == (b"abc", CLIXML_NOISE + b"echo three", 7)
    client.cleanup_command(shell, command)
    client.close_shell(shell)
    assert server.shells.count == 0


def test_text_of_another_code_page_is_lost_where_it_has_no_such_letter(server: WinRmServer) -> None:
    with psrp(server) as client, WinRS(client) as shell:
        process = Process(shell, "echo")
        process.begin_invoke()
        process.send("äЖ".encode(), end=True)
        process.end_invoke()
        assert process.stdout == "ä?".encode("cp437")


@pytest.mark.parametrize("client", ["pypsrp", "pywinrm"])
def test_a_wrong_password_opens_nothing(server: WinRmServer, client: str) -> None:
    if client == "pypsrp":
        with pytest.raises(AuthenticationError), psrp(server, password="wrong") as made, WinRS(made):
            pass
    else:
        with pytest.raises(InvalidCredentialsError):
            pywinrm(server, password="wrong").open_shell()
    assert server.shells.count == 0


def test_basic_is_taken_over_tls_only(server: WinRmServer) -> None:
    client = pywinrm(server, transport="basic", encryption="auto")
    if server.has_tls:
        client.close_shell(client.open_shell())
    else:
        with pytest.raises(InvalidCredentialsError):
            client.open_shell()


def test_what_is_neither_sealed_nor_under_tls_is_refused(server: WinRmServer) -> None:
    client = pywinrm(server, encryption="never")
    if server.has_tls:
        client.close_shell(client.open_shell())
    else:
        with pytest.raises(InvalidCredentialsError):
            client.open_shell()


@pytest.mark.parametrize("server", [True], indirect=True, ids=["https"])
def test_a_certificate_of_nobody_is_not_trusted(server: WinRmServer) -> None:
    with pytest.raises(requests.exceptions.SSLError):
        requests.post(server.endpoint, data=b"", timeout=10)


@pytest.mark.parametrize("server", [False], indirect=True, ids=["http"])
def test_a_message_that_was_altered_is_refused(server: WinRmServer) -> None:
    client = pywinrm(server)
    shell = client.open_shell()
    encryption = client.transport.encryption
    assert encryption is not None
    seal = encryption._encrypt_message
    encryption._encrypt_message = lambda message, host: seal(message, host)[:-1] + b"X"  # type: ignore[method-assign]
    with pytest.raises(InvalidCredentialsError):
        client.run_command(shell, "echo")


def test_identify_tells_who_answers(server: WinRmServer) -> None:
    envelope = (
        b'<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Header/><s:Body><i:Identify '
        b'xmlns:i="http://schemas.dmtf.org/wbem/wsman/identity/1/wsmanidentity.xsd"/></s:Body></s:Envelope>'
    )
    headers = {"Content-Type": "application/soap+xml;charset=UTF-8", "WSMANIDENTIFY": "unauthenticated"}
    context = ssl.create_default_context(cafile=str(server.ca_file)) if server.ca_file else None
    request = urllib.request.Request(server.endpoint, envelope, headers)
    with urllib.request.urlopen(request, context=context, timeout=10) as reply:
        assert b"Stack: 3.0" in reply.read()


def test_a_command_that_says_nothing_times_out_and_goes_on(server: WinRmServer) -> None:
    client = pywinrm(server)
    shell = client.open_shell(codepage=65001)
    server.shells.has_clixml_noise = False
    try:
        command = client.run_command(shell, HOLD)
    finally:
        server.shells.has_clixml_noise = True
    with pytest.raises(WinRMOperationTimeoutError):
        client.get_command_output_raw(shell, command)
    client.send_command_input(shell, command, b"late")
    assert client.get_command_output_raw(shell, command)[0] == b"late"
    client.close_shell(shell)


def test_pypsrp_is_told_of_a_timeout_by_its_code(server: WinRmServer) -> None:
    server.shells.has_clixml_noise = False
    try:
        with psrp(server, timeout_s=1) as client, WinRS(client) as shell:
            process = Process(shell, HOLD)
            process.begin_invoke()
            with pytest.raises(WSManFaultError) as fault:
                shell.receive(command_id=process.id)
            assert fault.value.code == OPERATION_TIMED_OUT
    finally:
        server.shells.has_clixml_noise = True


def test_shells_that_are_idle_for_long_are_gone(server: WinRmServer) -> None:
    with psrp(server) as client:
        shell = WinRS(client, idle_time_out=1000)
        shell.open()
        server.shells.let_idle(500)
        Process(shell, "echo").begin_invoke()
        server.shells.let_idle(1001)
        with pytest.raises(WSManFaultError) as fault:
            Process(shell, "echo").begin_invoke()
        assert fault.value.code == SHELL_NOT_FOUND


def test_a_user_has_so_many_shells_and_no_more(server: WinRmServer) -> None:
    server.shells.shells_max = 1
    with psrp(server) as client, WinRS(client) as _, pytest.raises(WSManFaultError) as fault:
        WinRS(client).open()
    assert fault.value.code == SHELL_QUOTA


def test_programs_that_the_host_lacks_and_long_lines_end_as_in_a_console(server: WinRmServer) -> None:
    with psrp(server) as client, WinRS(client) as shell:
        for executable, told in (("missing.exe", b"is not recognized"), ("echo " + "x" * 8191, b"too long")):
            process = Process(shell, executable)
            process.invoke()
            assert process.rc == 1
            assert told in process.stderr


def test_after_a_reboot_shells_are_gone(server: WinRmServer) -> None:
    client = pywinrm(server)
    shell = client.open_shell()
    server.reboot()
    client.transport.close_session()
    with pytest.raises(Exception, match="shell was not found"):
        client.run_command(shell, "echo")


@pytest.mark.parametrize("trouble", _ERRORS)
def test_each_trouble_happens_once(server: WinRmServer, trouble: Trouble) -> None:
    client = pywinrm(server, read_timeout_s=2 if trouble is Trouble.SILENT else 30)
    server.fail(trouble, "Create")
    before = server.shells.opened_count
    with pytest.raises(_ERRORS[trouble]):
        client.open_shell()
    was_done = trouble in {Trouble.DROPPED_UNANSWERED, Trouble.ANSWER_CUT}
    assert server.shells.opened_count == before + was_done
    client.transport.close_session()
    server.heal()
    again = pywinrm(server)
    again.close_shell(again.open_shell())


def test_connections_work_beside_each_other(server: WinRmServer) -> None:
    clients = [pywinrm(server) for _ in range(4)]
    shells = [client.open_shell(codepage=65001) for client in clients]
    commands = [client.run_command(shell, "echo") for client, shell in zip(clients, shells, strict=True)]
    for number, (client, shell, command) in enumerate(zip(clients, shells, commands, strict=True)):
        client.send_command_input(shell, command, str(number).encode(), end=True)
        assert client.get_command_output(shell, command)[0] == str(number).encode()
        client.close_shell(shell)


def test_nothing_answers_after_its_end_and_the_port_is_the_same_after_a_pause(tmp_path: Path) -> None:
    with WinRmServer(tmp_path, Shells(Echo)) as server:
        port = server.port
        server.silence()
        with pytest.raises(requests.ConnectionError):
            requests.post(server.endpoint, timeout=5)
        server.listen()
        assert server.port == port
        assert requests.post(server.endpoint, timeout=5).status_code == 401
    with pytest.raises(requests.ConnectionError):
        requests.post(server.endpoint, timeout=5)


def test_an_envelope_that_is_too_large_is_refused(server: WinRmServer) -> None:
    with psrp(server) as client, WinRS(client) as shell:
        process = Process(shell, "echo")
        process.begin_invoke()
        with pytest.raises(WSManFaultError, match="EncodingLimit"):
            process.send(bytes(500 << 10))
