"""Which machines and which restore point a person means."""

from __future__ import annotations

from collections.abc import Sequence

from domain.errors import BadInputError
from domain.model.machines import Machine, matches
from domain.model.point_names import ById, parse_point_name
from domain.ports.catalog import RestorePoint
from domain.workflows.point_use import expired_error


def select_machines(machines: Sequence[Machine], patterns: Sequence[str]) -> tuple[Machine, ...]:
    """The machines whose name or id matches any pattern (``*``, ``?``, ``[...]``, case folded); all for no pattern.

    Raises BadInputError for a pattern that matches nothing.
    """
    if not patterns:
        return tuple(machines)
    chosen: dict[str, Machine] = {}
    for pattern in patterns:
        found = [machine for machine in machines if matches(machine, pattern)]
        if not found:
            raise BadInputError(
                "No machine matches.", where=repr(pattern), next_step="`atesta machines` lists what there is."
            )
        chosen.update((machine.machine_id, machine) for machine in found)
    return tuple(chosen.values())


def patterns_without_machine(machines: Sequence[Machine], patterns: Sequence[str]) -> tuple[str, ...]:
    """The patterns that match none of the machines: typing errors, or machines that are gone."""
    return tuple(pattern for pattern in patterns if not any(matches(machine, pattern) for machine in machines))


def select_point(points: Sequence[RestorePoint], text: str) -> RestorePoint:
    """The restore point that ``text`` names, see ``domain.model.point_names``; latest is by commit, not by clock.

    ``points`` may have expired ones among them: they are never chosen, but told when their id is given. Raises
    BadInputError when there is none, or when the name fits several machines or points.
    """
    wanted = parse_point_name(text)
    live = [point for point in points if not point.is_expired]
    if isinstance(wanted, ById):
        found = [point for point in live if point.point_id.hex.startswith(wanted.prefix)]
        if len(found) > 1:
            raise _not_one(text, "Several restore points start like this.")
        if not found:
            _refuse_expired(points, wanted.prefix)
    else:
        found = [
            point
            for point in live
            if point.machine.name.casefold() == wanted.name.casefold()
            or point.machine_id.casefold() == wanted.name.casefold()
        ]
        if len({point.machine_id for point in found}) > 1:
            raise _not_one(text, "Several machines have this name.")
        if wanted.day is not None:
            found = [point for point in found if point.taken_at.astimezone().date() == wanted.day]
    if not found:
        raise _not_one(text, "There is no such restore point.")
    return max(found, key=lambda point: point.sequence)


def _refuse_expired(points: Sequence[RestorePoint], prefix: str) -> None:
    for point in points:
        if point.expired_at is not None and point.point_id.hex.startswith(prefix):
            raise expired_error(point.short_id, point.expired_at, point.expired_reason)


def _not_one(text: str, what: str) -> BadInputError:
    return BadInputError(what, where=repr(text), next_step="`atesta points` lists them; use the short id.")
