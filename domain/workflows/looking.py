"""Gathering the condition of a repository from the projections and the outbox; nothing is opened or written."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from domain.model.activity import ActivityKind
from domain.model.condition import Condition, MachineCondition, MailCondition, SealCondition, SpaceCondition
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import Catalog
from domain.ports.chunk_index import ChunkIndex
from domain.ports.mail import MailState, Outbox
from domain.workflows.sealing import Sealed


def condition_of(
    catalog: Catalog,
    index: ChunkIndex,
    outbox: Outbox,
    space: SpaceCondition | None,
    events_unshipped: int | None,
    now: datetime,
    events_lost: int = 0,
    sealed: Sealed | None = None,
) -> Condition:
    """How everything is now."""
    catalog.catch_up()
    index.catch_up()
    points = catalog.points()
    points_of = Counter(point.machine_id for point in points)
    verified_of = Counter(point.machine_id for point in points if point.word is VerdictWord.BOOTED)
    backups = catalog.latest_completed(ActivityKind.BACKUP)
    verifications = catalog.latest_completed(ActivityKind.VERIFICATION)
    overrides = {
        point.machine_id: f"a person takes it as {point.overridden}: {point.overridden_reason}"
        for point in points
        if point.overridden
        and (last := verifications.get(point.machine_id)) is not None
        and last.point_id == point.point_id
    }
    figures = catalog.figures()
    return Condition(
        at=now,
        machines=tuple(
            MachineCondition(
                machine_id=machine.machine_id,
                name=machine.name,
                points=points_of[machine.machine_id],
                points_verified=verified_of[machine.machine_id],
                last_backup=backups.get(machine.machine_id),
                last_verification=verifications.get(machine.machine_id),
                override=overrides.get(machine.machine_id, ""),
            )
            for machine in catalog.machines()
        ),
        last_runs=catalog.last_runs(),
        mails=_mails(outbox),
        space=space,
        damaged_chunks=index.damaged_count(),
        events=figures.events,
        events_unshipped=events_unshipped,
        events_lost=events_lost,
        owing=tuple(catalog.owing(by_ended_runs=True)),
        packs=figures.packs,
        chunks=figures.chunks,
        stored_bytes=figures.stored_bytes,
        seal=seal_condition(catalog, sealed) if sealed is not None else SealCondition(),
    )


def seal_condition(catalog: Catalog, sealed: Sealed) -> SealCondition:
    """What of a caught-up catalog no signed head covers."""
    if not sealed.has_keys:
        return SealCondition(trouble=sealed.trouble)
    found = catalog.unsealed(sealed.up_to)
    since = found.oldest.ended_at or found.oldest.started_at if found.oldest is not None else None
    return SealCondition(unsealed=found.count, unsealed_since=since, trouble=sealed.trouble)


def _mails(outbox: Outbox) -> MailCondition:
    mails = outbox.queued()
    waiting = [mail for mail in mails if mail.state in (MailState.WAITING, MailState.SENDING)]
    return MailCondition(
        waiting=len(waiting),
        oldest_queued_at=min((mail.queued_at for mail in waiting), default=None),
        given_up=sum(mail.state is MailState.GIVEN_UP for mail in mails),
    )
