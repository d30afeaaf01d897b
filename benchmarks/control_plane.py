"""What a backup of one machine asks of its host: verbs, WinRM exchanges and their bytes, for a full and an incremental.

``python -m benchmarks.control_plane``: a machine with two disks on the stand-in host, over real WinRM with NTLM and
sealed messages; counted at the server, with the messages as they are sealed. Needs root and samba.
"""

from __future__ import annotations

import argparse
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from uuid import uuid4

from adapters.disks.file_source import FileSource
from adapters.disks.image_sources import open_image_with_parents
from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.inventory import machine_of
from adapters.hyperv.machines import HyperVMachines
from adapters.hyperv.paths import HostPaths
from adapters.hyperv.remote_call import VerbCaller
from adapters.hyperv.shells import RemoteVerbs
from adapters.hyperv.smb_connection import SmbLogin
from adapters.hyperv.smb_files import SmbShares
from adapters.hyperv.verb_schemas import Arguments
from adapters.locks import FileMachineLocks
from adapters.stores.folder import FolderPackStore
from benchmarks.report import write_between_markers
from domain.content.chunking import ChunkingParameters
from domain.model.snapshot_method import SnapshotPolicy
from domain.ports.progress import Silent
from domain.workflows.backup import BackupWorkflow
from domain.workflows.backup_terms import BackupSettings
from domain.workflows.vault import create_vault, open_vault
from tests.doubles.scripted_source import HandClock, ScriptedGuests
from tests.standin.host import StandInHost

T = TypeVar("T")
_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_MIB = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One backup: how often each verb was called, and what went over the wire."""

    kind: str
    verbs: Counter[str]
    exchanges: int
    request_bytes: int
    answer_bytes: int


class CountingCaller:
    """Counts calls on their way."""

    def __init__(self, caller: VerbCaller) -> None:
        self._caller = caller
        self.verbs: Counter[str] = Counter()

    @property
    def host(self) -> str:
        """The host's name."""
        return self._caller.host

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        """Count and pass on."""
        self.verbs[verb] += 1
        return self._caller.call(verb, arguments, reply_type)


def main() -> None:
    """Measure and print, and write into the page when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.control_plane", description=__doc__)
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        text = as_markdown(measured(Path(folder)))
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "control plane", text)


def measured(folder: Path) -> list[Asked]:
    """A full, then an incremental after a write to each disk."""
    noise = random.Random(1)
    with StandInHost(folder / "host", with_engine=False) as host:
        vm = host.model.add_machine("web", [noise.randbytes(8 * _MIB), noise.randbytes(4 * _MIB)])
        caller = CountingCaller(RemoteVerbs(host.connection()))
        found = []
        for kind in ("full", "incremental"):
            before = len(host.winrm.exchanges)
            caller.verbs = Counter()
            back_up(folder / "repository", host, caller)
            vm.write(0, _MIB, noise.randbytes(4096))
            exchanges = host.winrm.exchanges[before:]
            found.append(
                Asked(
                    kind=kind,
                    verbs=caller.verbs,
                    exchanges=len(exchanges),
                    request_bytes=sum(one.request_bytes for one in exchanges),
                    answer_bytes=sum(one.answer_bytes for one in exchanges),
                )
            )
        return found


def back_up(folder: Path, host: StandInHost, caller: VerbCaller) -> None:
    """One backup of the only machine."""
    login = SmbLogin(username=host.smb.user, password=host.smb.password, port=host.smb.port)
    source = HyperVMachines(
        HyperVHost(caller),
        lambda: HostFiles(HostPaths("127.0.0.1"), SmbShares(login), FileSource, open_image_with_parents),
        lambda reply: machine_of(reply, host.model.name),
        policy=SnapshotPolicy(),
    )
    store = FolderPackStore(folder / "store")
    if not folder.exists():
        folder.mkdir()
        create_vault(store, "p", ChunkingParameters(), random.randbytes)
    with (
        SQLiteEventLog(folder / "events") as log,
        SQLiteChunkIndex(folder / "index", log) as index,
        SQLiteCatalog(folder / "catalog", log) as catalog,
    ):
        (machine,) = source.machines()
        BackupWorkflow(
            vault=open_vault(store, "p", random.randbytes),
            log=log,
            index=index,
            catalog=catalog,
            locks=FileMachineLocks(folder / "locks"),
            guests=ScriptedGuests(),
            clock=HandClock(),
            progress=Silent(),
            new_id=uuid4,
            settings=BackupSettings(),
        ).back_up(source, machine)


def as_markdown(found: Sequence[Asked]) -> str:
    """The table: one row for each verb, then the wire."""
    verbs = sorted({verb for one in found for verb in one.verbs})
    rows = [(verb, *(str(one.verbs[verb]) for one in found)) for verb in verbs]
    rows += [
        ("all verbs", *(str(one.verbs.total()) for one in found)),
        ("WinRM exchanges", *(str(one.exchanges) for one in found)),
        ("bytes sent", *(f"{one.request_bytes:,}" for one in found)),
        ("bytes received", *(f"{one.answer_bytes:,}" for one in found)),
    ]
    head = f"| | {' | '.join(one.kind for one in found)} |"
    return "\n".join([head, "|---|" + "--:|" * len(found), *(f"| {' | '.join(row)} |" for row in rows)])


if __name__ == "__main__":
    main()
