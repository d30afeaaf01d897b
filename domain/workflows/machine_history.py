"""Keeping a machine's history: registered once, then relocated or reconfigured."""

from __future__ import annotations

from domain.events.machine import (
    MachineReconfigured,
    MachineRegistered,
    MachineRelocated,
    changes_between,
    machine_stream,
)
from domain.events.stream_rules import MACHINE
from domain.model.machines import Machine
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.workflows.event_stream import EventStream
from domain.workflows.vault import Vault


def record_machine(vault: Vault, log: EventLog, clock: Clock, machine: Machine) -> None:
    """Append what is new about ``machine``; nothing when nothing is."""
    stream_id = machine_stream(vault.repository_id, machine.machine_id)
    events = log.stream(stream_id)
    stream = EventStream.resumed(log, clock, stream_id, MACHINE)
    known: Machine | None = None
    host = ""
    for event in events:
        if isinstance(event, MachineRegistered | MachineReconfigured):
            known, host = event.machine, event.machine.host
        elif isinstance(event, MachineRelocated):
            host = event.host
    if known is None:
        with stream.turn() as place:
            stream.append(MachineRegistered(**place, machine=machine))
        return
    if host != machine.host:
        with stream.turn() as place:
            stream.append(MachineRelocated(**place, host_before=host, host=machine.host))
    changes = changes_between(known, machine)
    if changes:
        with stream.turn() as place:
            stream.append(MachineReconfigured(**place, machine=machine, changes=changes))
