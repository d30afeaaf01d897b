"""What a host's list says that decides about a machine's snapshot method."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PureWindowsPath

from adapters.hyperv.verb_schemas import HostFacts, IntegrationReply, MachineReply
from domain.model.snapshot_method import BUILD_2016, MachineFacts, PowerState

VSS_INTEGRATION_ID = "5CED1297-4598-4915-A5FC-AD21BB4D02A4"
TRACKING_VERSION = (6, 2)
"""The first configuration version whose changes are tracked, by two vendors' documents; [W32] does not say."""
BUSY_STATUS = {
    32768: "a checkpoint of it is being taken",
    32769: "a checkpoint is being applied to it",
    32770: "a checkpoint of it is being removed",
    32772: "its disks are being merged",
    32773: "it is being exported",
    32774: "it is being moved",
}
_POWER = {
    2: PowerState.RUNNING,
    3: PowerState.OFF,
    6: PowerState.SAVED,
    9: PowerState.PAUSED,
    32768: PowerState.PAUSED,
    32769: PowerState.SAVED,
}
_VSS_WORKS = frozenset({2, 3})


def facts_of(reply: MachineReply, host: HostFacts) -> MachineFacts:
    """The facts of a machine; its partition tables were not seen yet."""
    return MachineFacts(
        power=power_of(reply),
        vss_trouble=_vss_trouble(reply.integration),
        dynamic_disks=None,
        stray_disks=_stray_disks(reply),
        host_build=build_of(host),
    )


def power_of(reply: MachineReply) -> PowerState:
    """What the machine is doing."""
    return _POWER.get(reply.state, PowerState.CHANGING)


def busy_with(reply: MachineReply) -> str:
    """What the host is doing with the machine, in words; empty for nothing that a backup waits for."""
    return next((BUSY_STATUS[status] for status in reply.status if status in BUSY_STATUS), "")


def is_busy(status: Sequence[int]) -> bool:
    """Whether an OperationalStatus says that the host does something with the machine."""
    return any(one in BUSY_STATUS for one in status)


def build_of(host: HostFacts) -> int:
    """The host's build number; 0 when its version cannot be read, which counts as old."""
    parts = host.os_build.split(".")
    numbers = [int(part) for part in parts if part.isascii() and part.isdigit()]
    return numbers[2] if len(numbers) > 2 else (numbers[0] if len(numbers) == 1 else 0)


def tracks_changes(reply: MachineReply, host: HostFacts) -> bool:
    """Whether the host can keep a reference point of this machine."""
    parts = reply.version.split(".")
    if not all(part.isascii() and part.isdigit() for part in parts):
        return False
    return tuple(map(int, parts)) >= TRACKING_VERSION and build_of(host) >= BUILD_2016


def _vss_trouble(services: tuple[IntegrationReply, ...]) -> str:
    found = [service for service in services if service.id.upper() == VSS_INTEGRATION_ID]
    if not found:
        return "the machine has no VSS integration service"
    if not found[0].enabled:
        return "the VSS integration service is switched off"
    if not found[0].status or found[0].status[0] not in _VSS_WORKS:
        status = found[0].status[0] if found[0].status else "none"
        return f"the guest's VSS integration service does not answer (status {status})"
    return ""


def _stray_disks(reply: MachineReply) -> tuple[str, ...]:
    volume = _volume(reply.snapshot_root)
    if not volume:
        return ()
    return tuple(PureWindowsPath(disk.path).name for disk in reply.disks if _volume(disk.path) != volume)


def _volume(path: str) -> tuple[str, ...]:
    r"""The volume of a path: its drive or share, or the cluster volume below C:\\ClusterStorage."""
    parts = tuple(part.casefold() for part in PureWindowsPath(path).parts)
    return parts[:3] if parts[1:2] == ("clusterstorage",) else parts[:1]
