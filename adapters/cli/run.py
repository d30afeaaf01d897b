"""``atesta run``: do what is due, once. A timer starts it; docs/running.md."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Sequence
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text

from adapters.cli.due_jobs import DueJobs
from adapters.cli.presentation import cleaned, human_seconds, human_time, print_error, print_json, print_table
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import SOME_FAILED, Session, session_of, told
from adapters.cli.verify import VERDICT_NOT_BOOTED
from adapters.clock import local_zone
from adapters.composition import Atesta
from domain.errors import AtestaError, BadInputError
from domain.model.due import DueJob, JobKind
from domain.workflows.run_due import (
    FollowUpReport,
    Forecast,
    JobReport,
    JobResult,
    RunDueWorkflow,
    RunSettings,
    RunSummary,
    in_words,
)

_STYLES = {
    JobResult.DONE: "green",
    JobResult.FAILED: "bold red",
    JobResult.NOT_BOOTED: "bold red",
    JobResult.DAMAGED: "bold red",
}


def run(
    context: typer.Context,
    only: Annotated[
        str,
        typer.Option("--only", help="Only these kinds of what is due, with commas: backup,verify,expire,prune,scrub."),
    ] = "",
    dry_run: Annotated[
        bool, typer.Option("--dry-run", "-n", help="Only say what is due and why, and when the rest will be.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Do what is due: backups, verifications, retention, prune and scrub; then deliver mails and write the metrics.

    When what is due stands in [schedule]. Start it from a timer as often as you like: what is not due is left alone.
    One job that fails does not stop the others: then the exit code is 9. It is 8 when a verification did not end with
    BOOTED.
    """
    session = session_of(context)
    with told(session):
        kinds = _kinds(only)
        atesta = session.atesta()
        with TerminalProgress(session.err) as progress:
            due_jobs = DueJobs(atesta, lambda: session.vault(atesta), progress)
            workflow = _workflow(atesta, due_jobs, _Printed(session, quiet=json or dry_run))
            if dry_run:
                _print_forecast(session, workflow.forecast(kinds), json=json)
                return
            _settle_owed(session, due_jobs)
            summary = workflow.run(kinds)
        if json:
            print_json(_described(summary))
        elif not summary.jobs:
            session.out.print("Nothing is due.")
        for trouble in summary.unrecorded:
            session.err.print(Text(f"The history could not be written: {cleaned(str(trouble))}"), soft_wrap=True)
        if summary.some_failed or summary.some_not_booted:
            raise typer.Exit(SOME_FAILED if summary.some_failed else VERDICT_NOT_BOOTED)


def _settle_owed(session: Session, due_jobs: DueJobs) -> None:
    """What killed backups left on hosts comes first; trouble with it keeps no job from being done."""
    try:
        for remark in due_jobs.settle_owed():
            session.err.print(Text(cleaned(remark)), soft_wrap=True)
    except AtestaError as error:
        print_error(session.err, error)


def _workflow(atesta: Atesta, due_jobs: DueJobs, observer: _Printed) -> RunDueWorkflow:
    content = atesta.configuration.content
    return RunDueWorkflow(
        log=atesta.writing_log,
        catalog=atesta.catalog,
        clock=atesta.clock,
        new_id=uuid4,
        turn=atesta.run_turn.held,
        planned=due_jobs.planned,
        jobs=due_jobs.jobs,
        follow_ups=due_jobs.follow_ups,
        observer=observer,
        settings=RunSettings(
            host=socket.gethostname(),
            retry_after=content.schedule.retry,
            zone=content.retention.zone() or local_zone(),
            verify_new=content.backup.verify,
        ),
    )


class _Printed:
    """Tells of each job in lines of their own, at once: they are read in a journal as often as on a terminal."""

    def __init__(self, session: Session, *, quiet: bool) -> None:
        self._session = session
        self._quiet = quiet

    def begun(self, job: DueJob) -> None:
        """Say what begins, and why."""
        if not self._quiet:
            self._session.out.print(Text(f"{cleaned(in_words(job))}: begins, {cleaned(job.reason)}"), soft_wrap=True)

    def ended(self, report: JobReport) -> None:
        """Say what came of it; errors go to standard error."""
        outcome = report.outcome
        failed = outcome.result in (JobResult.FAILED, JobResult.DAMAGED)
        if self._quiet and not failed:
            return
        line = Text.assemble(
            f"{cleaned(in_words(report.job))}: ",
            (outcome.result.value, _STYLES.get(outcome.result, "")),
            f" after {human_seconds(report.seconds)}, {cleaned(outcome.said)}",
        )
        (self._session.err if failed else self._session.out).print(line, soft_wrap=True)
        if report.fault is not None:
            self._session.err.print(Text("".join(traceback.format_exception(report.fault))), soft_wrap=True)

    def followed_up(self, report: FollowUpReport) -> None:
        """Say what came of it, when there is something to say."""
        if report.said and (report.error or not self._quiet):
            console = self._session.err if report.error else self._session.out
            console.print(Text(f"{report.name}: {cleaned(report.said)}"), soft_wrap=True)


def _kinds(only: str) -> frozenset[JobKind]:
    if not only:
        return frozenset(JobKind)
    try:
        return frozenset(JobKind(word.strip().lower()) for word in only.split(","))
    except ValueError as error:
        raise BadInputError(
            "There is no such kind of work.",
            where=repr(only),
            next_step=f"Name some of {', '.join(JobKind)}, with commas between them.",
        ) from error


def _print_forecast(session: Session, forecasts: Sequence[Forecast], *, json: bool) -> None:
    if json:
        print_json(
            [
                {
                    "job": one.planned.subject.kind,
                    "machine": one.planned.name,
                    "machine_id": one.planned.subject.machine_id,
                    "schedule": str(one.planned.schedule),
                    "due": bool(one.reason),
                    "reason": one.reason,
                    "next_at": one.next_at,
                    "last_succeeded_at": one.last.succeeded_at,
                    "last_failed_at": one.last.failed_at,
                }
                for one in forecasts
            ]
        )
        return
    print_table(
        session.out,
        ("JOB", "MACHINE", "SCHEDULE", "DUE", "WHY"),
        (
            (
                one.planned.subject.kind,
                one.planned.name or "all",
                str(one.planned.schedule),
                "now" if one.reason else human_time(one.next_at) if one.next_at else "never",
                one.reason or _last_in_words(one),
            )
            for one in forecasts
        ),
    )


def _last_in_words(forecast: Forecast) -> str:
    last = forecast.last
    if last.failed_at is not None:
        return f"the last try failed at {human_time(last.failed_at)}"
    return f"last at {human_time(last.succeeded_at)}" if last.succeeded_at is not None else ""


def _described(summary: RunSummary) -> dict[str, object]:
    return {
        "jobs": [
            {
                "job": report.job.subject.kind,
                "machine": report.job.name,
                "machine_id": report.job.subject.machine_id,
                "reason": report.job.reason,
                "result": report.outcome.result,
                "said": report.outcome.said,
                "started_at": report.started_at,
                "seconds": report.seconds,
            }
            for report in summary.jobs
        ],
        "follow_ups": [
            {"name": report.name, "said": report.said, "failed": report.error is not None}
            for report in summary.follow_ups
        ],
        "unrecorded": [str(trouble) for trouble in summary.unrecorded],
    }
