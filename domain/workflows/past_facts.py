"""What the history said at one of its events about policies and damage, which no catalog row keeps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from domain.events.prune import PackDeleted, PackRetired
from domain.events.retention import RetentionApplied
from domain.events.scrub import DamageFound, PackFoundWhole
from domain.ports.event_log import EventLog

_TOPICS = tuple(one.TOPIC for one in (RetentionApplied, DamageFound, PackFoundWhole, PackRetired, PackDeleted))


@dataclass(frozen=True, slots=True)
class RecordedPolicy:
    """The policy of a machine as the event ``number`` names it: the last time that it was applied."""

    number: int
    policy: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PastFacts:
    """``policies`` by machine id; ``damaged_packs`` with the number of the event that found them so.

    A pack counts as damaged until it is found whole, retired or deleted, also when its chunks were stored anew.
    """

    policies: Mapping[str, RecordedPolicy]
    damaged_packs: Mapping[bytes, int]


def past_facts(log: EventLog) -> PastFacts:
    """The facts as of the end of ``log``, in one pass over a few kinds of events."""
    policies: dict[str, RecordedPolicy] = {}
    damaged: dict[bytes, int] = {}
    for numbered in log.events_after(0, topics=_TOPICS):
        match numbered.event:
            case RetentionApplied() as event:
                policies[event.machine_id] = RecordedPolicy(numbered.number, event.policy)
            case DamageFound() as event:
                damaged[event.pack_id] = numbered.number
            case PackFoundWhole() | PackRetired() | PackDeleted() as event:
                damaged.pop(event.pack_id, None)
            case _:
                pass
    return PastFacts(policies=policies, damaged_packs=damaged)
