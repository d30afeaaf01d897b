"""The section of ``atesta.toml`` about heads that are published: where to, besides the report mails."""

from __future__ import annotations

import msgspec

from domain.ports.mail import checked_mailbox


class PublishSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder and mail addresses outside, which get each head that a run ends with."""

    folder: str | None = None
    mail: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is no address. Raises ValueError."""
        for address in self.mail:
            try:
                checked_mailbox(address)
            except Exception as error:
                raise ValueError(f"[audit.publish] mail: {address!r} is no mail address") from error
