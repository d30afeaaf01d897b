"""``atesta metrics``: the condition of the repository for Prometheus."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.session import session_of, told
from adapters.metrics_file import exposition
from domain.model.metrics import metrics_of


def run(
    context: typer.Context,
    to: Annotated[
        Path | None, typer.Option("--to", help="Replace this file, for node_exporter's textfile collector.")
    ] = None,
) -> None:
    """Print the metrics of the repository in Prometheus' text format, or write them to a file. Needs no passphrase.

    `atesta run` writes them by itself when [metrics] file names one.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        if to is not None:
            atesta.write_metrics(to)
            return
        sys.stdout.write(exposition(metrics_of(atesta.condition())))
