"""The transport that needs no setting up: mails as files in a local folder, each with a preview for the browser."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from pathlib import Path

from adapters.mail.kept_files import keep, private_folder
from adapters.mail.mime import mime_message
from domain.ports.mail import OutgoingMail, checked_key

# The preview holds what a guest chose, escaped; should that ever fail, the browser still runs and loads nothing.
_CONTENT_POLICY = (
    '<meta http-equiv="Content-Security-Policy" '
    "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class FolderTransport:
    """A MailTransport into ``folder``: ``<key>.eml`` for mail programs, ``<key>.html`` for a browser.

    Delivering the same mail again replaces its two files.
    """

    folder: Path

    def deliver(self, mail: OutgoingMail) -> None:
        """Write both files durably. Raises EnvironmentTroubleError when the folder cannot be written."""
        private_folder(self.folder)
        keep(self.preview_path(mail.key), preview_html(mail).encode("utf-8"))
        keep(self.message_path(mail.key), mime_message(mail).as_bytes())

    def message_path(self, key: str) -> Path:
        """Where the mail ``key`` is kept. Raises BadInputError for a key that is none."""
        return self.folder / f"{checked_key(key)}.eml"

    def preview_path(self, key: str) -> Path:
        """Where the preview of the mail ``key`` is kept. Raises BadInputError for a key that is none."""
        return self.folder / f"{checked_key(key)}.html"


def preview_html(mail: OutgoingMail) -> str:
    """The mail's HTML with its pictures inside, so that one file shows everything."""
    html = mail.html.replace("<head>", f"<head>\n{_CONTENT_POLICY}", 1)
    for picture in mail.pictures:
        encoded = base64.b64encode(picture.content).decode("ascii")
        html = html.replace(f'src="cid:{picture.content_id}"', f'src="data:image/{picture.subtype};base64,{encoded}"')
    return html
