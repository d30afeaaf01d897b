"""A frozen disk read over SMB through the whole pipeline, beside a plain copy of the same file over the same share.

``python -m benchmarks.smb IMAGE``: the raw image becomes a dynamic VHDX on the share of a real smbd on this machine,
with signed and with encrypted answers. In turns it is copied by smbclient, durable at its end, and taken into a new
repository (read, cut, hashed, compressed, sealed, durable packs, events). Both are rates over the same file. Needs
root, the packages samba and smbclient, and qemu-img.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from statistics import median

from adapters.disks.file_source import FileSource
from adapters.disks.image_sources import open_image_with_parents
from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.paths import HostPaths
from adapters.hyperv.smb_connection import SmbLogin
from adapters.hyperv.smb_files import SmbShares
from benchmarks.comparison import MachineFigures
from benchmarks.images import cache_folder
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe
from benchmarks.trial_repository import TrialRepository
from tests.standin.samba import SambaServer

GOAL = 0.7
_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_FILE = "disk.vhdx"


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """One way of the answers over the wire, and the seconds of each round."""

    name: str
    file_bytes: int
    copies_s: Sequence[float]
    backups_s: Sequence[float]

    @property
    def ratio(self) -> float:
        """The pipeline's rate by the plain copy's, by their medians."""
        return median(self.copies_s) / median(self.backups_s)


def main() -> None:
    """Measure and print, and write into the page when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.smb", description=__doc__)
    parser.add_argument("image", type=Path, help="a raw image with real data, such as an installed system")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is done")
    parser.add_argument("--workers", type=int, default=2, help="threads of the pipeline, and its connections")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="smb.", dir=cache_folder()) as folder:
        drive = Path(folder, "drive")
        drive.mkdir()
        convert = ["qemu-img", "convert", "-O", "vhdx", "-o", "subformat=dynamic"]
        subprocess.run([*convert, "-f", "raw", str(chosen.image), str(drive / _FILE)], check=True)
        machine = describe(Path(folder))
        found = [
            measured(Path(folder), drive, is_encrypted=encrypted, rounds=chosen.rounds, workers=chosen.workers)
            for encrypted in (False, True)
        ]
    text = "\n".join([as_markdown(found), "", _circumstances(found[0].file_bytes, chosen, machine)])
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "smb", text)


def measured(folder: Path, drive: Path, *, is_encrypted: bool, rounds: int, workers: int) -> Protection:
    """Copy and take in, in turns, so that both meet the same machine."""
    size = (drive / _FILE).stat().st_size
    copies, backups = [], []
    with SambaServer(folder / f"smbd-{is_encrypted}", {"D": drive}, requires_encryption=is_encrypted) as server:
        for number in range(rounds):
            copies.append(seconds(partial(_copy, server, folder / "copy")))
            place = folder / f"repository-{is_encrypted}-{number}"
            with TrialRepository(place) as repository:
                backups.append(seconds(partial(_take, server, repository, workers)))
            shutil.rmtree(place)
    name = "encrypted" if is_encrypted else "signed"
    return Protection(name=name, file_bytes=size, copies_s=copies, backups_s=backups)


def as_markdown(found: Sequence[Protection]) -> str:
    """The table and whether the goal is met."""
    lines = [
        "| Answers | Plain copy (smbclient) | Whole pipeline | Pipeline by copy |",
        "|---|--:|--:|--:|",
    ]
    for one in found:
        copy, backup = median(one.copies_s), median(one.backups_s)
        lines.append(
            f"| {one.name} | {copy:.2f} s, {one.file_bytes / 1e6 / copy:,.0f} MB/s "
            f"| {backup:.2f} s, {one.file_bytes / 1e6 / backup:,.0f} MB/s | {one.ratio:.2f} |"
        )
    worst = min(one.ratio for one in found)
    return "\n".join([*lines, "", f"The goal is {GOAL}: {'met in both ways' if worst >= GOAL else 'not met'}."])


def _circumstances(file_bytes: int, chosen: argparse.Namespace, machine: MachineFigures) -> str:
    when = datetime.now(UTC).date().isoformat()
    return (
        f"`python -m benchmarks.smb` with {file_bytes / 1e6:,.0f} MB of VHDX, {when}, medians of {chosen.rounds} "
        f"rounds, {chosen.workers} workers; {machine.processors} processors ({machine.processor}), load before "
        f"{machine.load_before:.1f}; smbd, smbclient and Atesta on one machine."
    )


def seconds(work: Callable[[], None]) -> float:
    """How long it takes."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def _copy(server: SambaServer, target: Path) -> None:
    """By another program, durable at its end."""
    command = ["smbclient", "//127.0.0.1/D$", "-p", str(server.port), "-U", server.user, "-c", f"get {_FILE} {target}"]
    environment = {**os.environ, "PASSWD": server.password}
    subprocess.run(command, check=True, env=environment, capture_output=True)
    with target.open("rb") as file:
        os.fsync(file.fileno())
    target.unlink()


def _take(server: SambaServer, repository: TrialRepository, workers: int) -> None:
    login = SmbLogin(username=server.user, password=server.password, port=server.port)
    shares = SmbShares(login, connections_max=workers)
    with HostFiles(HostPaths("127.0.0.1"), shares, FileSource, open_image_with_parents) as files:
        repository.take_disks([(lambda: files.disk(f"D:\\{_FILE}"), _FILE)], workers)


if __name__ == "__main__":
    main()
