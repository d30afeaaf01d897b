"""What a stand-in host runs as powershell.exe: Microsoft's engine where there is one, else scripts known by their hash.

The engine is found by ``ATESTA_PWSH``, then as ``pwsh`` on the path, then in the folder of tools that may lie beside
the checkout. The simulated CIM and Hyper-V cmdlets (``modules/``) come to it through PSModulePath.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from adapters.hyperv.verb_scripts import verb_of
from tests.standin.model import HostModel
from tests.standin.shells import Output, Process
from tests.standin.verb_answers import answer

MODULES = Path(__file__).with_name("modules")
CLUSTER_MODULES = MODULES.with_name("cluster_modules")
_BESIDE = Path(__file__).parents[3] / "shared" / "tools" / "pwsh"
_NAMES = {"powershell", "powershell.exe"}
_UNKNOWN_SCRIPT = (
    b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04"><S S="Error">'
    b"This stand-in has no PowerShell engine and does not know this script.</S></Objs>"
)
_READ_BYTES = 64 << 10


def find_engine() -> Path | None:
    """The PowerShell engine of this machine."""
    named = os.environ.get("ATESTA_PWSH") or shutil.which("pwsh")
    if named:
        return Path(named)
    return _BESIDE if _BESIDE.is_file() else None


needs_engine = pytest.mark.skipif(find_engine() is None, reason="not run: no PowerShell engine")


class EnginePrograms:
    """Starts powershell.exe as the engine. ``environment`` tells the cmdlets where the host's model answers."""

    def __init__(self, model: HostModel, engine: Path, environment: Mapping[str, str]) -> None:
        self._model = model
        self._engine = engine
        self._environment = environment

    def __call__(self, line: str, variables: Mapping[str, str], output: Output) -> Process:
        arguments = _arguments_of(line)
        self._model.tick()
        preload = ["-Preload", str(MODULES / "start.ps1")]
        environment = {
            "PATH": os.environ["PATH"],
            "PSModulePath": os.pathsep.join(map(str, [MODULES, *([CLUSTER_MODULES] if self._model.cluster else [])])),
            "PWSH_ENGINE_CLIXML": "1",
            "PWSH_ENGINE_JSON_ARRAYS": "5.1",
            **self._environment,
            **variables,
        }
        return _EngineProcess([str(self._engine), *preload, *arguments], environment, output)


class _EngineProcess:
    def __init__(self, command: list[str], environment: Mapping[str, str], output: Output) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, stderr=pipe, env=dict(environment), start_new_session=True
        )
        self._output = output
        self._input = threading.Lock()
        self._readers = [
            threading.Thread(target=self._read, args=("stdout", self._process.stdout), daemon=True),
            threading.Thread(target=self._read, args=("stderr", self._process.stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()
        self._waiter = threading.Thread(target=self._wait, daemon=True)
        self._waiter.start()

    def feed(self, data: bytes, *, end: bool) -> None:
        stdin = self._process.stdin
        assert stdin is not None
        with self._input, contextlib.suppress(OSError, ValueError):
            stdin.write(data)
            stdin.flush()
            if end:
                stdin.close()

    def kill(self) -> None:
        if self._process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
        self._waiter.join()

    def _read(self, name: str, stream: object) -> None:
        descriptor = stream.fileno()  # type: ignore[attr-defined]
        while data := os.read(descriptor, _READ_BYTES):
            self._output.put(name, data)

    def _wait(self) -> None:
        for reader in self._readers:
            reader.join()
        exit_code = self._process.wait()
        with self._input:
            for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
                assert stream is not None
                with contextlib.suppress(OSError):
                    stream.close()
        self._output.ended(exit_code & 0xFFFFFFFF)


class RecognisedPrograms:
    """Starts nothing: a verb's script is known by its hash and answered from the model, anything else is an error."""

    def __init__(self, model: HostModel) -> None:
        self._model = model

    def __call__(self, line: str, variables: Mapping[str, str], output: Output) -> Process:
        bootstrap = _encoded_command(_arguments_of(line))
        return _RecognisedProcess(self._model, bootstrap, output)


class _RecognisedProcess:
    def __init__(self, model: HostModel, bootstrap: str, output: Output) -> None:
        self._model = model
        self._bootstrap = bootstrap
        self._output = output
        self._input = bytearray()

    def feed(self, data: bytes, *, end: bool) -> None:
        self._input += data
        if end:
            threading.Thread(target=self._answer, daemon=True).start()

    def kill(self) -> None:
        """There is no process."""

    def _answer(self) -> None:
        try:
            content = json.loads(self._input)
            verb = verb_of(content["s"])
        except (ValueError, LookupError, TypeError):
            verb = None
        reads_script = "OpenStandardInput" in self._bootstrap and "[ScriptBlock]::Create" in self._bootstrap
        if verb is None or not reads_script:
            self._output.put("stderr", _UNKNOWN_SCRIPT)
            self._output.ended(1)
            return
        exit_code = 1
        try:
            reply = json.dumps(answer(self._model, verb, content["a"])).encode()
            self._output.put("stdout", b"\r\n#HV1#" + base64.b64encode(reply) + b"\r\n")
            exit_code = 0
        finally:
            self._output.ended(exit_code)


def programs(model: HostModel, environment: Mapping[str, str], *, with_engine: bool) -> Callable[..., Process]:
    """What starts programs on a host."""
    engine = find_engine()
    return EnginePrograms(model, engine, environment) if with_engine and engine else RecognisedPrograms(model)


def _arguments_of(line: str) -> list[str]:
    name, *arguments = line.split()
    if name.lower() not in _NAMES:
        raise FileNotFoundError(name)
    return arguments


def _encoded_command(arguments: list[str]) -> str:
    lowered = [argument.lower() for argument in arguments]
    if "-encodedcommand" not in lowered:
        return ""
    return base64.b64decode(arguments[lowered.index("-encodedcommand") + 1]).decode("utf-16-le")
