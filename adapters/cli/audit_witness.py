"""``atesta audit witness``: heads and proofs from old mails against today's log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from adapters.audit.witness_files import FoundText, texts_in_file
from adapters.auditing import Auditing
from adapters.cli.presentation import cleaned, print_json
from adapters.cli.session import Session, session_of, told
from domain.errors import BadInputError, DamagedDataError
from domain.events.verification import VerdictReached
from domain.workflows.proving import WitnessedProof
from domain.workflows.sealing import WitnessedHead


def run(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="Mails (.eml), mailboxes (mbox, Maildir), folders, or texts; - is standard input."),
    ],
    add: Annotated[
        bool, typer.Option("--add", help="Keep those that hold: `atesta audit check` looks at them from now on.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that today's log extends each signed head in old mails, or show where history was rewritten.

    A report mail brings the proof of its verdict: the log must still have that very entry at its place. Ends with 4
    when something does not fit. Needs no passphrase; changes nothing without --add.
    """
    session = session_of(context)
    with told(session):
        texts = [text for file in files for text in texts_in_file(file)]
        notes = dict.fromkeys(note for text in texts for note in text.heads)
        if not notes:
            raise BadInputError(
                "There is no signed head in these files.", next_step="Heads stand at the end of each report mail."
            )
        auditing = session.atesta().auditing
        heads = auditing.witnessed(list(notes))
        others = len(notes) - len(heads)
        if not heads:
            raise BadInputError(
                f"The {others} signed heads in these files are of other repositories.",
                next_step="Give mails about this repository; `atesta audit head` shows the name of its log.",
            )
        proofs = _witnessed_proofs(auditing, texts)
        if json:
            print_json([*(_described(one) for one in heads), *(_described_proof(one) for one in proofs)])
        else:
            _print_heads(session, heads, others)
            _print_proofs(session, proofs)
        if add:
            kept = auditing.keep_witnessed(list(notes))
            session.err.print(f"{kept} heads are kept that were not before; `atesta audit check` looks at them, too.")
        if any(one.trouble for one in heads) or any(one.trouble for one in proofs):
            raise typer.Exit(DamagedDataError.exit_code)


def _witnessed_proofs(auditing: Auditing, texts: Sequence[FoundText]) -> list[WitnessedProof]:
    witness = auditing.proof_witness()
    found = [
        witness.witness(proof, shown_heads=text.shown_heads, speaks_of=text.speaks_of)
        for text in texts
        for proof in text.proofs
    ]
    return sorted((one for one in dict.fromkeys(found) if auditing.is_ours(one.origin)), key=lambda one: one.index)


def _print_heads(session: Session, heads: Sequence[WitnessedHead], others: int) -> None:
    for one in heads:
        if one.trouble is None:
            session.out.print(Text(f"{one.size} entries: today's log begins with them."))
        else:
            session.out.print(Text(cleaned(f"{one.size} entries: {one.trouble}"), style="bold red"), soft_wrap=True)
    if others:
        session.out.print(Text(f"{others} heads of other repositories were left out.", style="dim"))
    good = max((one.size for one in heads if one.trouble is None), default=0)
    if any(one.trouble for one in heads):
        session.out.print(Text(f"The first {good} entries are proven; what is not as it was comes after them."))


def _print_proofs(session: Session, proofs: Sequence[WitnessedProof]) -> None:
    for one in proofs:
        line = f"Entry {one.index}, event {one.number}, {_subject(one)}: "
        if one.trouble is None:
            session.out.print(Text(cleaned(f"{line}the log still has it.")), soft_wrap=True)
        else:
            session.out.print(Text(cleaned(f"{line}{one.trouble}"), style="bold red"), soft_wrap=True)


def _subject(one: WitnessedProof) -> str:
    if one.verification_id is None:
        return one.topic or "unreadable"
    machine = one.machine_name or "a machine that the history does not name"
    what = f"the verdict {one.word}".rstrip() if one.topic == VerdictReached.TOPIC else "the beginning"
    return f"{what} of verification {one.verification_id.hex[:8]} of {machine}"


def _described(one: WitnessedHead) -> dict[str, object]:
    return {"entries": one.size, "holds": one.trouble is None, "trouble": one.trouble}


def _described_proof(one: WitnessedProof) -> dict[str, object]:
    return {
        "entries": one.size,
        "holds": one.trouble is None,
        "trouble": one.trouble,
        "entry": one.index,
        "event": one.number,
        "kind": one.topic,
        "verification_id": one.verification_id.hex if one.verification_id else None,
        "machine": one.machine_name,
        "verdict": one.word,
    }
