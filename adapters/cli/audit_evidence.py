"""``atesta audit evidence``: one file for the auditor, which shows what was backed up and tested, and how it ended."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import human_size, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import Session, session_of, told
from adapters.composition import Atesta
from adapters.evidence.archive import archive_of, write_archive
from adapters.evidence.pictures import KeptPictures
from domain.content.evidence import EvidenceRange, instant
from domain.content.signed_note import parse_head, parse_note
from domain.errors import BadInputError, DamagedDataError
from domain.model.machines import Machine
from domain.ports.evidence import SealedLog
from domain.workflows.evidence_bundle import EvidenceBundle, make_evidence
from domain.workflows.evidence_facts import RESULTS, runs_in, sums_line
from domain.workflows.selection import select_machines


def run(
    context: typer.Context,
    since: Annotated[str, typer.Option("--from", help="From the beginning of this day, or from this moment (UTC).")],
    until: Annotated[str, typer.Option("--to", help="Up to the beginning of this day, or to this moment (UTC).")],
    output: Annotated[Path, typer.Option("--output", "-o", help="The file to write.")],
    machine: Annotated[
        str | None, typer.Option("--machine", help="Show the states of one machine's events only.")
    ] = None,
    original_pictures: Annotated[
        bool, typer.Option("--original-pictures", help="Also the pictures as they were captured; large.")
    ] = False,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the file if it is there.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write one file for the auditor: what was backed up and tested in a period, and how it ended.

    It holds the events with the proof that none of the period is missing, pictures, and a report as HTML and PDF. The
    auditor checks it offline with verification/independent/verify_evidence.py. Needs the signing key.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        write_evidence(
            session,
            atesta,
            atesta.auditing.sealed_log(),
            since=since,
            until=until,
            machine=machine,
            target=output,
            originals=original_pictures,
            overwrite=overwrite,
            json=json,
        )


def write_evidence(
    session: Session,
    atesta: Atesta,
    sealed: SealedLog,
    *,
    since: str,
    until: str,
    machine: str | None,
    target: Path,
    originals: bool = False,
    overwrite: bool,
    json: bool,
) -> None:
    """Make a bundle of ``since`` up to ``until``, write it and say what is in it.

    Raises BadInputError for a day that is none, a name that is not one machine's, and a file that is in the way; at the
    end DamagedDataError when pictures are not what was captured: the bundle is written without them.
    """
    if target.exists() and not overwrite:
        raise BadInputError(
            "The file is there already.", where=str(target), next_step="Give another name, or --overwrite."
        )
    atesta.catalog.catch_up()
    machines = atesta.catalog.machines()
    machine_id = _only(machines, machine).machine_id if machine else None
    targets = atesta.configuration.content.evidence.targets(
        one for one in machines if machine_id in (None, one.machine_id)
    )
    about = EvidenceRange(
        origin=parse_head(parse_note(sealed.head()).text).origin,
        since=moment_in(since),
        until=moment_in(until),
        machine_id=machine_id,
        targets=targets,
    )
    # Imported late: laying out PDF takes a library that no other command needs.
    from adapters.evidence.report_page import EvidenceReport

    folder = atesta.configuration.state_folder / "pictures"
    with TerminalProgress(session.err) as progress:
        pictures = KeptPictures(folder, atesta.configuration.workers)
        bundle = make_evidence(about, sealed, EvidenceReport(), pictures, progress, originals=originals)
        progress.begin("writing the bundle", None)
        content = archive_of(bundle.members)
        write_archive(target, content, overwrite=overwrite)
        progress.end()
    if json:
        print_json(_described(about, bundle, target, len(content)))
    else:
        _tell(session, about, bundle, target, len(content))
    if bundle.altered:
        raise DamagedDataError(
            f"{len(bundle.altered)} console pictures are not what was captured; the bundle was written without them.",
            where=str(folder / f"{bundle.altered[0]}.png"),
            next_step="`atesta check` names one; the mails of those verifications have the pictures.",
        )


def moment_in(text: str) -> datetime:
    """A day (its beginning) or a moment, in UTC where it names no zone. Raises BadInputError."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise BadInputError(
            "This is no day.", where=repr(text), next_step="Write one like 2026-01-31 or 2026-01-31T12:00+01:00."
        ) from error
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _only(machines: Sequence[Machine], name: str) -> Machine:
    found = select_machines(machines, [name])
    if len(found) != 1:
        raise BadInputError(
            f"{len(found)} machines match.", where=name, next_step="Name one; `atesta points` shows their names."
        )
    return found[0]


def _tell(session: Session, about: EvidenceRange, bundle: EvidenceBundle, target: Path, size_bytes: int) -> None:
    period = f"{about.since:%Y-%m-%d %H:%M} up to {about.until:%Y-%m-%d %H:%M} UTC"
    session.out.print(Text(f"{target}: {human_size(size_bytes)}, {bundle.events} events, {period}"), soft_wrap=True)
    for what in RESULTS:
        session.out.print(Text(f"  {sums_line(runs_in(bundle.facts), what)}"), soft_wrap=True)
    if bundle.reaches_end_of_log:
        session.out.print(Text("  The signed log ends inside the period: what comes later is not in it."))
    session.out.print(Text("  Give the auditor the public key by another way than this file."))


def _described(about: EvidenceRange, bundle: EvidenceBundle, target: Path, size_bytes: int) -> dict[str, object]:
    return {
        "file": str(target),
        "bytes": size_bytes,
        "from": instant(about.since),
        "to": instant(about.until),
        "machine": about.machine_id,
        "events": bundle.events,
        "pictures": sum(name.endswith(".webp") for name in bundle.members),
        "original_pictures": sum(name.endswith(".png") for name in bundle.members),
        "pictures_altered": list(bundle.altered),
        "reaches_end_of_log": bundle.reaches_end_of_log,
        "sums": [sums_line(runs_in(bundle.facts), what) for what in RESULTS],
    }
