"""``atesta health``: one line and an exit code for monitoring programs of the Nagios family."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.cli.presentation import cleaned, print_json_line
from adapters.cli.session import session_of
from domain.errors import AtestaError, DamagedDataError
from domain.model.condition import Condition
from domain.model.health import Finding, Health, HealthLevel, judge_health

_FINDINGS_SHOWN_MAX = 8
_FINDING_LENGTH_MAX = 110


def run(context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Judge the repository in one line: backup and verdict ages, failures, damage, mails, free space. Limits: [health].

    Needs no passphrase. The exit codes of this command are its own: 0 OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN.
    """
    try:
        atesta = session_of(context).atesta()
        condition = atesta.condition()
        health = judge_health(condition, atesta.configuration.content.health.limits(atesta.catalog.machines()))
    except DamagedDataError as error:
        _tell_instead(HealthLevel.CRITICAL, str(error), json=json)
    except AtestaError as error:
        _tell_instead(HealthLevel.UNKNOWN, str(error), json=json)
    except Exception as fault:  # noqa: BLE001 - exit code 1 would read as a warning
        _tell_instead(HealthLevel.UNKNOWN, f"unexpected fault, {type(fault).__name__}: {fault}", json=json)
    else:
        if json:
            print_json_line(_described(health, condition))
        else:
            typer.echo(_line(health, condition))
        raise typer.Exit(int(health.level))


def _tell_instead(level: HealthLevel, what: str, *, json: bool) -> None:
    """Tell what keeps the repository from being judged."""
    if json:
        print_json_line({"level": level.name, "findings": [], "error": what})
    else:
        typer.echo(f"ATESTA {level.name}: {_in_one_line(what)}")
    raise typer.Exit(int(level))


def _line(health: Health, condition: Condition) -> str:
    """What is wrong, then what the Nagios family reads as performance data."""
    points = sum(machine.points for machine in condition.machines)
    sentence = "; ".join(_in_words(finding) for finding in health.findings[:_FINDINGS_SHOWN_MAX])
    more = len(health.findings) - _FINDINGS_SHOWN_MAX
    if more > 0:
        sentence += f"; and {more} more"
    figures = (
        f"machines={len(condition.machines)} points={points} stored={condition.stored_bytes}B "
        f"damaged_chunks={condition.damaged_chunks} mails={condition.mails.waiting}"
    )
    told = sentence or f"{len(condition.machines)} machines, {points} restore points"
    return f"ATESTA {health.level.name}: {told} | {figures}"


def _in_words(finding: Finding) -> str:
    what = _in_one_line(finding.what)
    if len(what) > _FINDING_LENGTH_MAX:
        what = what[:_FINDING_LENGTH_MAX].rstrip() + "…"
    return f"{_in_one_line(finding.subject)}: {what}"


def _in_one_line(text: str) -> str:
    """A bar would begin the performance data, and a line break would end the line."""
    return cleaned(" ".join(text.split())).replace("|", "/")


def _described(health: Health, condition: Condition) -> dict[str, object]:
    return {
        "level": health.level.name,
        "at": condition.at,
        "findings": [
            {"level": finding.level.name, "subject": finding.subject, "what": finding.what}
            for finding in health.findings
        ],
        "machines": len(condition.machines),
        "points": sum(machine.points for machine in condition.machines),
        "stored_bytes": condition.stored_bytes,
        "damaged_chunks": condition.damaged_chunks,
        "mails_waiting": condition.mails.waiting,
    }
