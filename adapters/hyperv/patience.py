"""How long a host is waited for, and the waiting."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from adapters.hyperv.errors import HostCode, NotOnHostError
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.machine_facts import busy_with, is_busy, power_of
from adapters.hyperv.verb_schemas import MachineReply
from domain.errors import BusyError
from domain.model.snapshot_method import PowerState

_PAUSE_FIRST_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Deadlines in seconds, and what passes the time; both are exchangeable in tests."""

    job_seconds: float = 1800
    idle_seconds: float = 600
    merge_seconds: float = 120
    pause_seconds: float = 2
    sleep: Callable[[float], None] = time.sleep
    monotonic: Callable[[], float] = time.monotonic


class Watch:
    """Looks at one machine until it is as wanted."""

    def __init__(self, host: HyperVHost, machine_id: str, patience: Patience) -> None:
        self._host = host
        self._machine_id = machine_id
        self._patience = patience

    def look(self) -> MachineReply:
        """The machine now. Raises NotOnHostError."""
        for reply in self._host.list_machines(self._machine_id):
            if reply.id.casefold() == self._machine_id.casefold():
                return reply
        raise NotOnHostError(
            "The machine is not on this host any more.",
            code=HostCode.NO_SUCH_MACHINE,
            where=f"{self._host.name}: {self._machine_id}",
            next_step="`atesta machines` shows where it is.",
        )

    def idle(self) -> MachineReply:
        """The machine once the host does nothing with it. Raises BusyError when that takes too long."""
        pauses, end = _pauses(self._patience.pause_seconds), self._patience.monotonic() + self._patience.idle_seconds
        while True:
            reply = self.look()
            doing = busy_with(reply)
            if power_of(reply) is PowerState.CHANGING:
                doing = doing or "it is changing its state"
            if not doing:
                return reply
            if self._patience.monotonic() >= end:
                raise BusyError(
                    f"The machine is not free for a backup: {doing}, and that is not over after "
                    f"{self._patience.idle_seconds:.0f} s.",
                    where=f"{self._host.name}: {reply.name}",
                    next_step="See what the host does with it; the next backup tries again.",
                )
            self._patience.sleep(next(pauses))
            self._wait_while_told_busy(pauses, end)

    def _wait_while_told_busy(self, pauses: Iterator[float], end: float) -> None:
        """Ask only for this machine's status: listing all of a host's machines again and again would be a burden."""
        while self._patience.monotonic() < end and is_busy(self._host.merge_state(self._machine_id).status):
            self._patience.sleep(next(pauses))

    def merged(self) -> bool:
        """Wait a while for the machine's disks to be merged; whether they are."""
        pauses, end = _pauses(self._patience.pause_seconds), self._patience.monotonic() + self._patience.merge_seconds
        while self._host.merge_state(self._machine_id).merging:
            if self._patience.monotonic() >= end:
                return False
            self._patience.sleep(next(pauses))
        return True

    def pause(self) -> None:
        """Let some time pass, so that something that was begun shows."""
        self._patience.sleep(self._patience.pause_seconds)


def _pauses(longest_seconds: float) -> Iterator[float]:
    """Short ones first: most of what a host does is over soon."""
    pause = _PAUSE_FIRST_S
    while True:
        yield min(pause, longest_seconds)
        pause *= 1.5
