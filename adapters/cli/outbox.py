"""``atesta outbox``: the mails that wait, and their delivery."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import human_time, print_json, print_table
from adapters.cli.session import session_of, told
from adapters.cli.verify import print_delivery
from domain.ports.mail import MailState


def run(
    context: typer.Context,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only list; deliver nothing.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Deliver the mails that are due, then list those that wait or were given up. Meant for a timer."""
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        if not dry_run:
            print_delivery(session, atesta, atesta.deliver_reports(), quiet=json)
        open_mails = [mail for mail in atesta.outbox.queued() if mail.state is not MailState.SENT]
        if json:
            print_json(
                [
                    {
                        "key": mail.key,
                        "recipient": mail.recipient,
                        "state": mail.state,
                        "attempts": mail.attempts,
                        "due_at": mail.due_at,
                        "trouble": mail.trouble,
                    }
                    for mail in open_mails
                ]
            )
            return
        if not open_mails:
            session.out.print(Text("No mail waits."))
            return
        print_table(
            session.out,
            ("RECIPIENT", "STATE", "ATTEMPTS>", "NEXT TRY", "TROUBLE"),
            (
                (mail.recipient, mail.state, str(mail.attempts), human_time(mail.due_at), mail.trouble)
                for mail in open_mails
            ),
        )
