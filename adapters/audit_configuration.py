"""The section of ``atesta.toml`` about heads that are published: where to, besides the report mails."""

from __future__ import annotations

import re

import msgspec

from domain.ports.mail import checked_mailbox

_BUCKET = re.compile(r"(s3|gs|az|abfs|abfss|https)://[^/?#@\s]+(/[^?#\s]*)?")


class PublishSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A folder, a bucket by its URL, and mail addresses outside, which get each head that a run ends with.

    What signs in to the bucket is in the environment, never here.
    """

    folder: str | None = None
    bucket: str | None = None
    mail: tuple[str, ...] = ()

    @property
    def is_nowhere(self) -> bool:
        """Whether heads go nowhere but into report mails."""
        return self.folder is None and self.bucket is None and not self.mail

    def __post_init__(self) -> None:
        """Refuse what is no address. Raises ValueError."""
        if self.bucket is not None and not _BUCKET.fullmatch(self.bucket):
            raise ValueError(f"[audit.publish] bucket: {self.bucket!r} is no URL such as s3://name/folder")
        for address in self.mail:
            try:
                checked_mailbox(address)
            except Exception as error:
                raise ValueError(f"[audit.publish] mail: {address!r} is no mail address") from error
