"""The report of an evidence bundle as one HTML page that loads nothing, escaped, for screen and paper."""

from __future__ import annotations

import base64
import functools
from collections.abc import Mapping

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from adapters.evidence.plots import coverage_plot, recovery_plot, svg_of
from adapters.evidence.report_content import content_of
from adapters.evidence.report_pdf import report_pdf
from domain.workflows.evidence_facts import GOOD, Fact, one_line, runs_in

_PICTURES_MAX = 200


class EvidenceReport:
    """Writes ``report.html`` and ``report.pdf``."""

    def pages(self, facts: Mapping[str, object], pictures: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Both forms; pictures are in the first one only."""
        return {"report.html": report_html(facts, pictures).encode(), "report.pdf": report_pdf(content_of(facts))}


def report_html(facts: Mapping[str, object], pictures: Mapping[str, bytes]) -> str:
    """The page for ``facts``, with the last picture of each machine and those of failures, at most 200."""
    content = content_of(facts)
    plots = [coverage_plot(content.months), recovery_plot(content.months)] if content.months else []
    return (
        _environment()
        .get_template("evidence.html.j2")
        .render(
            content=content,
            plots=[Markup(svg_of(plot)) for plot in plots],  # noqa: S704 - made of months and numbers alone
            pictures=_shown_pictures(runs_in(facts), pictures),
        )
    )


def _shown_pictures(runs: list[Fact], pictures: Mapping[str, bytes]) -> list[tuple[str, str]]:
    kept = [run for run in runs if run.get("picture_digest") in pictures]
    last = {run["machine_id"]: run["number"] for run in kept}
    chosen = [run for run in kept if run["result"] not in GOOD or run["number"] == last[run["machine_id"]]]
    return [(_url(pictures[str(run["picture_digest"])]), _caption(run)) for run in chosen[-_PICTURES_MAX:]]


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
