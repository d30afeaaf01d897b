"""The section of ``atesta.toml`` about evidence: the recovery times that were promised."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from domain.model.machines import Machine, matches
from domain.model.schedule import parse_interval


class MachineTarget(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Another recovery target for the machines that ``match``, a name, an id or a pattern; the first match counts."""

    match: str
    recovery_target: str

    def __post_init__(self) -> None:
        """Refuse what is no time. Raises ValueError."""
        _checked(self.recovery_target)


class EvidenceSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How long the recovery of a machine may take; without a target, reports say that there is none."""

    recovery_target: str | None = None
    machines: tuple[MachineTarget, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no time. Raises ValueError."""
        if self.recovery_target is not None:
            _checked(self.recovery_target)

    def targets(self, machines: Iterable[Machine]) -> dict[str, float]:
        """The targets in seconds, by machine id, of those machines that have one."""
        found = {machine.machine_id: self._of(machine) for machine in machines}
        return {machine_id: parse_interval(text).total_seconds() for machine_id, text in found.items() if text}

    def _of(self, machine: Machine) -> str | None:
        own = (one.recovery_target for one in self.machines if matches(machine, one.match))
        return next(own, self.recovery_target)


def _checked(text: str) -> None:
    try:
        parse_interval(text)
    except ValueError as error:
        raise ValueError(f"recovery_target: {error}") from error
