"""Starting and ending the SMTP server of the tests."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import trustme

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class RunningServer:
    port: int
    ca_file: Path
    folder: Path

    @property
    def mails(self) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.folder.iterdir())]


@contextmanager
def smtp_server(
    folder: Path, security: str = "starttls", behaviour: str = "", host: str = "localhost"
) -> Iterator[RunningServer]:
    """A server process whose certificate, for ``host``, comes from an authority of its own."""
    authority = trustme.CA()
    certificate, ca_file, mails = folder / "server.pem", folder / "ca.pem", folder / "mails"
    authority.issue_cert(host).private_key_and_cert_chain_pem.write_to_path(str(certificate))
    authority.cert_pem.write_to_path(str(ca_file))
    mails.mkdir()
    command = [sys.executable, "-m", "tests.unit.mail.smtp_server", str(mails), security, behaviour, str(certificate)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        try:
            assert process.stdout is not None
            yield RunningServer(int(process.stdout.readline()), ca_file, mails)
        finally:
            process.kill()
