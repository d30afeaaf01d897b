"""``atesta status``: how the repository is, on one screen."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.damage import described_touched, print_touched
from adapters.cli.points import override_line, verdict_text
from adapters.cli.presentation import cleaned, human_age, human_size, print_json, print_table
from adapters.cli.session import session_of, told
from domain.ports.mail import MailState
from domain.workflows.looking import seal_condition


def run(context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Show the sums of the repository, each machine's latest point and verdict, what runs, and waiting mails."""
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        catalog = atesta.catalog
        catalog.catch_up()
        figures = catalog.figures()
        points = {point.machine_id: point for point in catalog.points()}
        running = catalog.runs(state="running")
        atesta.index.catch_up()
        damaged = atesta.index.damaged_count()
        vault = session.vault_without_asking(atesta) if damaged else None
        touched = atesta.touched_points(vault) if vault is not None else ()
        unshipped, lost = atesta.events_unshipped(), atesta.events_lost()
        waiting = [mail for mail in atesta.outbox.queued() if mail.state in (MailState.WAITING, MailState.SENDING)]
        sealed = atesta.auditing.sealed()
        seal = seal_condition(catalog, sealed)
        if json:
            print_json(
                {
                    "repository": str(atesta.configuration.repository_folder),
                    "machines": figures.machines,
                    "points": figures.points,
                    "points_verified": figures.points_verified,
                    "packs": figures.packs,
                    "chunks": figures.chunks,
                    "stored_bytes": figures.stored_bytes,
                    "events": figures.events,
                    "events_unshipped": unshipped,
                    "events_lost": lost,
                    "runs_failed": figures.runs_failed,
                    "running": [run.machine_name for run in running],
                    "mails_waiting": len(waiting),
                    "sealed_up_to": sealed.up_to,
                    "unsealed": seal.unsealed,
                    "unsealed_since": seal.unsealed_since,
                    "seal_trouble": seal.trouble or None,
                    "chunks_damaged": damaged,
                    "touched": described_touched(touched) if vault is not None or not damaged else None,
                    "latest": [
                        {
                            "machine": point.machine.name,
                            "point_id": point.point_id.hex,
                            "taken_at": point.taken_at,
                            "verdict": point.word,
                            "overridden": point.overridden,
                            "overridden_reason": point.overridden_reason or None,
                            "sealed": point.last_number <= sealed.up_to,
                        }
                        for point in points.values()
                    ],
                }
            )
            return
        out = session.out
        out.print(Text(f"Repository {atesta.configuration.repository_folder}"), soft_wrap=True)
        out.print(
            Text(
                f"{figures.points} points of {figures.machines} machines ({figures.points_verified} verified), "
                f"{human_size(figures.stored_bytes)} in {figures.packs} packs, {figures.chunks} chunks, "
                f"{figures.events} events"
            )
        )
        now = atesta.clock.now()
        print_table(
            out,
            ("MACHINE", "LATEST", "AGE", "VERDICT"),
            (
                (point.machine.name, point.short_id, human_age(point.taken_at, now), verdict_text(point))
                for point in sorted(points.values(), key=lambda point: point.machine.name)
            ),
        )
        for point in points.values():
            if point.overridden:
                out.print(override_line(point), soft_wrap=True)
        for run_ in running:
            out.print(Text(f"Running or interrupted: {cleaned(run_.machine_name)}, {human_age(run_.started_at, now)}"))
        if damaged:
            are = "1 chunk is" if damaged == 1 else f"{damaged} chunks are"
            out.print(Text(f"{are} damaged until a backup heals what it sees again.", style="bold red"))
            if vault is None:
                out.print("  `atesta scrub --keyed --damaged` names the restore points that this touches.")
            else:
                print_touched(out, touched)
        if seal.trouble:
            out.print(Text(cleaned(f"The log is not as it was sealed: {seal.trouble}."), style="bold red"))
            out.print("  `atesta audit check` tells more.")
        if seal.unsealed_since is not None:
            what = f"No signed head covers {seal.unsealed} backups and verifications"
            out.print(Text(f"{what}, the oldest for {human_age(seal.unsealed_since, now)}."), soft_wrap=True)
        if lost:
            out.print(Text(f"The last {lost} events are missing in the event store.", style="bold red"))
            out.print("  Move the state folder aside and run `atesta recover`, which has them.")
        if unshipped:
            how_many = "1 event is" if unshipped == 1 else f"{unshipped} events are"
            out.print(f"{how_many} not in the repository yet; the next backup or verification ships what is new.")
        if waiting:
            out.print(f"{len(waiting)} mails wait; `atesta outbox` delivers them.")
