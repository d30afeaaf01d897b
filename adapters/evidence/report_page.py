"""The report of an evidence bundle as one HTML page that loads nothing, escaped, for screen and paper."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping
from statistics import median

from jinja2 import Environment, PackageLoader, StrictUndefined

from adapters.evidence.requirements import NOT_COVERED, REQUIREMENTS
from domain.workflows.evidence_facts import (
    GOOD,
    RESULTS,
    Fact,
    failure_line,
    lines_of,
    machine_cells,
    one_line,
    runs_in,
    sums_line,
)

_PICTURES_MAX = 200


class HtmlReport:
    """Writes ``report.html``."""

    def pages(self, facts: Mapping[str, object], pictures: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """The one page."""
        return {"report.html": report_html(facts, pictures).encode()}


def report_html(facts: Mapping[str, object], pictures: Mapping[str, bytes]) -> str:
    """The page for ``facts``: every failure, a line for each machine, the last picture of each and of each failure."""
    runs = runs_in(facts)
    machines = sorted({str(run["machine_id"] or "") for run in runs})
    others = facts["others"]
    assert isinstance(others, list)
    return (
        _environment()
        .get_template("evidence.html.j2")
        .render(
            facts=facts,
            sums=[sums_line(runs, what) for what in RESULTS],
            targets=[line for line in lines_of(facts) if line.startswith("Target of ")],
            columns=[f"{what} {result}" for what, results in RESULTS.items() for result in results],
            machines=[_machine(machine_id, runs, facts) for machine_id in machines],
            failures=[_failure(run) for run in runs if run["result"] not in GOOD],
            expired=_counted(others),
            others=[_other(one) for one in others if one["what"] != "restore-point-expired:1"],
            pictures=_shown_pictures(runs, pictures),
            requirements=REQUIREMENTS,
            not_covered=NOT_COVERED,
        )
    )


def _machine(machine_id: str, runs: list[Fact], facts: Mapping[str, object]) -> dict[str, object]:
    own = [run for run in runs if (run["machine_id"] or "") == machine_id]
    times = [time for run in own if isinstance(time := run["recovery_s"], int | float)]
    targets = facts["targets"]
    assert isinstance(targets, Mapping)
    target = targets.get(machine_id)
    return {
        "cells": machine_cells(own),
        "median": f"{median(times):.0f} s" if times else "never measured",
        "longest": f"{max(times):.0f} s" if times else "never measured",
        "target": "no target set" if target is None else f"{target:.0f} s",
        "missed": "" if target is None else sum(time > target for time in times),
    }


def _failure(run: Fact) -> dict[str, object]:
    reasons = run.get("reasons") or [run.get("error") or run.get("reason") or "it has no end in this period"]
    assert isinstance(reasons, list)
    return {"line": failure_line(run), "why": [one_line(str(reason)) for reason in reasons]}


def _counted(others: list[Fact]) -> list[tuple[str, str, int]]:
    """Expired points by policy and reason."""
    counts: dict[tuple[str, str], int] = {}
    for one in others:
        if one["what"] == "restore-point-expired:1":
            key = one_line(str(one["policy"])), one_line(str(one["reason"]))
            counts[key] = counts.get(key, 0) + 1
    return [(*key, count) for key, count in sorted(counts.items())]


def _other(one: Fact) -> str:
    rest = ", ".join(
        f"{name.replace('_', ' ')} {value}"
        for name, value in one.items()
        if name not in ("number", "at", "what", "stream")
    )
    return one_line(f"#{one['number']} {str(one['at'])[:19]}Z {str(one['what']).partition(':')[0]}: {rest}")


def _shown_pictures(runs: list[Fact], pictures: Mapping[str, bytes]) -> list[tuple[str, str]]:
    """The last picture of each machine and those of failures, at most 200, with what they show."""
    last = {run["machine_id"]: run for run in runs if run.get("picture_digest") in pictures}
    chosen = {run["number"]: run for run in last.values()}
    chosen |= {
        run["number"]: run for run in runs if run["result"] not in GOOD and run.get("picture_digest") in pictures
    }
    shown = [chosen[number] for number in sorted(chosen, key=str)][:_PICTURES_MAX]
    return [(_url(pictures[str(run["picture_digest"])]), _caption(run)) for run in shown]


def _caption(run: Fact) -> str:
    return one_line(f"#{run['number']} {run['machine_name']} {str(run['at'])[:10]} {run['result']}")


def _url(webp: bytes) -> str:
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


@functools.cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("adapters.evidence", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
