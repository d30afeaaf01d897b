"""The file ``atesta.toml``: what it may say, how it is found, read and checked, and the one that ``init`` writes."""

from __future__ import annotations

import os
import re
from datetime import timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from adapters.evidence_configuration import EvidenceSection
from adapters.host_configuration import HostSection, check_hosts
from adapters.schedule_configuration import HealthSection, MetricsSection, ScheduleSection
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.model.retention import RetentionPolicy
from domain.ports.mail import checked_mailbox

if TYPE_CHECKING:
    from domain.workflows.retention import RetentionPolicies

FILE_NAME = "atesta.toml"
ENVIRONMENT_VARIABLE = "ATESTA_CONFIG"
_SYSTEM_FILE = Path("/etc/atesta") / FILE_NAME
_FILE_BYTES_MAX = 1 << 20
_SIZE = re.compile(r"(\d+)\s*(|[KMGT]i?B?|B)", re.IGNORECASE)
_SPAN = re.compile(r"(\d+)\s*([hdw])", re.IGNORECASE)
_SPAN_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}

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
    keep_swap_of: tuple[str, ...] = ()
    workers: Annotated[int, msgspec.Meta(ge=1, le=64)] | None = None
    verify: bool = False
    compare_source_every: Annotated[int, msgspec.Meta(ge=0)] = 0
    audit_samples: Annotated[int, msgspec.Meta(ge=0, le=10_000)] = 16


class PruneSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a pack is worth rewriting."""

    repack_below_percent: Annotated[float, msgspec.Meta(ge=0, le=100)] = 70


class ScrubSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much one scrub rereads, and how fast."""

    keyed: bool = False
    bytes: str | None = None
    minutes: Annotated[float, msgspec.Meta(gt=0, le=10080)] | None = None
    rate: str | None = None


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


Count = Annotated[int, msgspec.Meta(ge=0, le=100_000)]


class RetentionRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many restore points of a machine are kept; 0 and "" are rules that are not used."""

    keep_last: Count = 0
    hourly: Count = 0
    daily: Count = 0
    weekly: Count = 0
    monthly: Count = 0
    yearly: Count = 0
    within: str = ""

    def policy(self) -> RetentionPolicy:
        """The rules as a policy. Raises ValueError for a ``within`` that is no time."""
        return RetentionPolicy(
            last=self.keep_last,
            hourly=self.hourly,
            daily=self.daily,
            weekly=self.weekly,
            monthly=self.monthly,
            yearly=self.yearly,
            within=parse_span(self.within) if self.within else timedelta(),
        )


class MachineRetention(RetentionRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Other rules for the machines that ``match``, a name, an id or a pattern."""

    match: str


class RetentionSection(RetentionRules, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The rules for every machine, and for some of them others. ``time_zone`` says when days begin."""

    time_zone: str | None = None
    machines: tuple[MachineRetention, ...] = ()

    def policies(self) -> RetentionPolicies:
        """The policy of each machine. Raises ValueError."""
        from domain.workflows.retention import RetentionPolicies

        overrides = tuple((machine.match, machine.policy()) for machine in self.machines)
        return RetentionPolicies(default=self.policy(), overrides=overrides)

    def zone(self) -> tzinfo | None:
        """The time zone that was named; None for that of this machine. Raises ValueError."""
        if self.time_zone is None:
            return None
        try:
            return ZoneInfo(self.time_zone)
        except (OSError, ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(
                f"{self.time_zone!r} is no time zone of this system; write one like Europe/Berlin"
            ) from error


class AuditSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the private key is that signs heads of the transparency log."""

    signing_key: str = "atesta-signing.key"


class Configuration(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of ``atesta.toml``. Relative paths start at the folder of the file, ``base``."""

    repository: RepositorySection = RepositorySection()
    sources: SourcesSection = SourcesSection()
    host: tuple[HostSection, ...] = ()
    backup: BackupSection = BackupSection()
    prune: PruneSection = PruneSection()
    scrub: ScrubSection = ScrubSection()
    lab: LabSection = LabSection()
    mail: MailSection = MailSection()
    retention: RetentionSection = RetentionSection()
    schedule: ScheduleSection = ScheduleSection()
    health: HealthSection = HealthSection()
    metrics: MetricsSection = MetricsSection()
    audit: AuditSection = AuditSection()
    evidence: EvidenceSection = EvidenceSection()


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
        check_hosts(content.host)
        content.retention.policies()
        content.retention.zone()
        parse_size(content.scrub.bytes or "1")
        parse_rate(content.scrub.rate or "1")
        for address in (content.mail.sender, *content.mail.recipients):
            checked_mailbox(address)
    except (msgspec.MsgspecError, ValueError) as error:
        raise BadInputError(
            f"The configuration is wrong: {error}.", where=str(path), next_step="Correct it; docs/configuration.md."
        ) from error
    return LoadedConfiguration(content=content, base=path.resolve().parent)


def parse_rate(text: str) -> int:
    """Bytes a second in a rate such as ``100MiB/s`` or ``100 MiB``. Raises ValueError."""
    rate = parse_size(text.strip().removesuffix("/s"))
    if not rate:
        raise ValueError(f"{text!r} is no rate; write one like 100MiB/s")
    return rate


def parse_size(text: str) -> int:
    """Bytes in a size such as ``512 MiB`` or ``1 GiB`` (binary units). Raises ValueError."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is no size; write one like 512 MiB")
    unit = match.group(2).upper()[:1]
    return int(match.group(1)) << (10 * ("BKMGT".index(unit) if unit else 0))


def parse_span(text: str) -> timedelta:
    """A time such as ``36 h``, ``30 d`` or ``8 w``, above 0. Raises ValueError."""
    match = _SPAN.fullmatch(text.strip())
    if match is None or not 0 < int(match.group(1)) < 100_000:
        raise ValueError(f"{text!r} is no time; write one like 36 h, 30 d or 8 w")
    return int(match.group(1)) * _SPAN_UNITS[match.group(2).lower()]


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

# A Hyper-V host; docs/hyperv.md has what it needs. `atesta doctor hv1` looks whether it is ready.
# [[host]]
# name = "hv1"
# address = "hv1.example.org"
# user = "EXAMPLE\\\\atesta"
# password_file = "/etc/atesta/hv1-password"    # or ATESTA_HOST_PASSWORD_HV1
# saved_state = "deny"    # "allow": save a machine for the moment of its checkpoint when nothing better works
# exclude = ["test-*"]

[backup]
# Page files, hibernation files and Linux swap need not be stored.
exclude_swap = true
# keep_swap_of = ["sql*"]    # but not of these machines
# Read the disks again and compare them with what was stored in each nth backup of a machine; 0: never.
compare_source_every = 0
# Boot each new restore point in the lab straight after the backup, and mail the picture.
verify = true

# Without rules every restore point is kept. `atesta expire --dry-run` says what rules would do, and why.
# [retention]
# keep_last = 3
# daily = 7
# weekly = 5
# monthly = 12
#
# Other rules for some machines, instead of those above; the first match counts:
# [[retention.machines]]
# match = "sql*"
# within = "30 d"
# yearly = 10

# What `atesta run` does when a timer starts it; "never" leaves it to a person.
[schedule]
backup = "every 24 h"
# The oldest restore points without a verdict are booted first.
verify = "every 24 h"
# expire = "every 24 h"
# prune = "weekly on sun at 06:00"
# scrub = "weekly on sat at 06:00"

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


def recovered_text(repository_folder: Path, state_folder: Path) -> str:
    """The commented configuration that ``atesta recover`` writes: sources are for a person to fill in."""
    text = initial_text(str(repository_folder), ())
    if state_folder == repository_folder / "state":
        return text
    line = f"folder = {_toml(str(repository_folder))}\n"
    return text.replace(line, f"{line}state_folder = {_toml(str(state_folder))}\n", 1)


def _toml(text: str) -> str:
    escaped = "".join(
        f"\\u{ord(character):04x}" if ord(character) < 32 or ord(character) == 127 else character
        for character in text.replace("\\", "\\\\").replace('"', '\\"')
    )
    return f'"{escaped}"'
