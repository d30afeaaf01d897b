"""The file ``atesta.toml``: what it may say, how it is found, read and checked, and the one that ``init`` writes."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Annotated, Literal

import msgspec

from domain.errors import BadInputError, EnvironmentTroubleError
from domain.ports.mail import checked_mailbox

FILE_NAME = "atesta.toml"
ENVIRONMENT_VARIABLE = "ATESTA_CONFIG"
_SYSTEM_FILE = Path("/etc/atesta") / FILE_NAME
_FILE_BYTES_MAX = 1 << 20
_SIZE = re.compile(r"(\d+)\s*(|[KMGT]i?B?|B)", re.IGNORECASE)

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]


class RepositorySection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the repository is, and the file that holds its passphrase."""

    folder: str = "repository"
    state_folder: str | None = None
    passphrase_file: str | None = None


class SourcesSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where machines come from."""

    exports: tuple[str, ...] = ()


class BackupSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How machines are backed up."""

    exclude_swap: bool = True
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    verify: bool = False
    compare_source_every: Annotated[int, msgspec.Meta(ge=0)] = 0
    audit_samples: Annotated[int, msgspec.Meta(ge=0, le=1024)] = 16


class LabSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The bounds of a boot in the lab."""

    memory: str = "1 GiB"
    processors: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    minutes_max: Annotated[float, msgspec.Meta(gt=0, le=240)] = 15
    folder: str | None = None


class SmtpSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mail server. The password is in the environment (``ATESTA_SMTP_PASSWORD``) or a file, never here."""

    host: str = "localhost"
    port: Port = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    timeout_seconds: Annotated[float, msgspec.Meta(gt=0, le=600)] = 30


class MailSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where reports go."""

    transport: Literal["folder", "smtp"] = "folder"
    folder: str = "mail"
    sender: str = "atesta@localhost"
    recipients: tuple[str, ...] = ("operator@localhost",)
    redact: bool = False
    smtp: SmtpSection = SmtpSection()


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of ``atesta.toml``. Relative paths start at the folder of the file, ``base``."""

    repository: RepositorySection = RepositorySection()
    sources: SourcesSection = SourcesSection()
    backup: BackupSection = BackupSection()
    lab: LabSection = LabSection()
    mail: MailSection = MailSection()


class LoadedConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """A configuration and the folder that its relative paths start at."""

    content: Configuration
    base: Path

    def path(self, text: str) -> Path:
        """A path of the configuration, absolute."""
        return self.base / Path(text).expanduser()

    @property
    def repository_folder(self) -> Path:
        """The folder of the pack store."""
        return self.path(self.content.repository.folder)

    @property
    def state_folder(self) -> Path:
        """The folder of the event store, the projections, the outbox and the pictures."""
        return self.path(self.content.repository.state_folder or f"{self.content.repository.folder}/state")

    @property
    def lab_folder(self) -> Path:
        """Where recovered disks and overlays live while a machine is in the lab."""
        return self.path(self.content.lab.folder) if self.content.lab.folder else self.state_folder / "lab"

    @property
    def workers(self) -> int:
        """How many threads take disks in."""
        return self.content.backup.workers or max(2, min(8, os.cpu_count() or 2))


def find_configuration(given: Path | None) -> Path:
    """The file to read: as given, else ``ATESTA_CONFIG``, ``./atesta.toml`` or ``/etc/atesta/atesta.toml``.

    Raises BadInputError when there is none.
    """
    named = os.environ.get(ENVIRONMENT_VARIABLE)
    candidates = [given] if given else [Path(named)] if named else [Path(FILE_NAME), _SYSTEM_FILE]
    for path in candidates:
        if path.is_file():
            return path
    raise BadInputError(
        "There is no configuration.",
        where=str(candidates[0]),
        next_step="Make one with `atesta init`, or name one with --config.",
    )


def load_configuration(path: Path) -> LoadedConfiguration:
    """Read and check a configuration file.

    Raises BadInputError naming the key that is wrong, EnvironmentTroubleError when the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            text = file.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The configuration cannot be read: {error.strerror}.", where=str(path), next_step="Check its permissions."
        ) from error
    if len(text) > _FILE_BYTES_MAX:
        raise BadInputError("The configuration is absurdly large.", where=str(path))
    try:
        content = msgspec.toml.decode(text, type=Configuration)
        parse_size(content.lab.memory)
        for address in (content.mail.sender, *content.mail.recipients):
            checked_mailbox(address)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInputError(
            f"The configuration is wrong: {error}.", where=str(path), next_step="Correct it; docs/configuration.md."
        ) from error
    return LoadedConfiguration(content=content, base=path.resolve().parent)


def parse_size(text: str) -> int:
    """Bytes in a size such as ``512 MiB`` or ``1 GiB`` (binary units). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write one like 512 MiB")
    unit = match.group(2).upper()[:1]
    return int(match.group(1)) << (10 * ("BKMGT".index(unit) if unit else 0))


def initial_text(repository_folder: str, exports: tuple[str, ...]) -> str:
    """The commented configuration that ``atesta init`` writes."""
    return f"""\
# Atesta's configuration. Relative paths start at the folder of this file.
# All keys: docs/configuration.md. Secrets never stand here.

[repository]
folder = {_toml(repository_folder)}
# The passphrase comes from ATESTA_PASSPHRASE, from this file, or from a prompt:
# passphrase_file = "/etc/atesta/passphrase"

[sources]
# Folders of exported Hyper-V machines and of loose .vhdx, .vhd and raw disks.
exports = [{", ".join(_toml(folder) for folder in exports)}]

[backup]
# Page files, hibernation files and Linux swap need not be stored.
exclude_swap = true
# Boot each new restore point in the lab straight after the backup, and mail the picture.
verify = true

[lab]
memory = "1 GiB"
processors = 2
minutes_max = 15

[mail]
# "folder" writes each mail as .eml and .html into a folder; "smtp" sends it.
transport = "folder"
folder = "mail"
sender = "atesta@localhost"
recipients = ["operator@localhost"]
# Blur the picture of the console: it may show what not every reader should see.
redact = false

# [mail.smtp]
# host = "mail.example.org"
# port = 587
# security = "starttls"    # or "tls"; "none" only without a user
# user = "atesta"
# password_file = "/etc/atesta/smtp-password"    # or ATESTA_SMTP_PASSWORD
"""


def _toml(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(character):04x}" if ord(character) < 32 or ord(character) == 127 else character
        for character in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
