"""``atesta scrub``: reread what is stored, and say what is damaged and whom that touches."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.damage import described_touched, print_touched
from adapters.cli.presentation import cleaned, human_seconds, human_size, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import Session, session_of, told
from adapters.configuration import ScrubSection, parse_rate, parse_size
from domain.errors import BadInputError, DamagedDataError
from domain.workflows.scrub import ScrubForecast
from domain.workflows.scrub_budget import ScrubLimits
from domain.workflows.scrub_run import FoundDamage, ScrubSummary
from domain.workflows.touched import TouchedPoint

_SHOWN_MAX = 20


def run(
    context: typer.Context,
    keyed: Annotated[
        bool | None,
        typer.Option("--keyed/--keyless", help="Also open every frame and rehash every chunk; needs the passphrase."),
    ] = None,
    size: Annotated[str | None, typer.Option("--bytes", metavar="SIZE", help="Read at most this, as in 50GiB.")] = None,
    minutes: Annotated[float | None, typer.Option("--minutes", min=0.01, help="Read for at most so long.")] = None,
    rate: Annotated[str | None, typer.Option("--rate", metavar="RATE", help="Read no faster, as in 100MiB/s.")] = None,
    damaged: Annotated[bool, typer.Option("--damaged", help="Look only at packs whose damage is known.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say how much there is to read.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Reread packs, those never read first, then the oldest look; [scrub] has the defaults of the budget.

    Without --keyed nobody is asked for the passphrase; if it is at hand it is used to tell what damage touches. Safe
    beside backups and to kill; the next scrub goes on. Ends with 4 when there is damage that is not healed.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        section = atesta.configuration.content.scrub
        limits = _limits(section, size, minutes, rate)
        with_key = section.keyed if keyed is None else keyed
        vault = None
        if not dry_run:
            vault = session.vault(atesta) if with_key else session.vault_without_asking(atesta)
        with TerminalProgress(session.err) as progress:
            workflow = atesta.scrub_workflow(vault, progress)
            if dry_run:
                _tell_forecast(session, workflow.forecast(only_damaged=damaged), limits, json=json)
                return
            summary = workflow.scrub(limits, keyed=with_key, only_damaged=damaged)
        touched = atesta.touched_points(vault) if vault is not None and summary.open_damage else ()
        if json:
            print_json(_described(summary, touched, has_key=vault is not None))
        else:
            _tell(session, summary, touched, has_key=vault is not None)
        _complain(summary, touched, has_key=vault is not None)


def _limits(section: ScrubSection, size: str | None, minutes: float | None, rate: str | None) -> ScrubLimits:
    size, rate = size or section.bytes, rate or section.rate
    minutes = section.minutes if minutes is None else minutes
    try:
        return ScrubLimits(
            bytes_max=parse_size(size) if size else None,
            seconds_max=minutes * 60 if minutes is not None else None,
            bytes_per_second=parse_rate(rate) if rate else None,
        )
    except ValueError as error:
        raise BadInputError(f"The budget is wrong: {error}.", next_step="See `atesta scrub --help`.") from error


def _tell_forecast(session: Session, forecast: ScrubForecast, limits: ScrubLimits, *, json: bool) -> None:
    if json:
        print_json({"dry_run": True, "packs": forecast.packs, "bytes": forecast.size_bytes})
        return
    reads = min(forecast.size_bytes, limits.bytes_max or forecast.size_bytes)
    session.out.print(
        Text(f"Would read up to {human_size(reads)} of {human_size(forecast.size_bytes)} in {forecast.packs} packs.")
    )


def _tell(session: Session, summary: ScrubSummary, touched: tuple[TouchedPoint, ...], *, has_key: bool) -> None:
    speed = summary.read_bytes / summary.seconds if summary.seconds > 0 else 0.0
    rows = [
        ("read", f"{summary.packs_read} packs, {human_size(summary.read_bytes)}, {human_size(speed)}/s"),
        ("looked at", "names, frames and chunks" if summary.keyed else "names"),
        ("time", human_seconds(summary.seconds)),
        ("left", _left(summary)),
    ]
    if summary.whole_again:
        rows.append(("whole again", f"{len(summary.whole_again)} packs that were damaged"))
    if summary.packs_unnamed:
        rows.append(("unnamed", f"{summary.packs_unnamed} packs that no event names; the next prune takes them over"))
    session.out.print(Text(_headline(summary), style="bold"))
    for label, value in rows:
        session.out.print(Text(f"  {label:<13} {value}"), soft_wrap=True)
    for found in summary.damaged[:_SHOWN_MAX]:
        session.out.print(Text(f"  {_sentence(found)}"), soft_wrap=True)
    if len(summary.damaged) > _SHOWN_MAX:
        session.out.print(Text(f"  and {len(summary.damaged) - _SHOWN_MAX} more; `--json` lists all"))
    if has_key and summary.open_damage:
        print_touched(session.out, touched)


def _headline(summary: ScrubSummary) -> str:
    """One sentence; damage that is healed is no reason for alarm, and still damage."""
    if summary.open_damage:
        return f"{_are_damaged(len(summary.open_damage))}."
    if summary.damaged:
        return "All damage that was found is healed; a prune removes the damaged packs."
    return "What was read is as it was written."


def _left(summary: ScrubSummary) -> str:
    if not summary.packs_left:
        return "nothing: every pack was looked at"
    runs = -(-summary.left_bytes // max(1, summary.read_bytes))
    scrubs = "1 more scrub" if runs == 1 else f"{runs} more scrubs"
    return f"{summary.packs_left} packs, {human_size(summary.left_bytes)}: {scrubs} like this one"


def _are_damaged(packs: int) -> str:
    return "1 pack is damaged" if packs == 1 else f"{packs} packs are damaged"


def _points(count: int) -> str:
    return "1 restore point" if count == 1 else f"{count} restore points"


def _sentence(found: FoundDamage) -> str:
    state = "missing" if found.damage.missing else "damaged"
    end = " Everything of it that was lost is healed; it waits for a prune." if found.waits_for_prune else ""
    return f"Pack {found.pack_id.hex()} is {state}: {cleaned(found.damage.what)}.{end}"


def _complain(summary: ScrubSummary, touched: tuple[TouchedPoint, ...], *, has_key: bool) -> None:
    """Raise DamagedDataError for damage that is not healed."""
    if not summary.open_damage:
        return
    step = "Back the machines up again: what they still have is healed. Or bring the packs back from a copy."
    if not has_key:
        step = "`atesta scrub --keyed --damaged` names the restore points that it touches. " + step
    raise DamagedDataError(
        _are_damaged(len(summary.open_damage)) + (f", which touches {_points(len(touched))}." if has_key else "."),
        where=f"pack {summary.open_damage[0].pack_id.hex()}",
        next_step=step,
    )


def _described(summary: ScrubSummary, touched: tuple[TouchedPoint, ...], *, has_key: bool) -> dict[str, object]:
    return {
        "dry_run": False,
        "scrub_id": summary.scrub_id.hex,
        "keyed": summary.keyed,
        "packs_read": summary.packs_read,
        "read_bytes": summary.read_bytes,
        "seconds": summary.seconds,
        "packs_left": summary.packs_left,
        "left_bytes": summary.left_bytes,
        "packs_unnamed": summary.packs_unnamed,
        "whole_again": [pack_id.hex() for pack_id in summary.whole_again],
        "damaged": [
            {
                "pack": found.pack_id.hex(),
                "missing": found.damage.missing,
                "what": found.damage.what,
                "chunks": len(found.damage.chunk_ids) // 32,
                "examined": found.damage.examined,
                "waits_for_prune": found.waits_for_prune,
            }
            for found in summary.damaged
        ],
        "touched": described_touched(touched) if has_key else None,
    }
