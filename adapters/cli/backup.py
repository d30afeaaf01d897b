"""``atesta backup``: back machines up, and verify the new points when policy or the caller says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_seconds, human_size, print_error, print_json
from adapters.cli.profile import Profiling, described_profile, print_profile
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import SOME_FAILED, Session, exit_code_of_troubles, session_of, ship_history, told
from domain.errors import AtestaError

if TYPE_CHECKING:
    from adapters.composition import Atesta
    from domain.model.machines import Machine
    from domain.workflows.backup_terms import BackupSummary
    from domain.workflows.vault import Vault


def run(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names, ids or patterns; all machines when none.")] = None,
    verify: Annotated[
        bool | None, typer.Option("--verify/--no-verify", help="Boot each new point in the lab; see [backup] verify.")
    ] = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything, whatever the last restore point has.")] = False,
    compare_source: Annotated[
        bool,
        typer.Option(
            "--compare-source", help="Read the frozen disks again and compare them with what was stored, read back."
        ),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would be backed up.")] = False,
    profile: Annotated[
        bool, typer.Option("--profile", help="Say where the time went, stage by stage, and what held the backup back.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Back up machines: read what changed, store what is new, commit one restore point each.

    The first backup of a machine is a full. Later ones read only what changed where the source can tell, and compare
    everything where it cannot; each restore point is a full all the same.
    """
    session = session_of(context)
    with told(session):
        from domain.workflows.selection import select_machines

        atesta = session.atesta()
        machines = select_machines(session.machines(atesta), names or [])
        if dry_run:
            _print_dry_run(session, machines, json=json)
            return
        vault = session.vault(atesta, meanwhile=atesta.import_backup)
        _settle_owed(session, atesta, vault)
        profiling = Profiling(atesta.configuration.workers) if profile else None
        summaries, failures = _back_up_all(
            session, atesta, vault, machines, profiling, full=full, compare_source=compare_source
        )
        exit_code = ship_history(session, atesta, vault)
        if json:
            print_json([_described(summary, profiling) for summary in summaries])
        else:
            for summary in summaries:
                _print_summary(session, summary)
                if profiling is not None:
                    print_profile(session.out, profiling.profiles[summary.backup_id], summary.read_bytes)
        if atesta.configuration.content.backup.verify if verify is None else verify:
            exit_code = _verify(session, atesta, vault, summaries, quiet=json)
        elif summaries and not json:
            session.out.print(f"Next: `atesta verify {summaries[-1].point_id.hex[:8]}` proves that it boots.")
        if failures:
            exit_code = failures[0].exit_code if not summaries else SOME_FAILED
        elif atesta.source.troubles and not names:
            exit_code = exit_code_of_troubles(atesta, is_some_done=bool(summaries))
        if exit_code:
            raise typer.Exit(exit_code)


def _settle_owed(session: Session, atesta: Atesta, vault: Vault) -> None:
    """First of all, what killed backups left on hosts: of every machine, not of the chosen ones only."""
    if not atesta.owing():
        return
    with TerminalProgress(session.err) as progress:
        workflow = atesta.backup_workflow(vault, progress)
        for remark in workflow.settle_owed(atesta.source):
            session.err.print(Text(cleaned(remark)), soft_wrap=True)


def _back_up_all(
    session: Session,
    atesta: Atesta,
    vault: Vault,
    machines: tuple[Machine, ...],
    profiling: Profiling | None,
    *,
    full: bool,
    compare_source: bool,
) -> tuple[list[BackupSummary], list[AtestaError]]:
    summaries: list[BackupSummary] = []
    failures: list[AtestaError] = []
    with TerminalProgress(session.err) as progress:
        heard = vault if profiling is None else profiling.listening(vault)
        workflow = atesta.backup_workflow(heard, progress, full=full, compare_source=compare_source)
        for machine in machines:
            back_up = partial(workflow.back_up, atesta.source, machine)
            try:
                summaries.append(back_up() if profiling is None else profiling.measured(back_up))
            except AtestaError as error:
                failures.append(error)
                session.err.print(Text(f"{cleaned(machine.name)} was not backed up."))
                print_error(session.err, error)
    return summaries, failures


def _verify(session: Session, atesta: Atesta, vault: Vault, summaries: Sequence[BackupSummary], *, quiet: bool) -> int:
    """Verify the new points; returns the exit code."""
    from adapters.cli.verify import VERDICT_NOT_BOOTED, verify_points
    from domain.model.verdicts import VerdictWord
    from domain.workflows.selection import select_point

    points = [
        select_point(atesta.catalog.points(summary.machine.machine_id), summary.point_id.hex) for summary in summaries
    ]
    outcomes = verify_points(session, atesta, vault, points, quiet=quiet)
    exit_code = ship_history(session, atesta, vault)
    booted = all(outcome.verdict.word is VerdictWord.BOOTED for outcome in outcomes)
    return exit_code if booted else VERDICT_NOT_BOOTED


def _print_summary(session: Session, summary: BackupSummary) -> None:
    rate = summary.read_bytes / summary.seconds if summary.seconds > 0 else 0.0
    rows = (
        ("read", f"{human_size(summary.read_bytes)} of {human_size(summary.size_bytes)} virtual"),
        ("new", f"{human_size(summary.new_bytes)}, compressed to {human_size(summary.stored_bytes)}"),
        ("deduplicated", human_size(summary.duplicate_bytes)),
        ("zero", human_size(summary.zero_bytes)),
        ("excluded", f"{human_size(summary.excluded_bytes)} of swap"),
        ("time", f"{human_seconds(summary.seconds)}, {human_size(rate)}/s"),
        ("consistency", summary.consistency.value),
        *(
            [("compared", f"{human_size(summary.compared_bytes)} with the source: equal")]
            if summary.compared_bytes
            else []
        ),
        ("kind", f"{summary.kind}: {summary.cause}"),
    )
    out = session.out
    out.print(
        Text.assemble(
            (cleaned(summary.machine.name), "bold"), " is backed up as ", (summary.point_id.hex[:8], "bold green")
        )
    )
    for label, value in rows:
        out.print(Text(f"  {label:<13} {value}"))
    for remark in summary.remarks:
        out.print(Text(f"  note          {cleaned(remark)}"))


def _print_dry_run(session: Session, machines: tuple[Machine, ...], *, json: bool) -> None:
    if json:
        print_json([{"id": machine.machine_id, "name": machine.name} for machine in machines])
        return
    for machine in machines:
        size = sum(disk.size_bytes for disk in machine.disks)
        session.out.print(
            Text(f"Would back up {cleaned(machine.name)}: {len(machine.disks)} disks, {human_size(size)} virtual.")
        )


def _described(summary: BackupSummary, profiling: Profiling | None) -> dict[str, object]:
    described = asdict(summary)
    machine = described.pop("machine")
    if profiling is not None:
        described["profile"] = described_profile(profiling.profiles[summary.backup_id], summary.read_bytes)
    return {
        **described,
        "point_id": summary.point_id.hex,
        "backup_id": summary.backup_id.hex,
        "machine": machine["name"],
        "machine_id": machine["machine_id"],
    }
