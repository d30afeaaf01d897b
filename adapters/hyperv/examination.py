"""The examination of a host by `atesta doctor`: questions only, nothing on it is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime

from adapters.hyperv.connection import HostConnection
from adapters.hyperv.doctor_checks import Check, Standing, failed_step, host_checks, machine_checks
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.open_questions import Seen, open_questions
from adapters.hyperv.verb_schemas import MachineReply, ReferencePointReply
from domain.errors import AtestaError, BusyError

_RUNNING = 2

ReachFile = Callable[[str], None]
"""Opens a file of the host, by the host's path, and closes it again. Raises AtestaError."""


def examine(
    host: HyperVHost, connection: HostConnection, now: Callable[[], datetime], reach: ReachFile | None = None
) -> list[Check]:
    """Every check of a host. ``reach`` tries its shares; without it they are not tried.

    Raises what the first question raises: a host that cannot be asked has no checks.
    """
    facts = host.host_facts()
    checks = [_connection(connection), *host_checks(facts, doctor := host.doctor_facts(), now())]
    machines: tuple[MachineReply, ...] = ()
    with _step("machines", "", checks):
        machines = host.list_machines()
        checks.append(Check(name="machines", standing=Standing.OK, said=f"{len(machines)} are listed"))
    points: dict[str, tuple[ReferencePointReply, ...]] = {}
    frozen_reads: dict[str, str] = {}
    for machine in machines:
        with _step("reference points", machine.name, checks):
            points[machine.id] = host.reference_points(machine.id)
        checks += machine_checks(machine, facts, points.get(machine.id, ()))
        if reach is not None:
            checks += _shares(machine, reach)
            with _step("frozen disks", machine.name, checks):
                _read_frozen(host, machine, reach, frozen_reads)
    seen = Seen(facts=facts, doctor=doctor, machines=machines, points=points, frozen_reads=frozen_reads)
    return [*checks, *open_questions(seen)]


@contextmanager
def _step(name: str, subject: str, checks: list[Check]) -> Iterator[None]:
    """Trouble with one question is a failed check, and the others are asked all the same."""
    try:
        yield
    except AtestaError as error:
        checks.append(failed_step(name, subject, error.what, error.next_step))


def _connection(connection: HostConnection) -> Check:
    if connection.is_encrypted:
        return Check(name="connection", standing=Standing.OK, said="TLS, the certificate was verified")
    return Check(
        name="connection",
        standing=Standing.WARNING,
        said=f"without TLS: {connection.transport} encrypts the messages, and proves the host only to itself",
        next_step="Make a listener with a certificate, and set https = true.",
    )


def _shares(machine: MachineReply, reach: ReachFile) -> list[Check]:
    """One file of each drive or share that the machine's disks are on."""
    one_of = {disk.path.rpartition("\\")[0].casefold(): disk.path for disk in reversed(machine.disks)}
    checks = []
    for path in one_of.values():
        standing, said, step = Standing.OK, f"{path} can be opened", ""
        try:
            reach(path)
        except BusyError:
            said = f"{path} is there, and in use as it should be"
        except AtestaError as error:
            standing, said, step = Standing.FAILED, f"{error.what} ({error.where or path})", error.next_step
        checks.append(Check(name="shares", subject=machine.name, standing=standing, said=said, next_step=step))
    return checks


def _read_frozen(host: HyperVHost, machine: MachineReply, reach: ReachFile, frozen_reads: dict[str, str]) -> None:
    """Open what a checkpoint of a person holds still while the machine runs."""
    held = next((one for one in machine.checkpoints if one.kind == "user"), None)
    if machine.state != _RUNNING or held is None:
        return
    for disk in host.checkpoint_disks(machine.id, held.id):
        try:
            reach(disk.path)
        except AtestaError as error:
            frozen_reads[machine.id] = f"{disk.path}: {error.what}"
            return
    frozen_reads[machine.id] = ""
