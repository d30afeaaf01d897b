"""What was asked of a host and what it replied, without what tells whose host it is: to be sent along with a report.

Names, paths, notes, users, addresses and GUIDs are replaced, the same one by the same word, so that what belongs
together still does. Texts of errors are left out.
"""

from __future__ import annotations

import json
import re
from pathlib import Path, PureWindowsPath
from typing import Any, TypeVar

from adapters.durable_files import write_durably
from adapters.hyperv.machine_facts import VSS_INTEGRATION_ID
from adapters.hyperv.remote_call import VerbCaller, encoded
from adapters.hyperv.verb_schemas import Arguments
from domain.errors import AtestaError

T = TypeVar("T")

FORMAT = "atesta-host-transcript-1"

_GUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_PUBLIC_GUIDS = frozenset(
    {
        VSS_INTEGRATION_ID,
        "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47",
        "2A34B1C2-FD73-4043-8A5B-DD2159BC743F",
        "9F8233AC-BE49-4C79-8EE3-E7E1985B2077",
        "2497F4DE-E9FA-4204-80E4-4B75C46419C0",
    }
)
_PATHS = frozenset({"path", "configuration_root", "snapshot_root"})
_NAMES = frozenset({"computer", "cluster", "switch", "user", "name"})
_FREE_TEXT = frozenset({"notes", "mac", "error_text"})
_PUBLIC_LISTS = frozenset({"limits", "classes", "commands", "memberships"})
_EXTENSIONS = frozenset({".vhdx", ".avhdx", ".vhd", ".avhd", ".vhds", ".vmcx", ".vmrs", ".vmgs", ".xml"})


class RecordingCaller:
    """A VerbCaller that keeps what went through ``caller``, already without what is private."""

    def __init__(self, caller: VerbCaller) -> None:
        self._caller = caller
        self._sanitiser = Sanitiser()
        self._entries: list[dict[str, Any]] = []

    @property
    def host(self) -> str:
        """The host's name, for messages."""
        return self._caller.host

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        """As the port says."""
        entry: dict[str, Any] = {"verb": verb, "arguments": self._sanitiser.cleaned(json.loads(encoded(arguments)))}
        self._entries.append(entry)
        try:
            value = self._caller.call(verb, arguments, reply_type)
        except AtestaError as error:
            entry["error"] = {"kind": type(error).__name__, "code": getattr(error, "code", 0)}
            raise
        entry["value"] = self._sanitiser.cleaned(json.loads(encoded(value)))
        return value

    def write(self, file: Path) -> None:
        """Write the transcript: a line of JSON for the format, then one for each question. Raises OSError."""
        lines = [{"format": FORMAT}, *self._entries]
        write_durably(file, "".join(json.dumps(line, sort_keys=True) + "\n" for line in lines).encode())


class Sanitiser:
    """Replaces what is private in values of JSON, always by the same words."""

    def __init__(self) -> None:
        self._words: dict[tuple[str, str], str] = {}
        self._guids: dict[str, str] = {}

    def cleaned(self, value: Any, key: str = "") -> Any:
        """``value``, which stands under ``key``, without what is private."""
        if isinstance(value, dict):
            return {name: self.cleaned(one, name) for name, one in value.items()}
        if isinstance(value, list):
            if key in _PUBLIC_LISTS:
                return value
            return [self.cleaned(one, key) for one in value]
        return self._text(value, key) if isinstance(value, str) else value

    def _text(self, text: str, key: str) -> str:
        if not text or key in _FREE_TEXT:
            return ""
        if key in _PATHS:
            return self._path(text)
        if key in _NAMES:
            return self._word("name", text)
        return _GUID.sub(lambda match: self._guid(match[0]), text)

    def _path(self, text: str) -> str:
        path = PureWindowsPath(text)
        drive = path.drive if len(path.drive) == 2 else self._share(path.drive)
        parts = [self._file_name(part) for part in path.parts[1 if path.anchor else 0 :]]
        return "\\".join([drive, *parts]) if path.anchor else "\\".join(parts)

    def _share(self, drive: str) -> str:
        parts = [part for part in drive.split("\\") if part]
        return "\\\\" + "\\".join(self._word("share", part) for part in parts) if parts else ""

    def _file_name(self, part: str) -> str:
        stem, dot, extension = part.rpartition(".")
        if dot and f".{extension.lower()}" in _EXTENSIONS:
            return f"{self._word('file', stem)}.{extension.lower()}"
        return self._word("folder", part)

    def _word(self, kind: str, text: str) -> str:
        return self._words.setdefault((kind, text.casefold()), f"{kind}-{len(self._words) + 1}")

    def _guid(self, text: str) -> str:
        if text.upper() in _PUBLIC_GUIDS:
            return text
        return self._guids.setdefault(text.upper(), f"00000000-0000-4000-8000-{len(self._guids) + 1:012X}")
