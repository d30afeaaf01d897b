"""``atesta prune``: give back the room of what no restore point needs."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_seconds, human_size, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import Session, session_of, ship_history, told
from domain.errors import DamagedDataError
from domain.model.prune_plan import PrunePlan
from domain.workflows.prune_run import PruneSummary
from domain.workflows.prune_survey import Survey


def run(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would come back.")] = False,
    repack_below: Annotated[
        float | None,
        typer.Option(
            "--repack-below",
            min=0,
            max=100,
            metavar="PERCENT",
            help="Rewrite packs of which less than this is needed; [prune] repack_below_percent when not given.",
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Delete what no restore point needs any more, and rewrite packs that hold too much of it.

    Safe beside backups, verifications and restores, and safe to kill: the next prune goes on. What a running backup may
    refer to stays until a prune after it. Needs room for some 300 MB; for 5 % of what is stored, or 1 GiB if that is
    more, while a running backup keeps the old packs.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        vault = session.vault(atesta)
        with TerminalProgress(session.err) as progress:
            workflow = atesta.prune_workflow(vault, progress, repack_below)
            found = workflow.forecast() if dry_run else workflow.prune()
        if isinstance(found, Survey):
            _tell_forecast(session, found, json=json)
            missing, damaged = found.marking.missing_chunks, []
        else:
            _tell_summary(session, found, json=json)
            ship_history(session, atesta, vault)
            missing, damaged = found.missing_chunks, found.damaged
        _complain(missing, damaged)


def _complain(missing_chunks: int, damaged: list[str]) -> None:
    """Raise DamagedDataError, after everything else was done, for what could not be read."""
    if missing_chunks:
        raise DamagedDataError(
            f"{missing_chunks} chunks that restore points need are not stored.",
            next_step="`atesta verify` says which points they belong to.",
        )
    if damaged:
        raise DamagedDataError(
            f"{len(damaged)} packs could not be read; they stay as they are, the rest was done.",
            where=damaged[0],
            next_step="Bring them back from a copy of the repository.",
        )


def _tell_forecast(session: Session, survey: Survey, *, json: bool) -> None:
    plan = survey.plan
    before = human_size(sum(use.pack_bytes for use in plan.repack))
    if json:
        print_json({"dry_run": True, "points": survey.points, **_planned(plan)})
        return
    _print_rows(
        session,
        f"{human_size(plan.freed_bytes)} of {human_size(plan.stored_bytes)} would come back.",
        (
            ("needed", f"{plan.chunks_live} of {plan.chunks_total} chunks, by {survey.points} points"),
            ("delete", f"{len(plan.retire) + len(plan.delete)} packs, {human_size(_bytes_to_delete(plan))}"),
            ("rewrite", f"{len(plan.repack)} packs, {before} to about {human_size(plan.rewritten_bytes)}"),
            ("keep", f"{plan.packs_kept} packs"),
        ),
    )


def _tell_summary(session: Session, summary: PruneSummary, *, json: bool) -> None:
    if json:
        print_json(_described(summary))
        return
    plan = summary.plan
    rows = [
        ("needed", f"{plan.chunks_live} of {plan.chunks_total} chunks, by {summary.points} points"),
        ("deleted", f"{summary.packs_deleted} packs, {human_size(summary.deleted_bytes)}"),
        (
            "rewritten",
            f"{summary.packs_repacked} packs into {summary.packs_written}, {human_size(summary.written_bytes)}",
        ),
        ("time", human_seconds(summary.seconds)),
    ]
    if summary.packs_reinstated:
        rows.append(("brought back", f"{summary.packs_reinstated} packs that a backup had begun to use"))
    if summary.packs_waiting:
        waiting = f"{summary.packs_waiting} packs, {human_size(summary.waiting_bytes)}"
        rows.append(("waiting", f"{waiting}: a running backup may use them; a later prune deletes them"))
    if summary.packs_left:
        rows.append(("left", f"{summary.packs_left} packs to a later prune: rewriting them now would need more room"))
    _print_rows(session, f"{human_size(max(0, summary.freed_bytes))} came back.", tuple(rows))


def _print_rows(session: Session, headline: str, rows: tuple[tuple[str, str], ...]) -> None:
    session.out.print(Text(headline, style="bold"))
    for label, value in rows:
        session.out.print(Text(f"  {label:<13} {cleaned(value)}"), soft_wrap=True)


def _bytes_to_delete(plan: PrunePlan) -> int:
    return sum(use.pack_bytes for use in (*plan.retire, *plan.delete))


def _planned(plan: PrunePlan) -> dict[str, object]:
    return {
        "packs": plan.packs_total,
        "packs_to_delete": len(plan.retire) + len(plan.delete),
        "packs_to_rewrite": len(plan.repack),
        "packs_to_keep": plan.packs_kept,
        "chunks": plan.chunks_total,
        "chunks_live": plan.chunks_live,
        "stored_bytes": plan.stored_bytes,
        "dead_bytes": plan.dead_bytes,
        "bytes_to_rewrite": plan.rewritten_bytes,
        "bytes_to_free": plan.freed_bytes,
    }


def _described(summary: PruneSummary) -> dict[str, object]:
    return {
        "dry_run": False,
        "points": summary.points,
        **_planned(summary.plan),
        "packs_deleted": summary.packs_deleted,
        "packs_rewritten": summary.packs_repacked,
        "packs_written": summary.packs_written,
        "packs_waiting": summary.packs_waiting,
        "packs_left": summary.packs_left,
        "packs_reinstated": summary.packs_reinstated,
        "deleted_bytes": summary.deleted_bytes,
        "written_bytes": summary.written_bytes,
        "waiting_bytes": summary.waiting_bytes,
        "freed_bytes": summary.freed_bytes,
        "missing_chunks": summary.missing_chunks,
        "damaged": summary.damaged,
        "seconds": summary.seconds,
    }
