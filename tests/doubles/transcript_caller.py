"""A host that is a transcript of `atesta doctor`: each question is answered as it was when it was written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

from adapters.hyperv.errors import HostRefusalError
from adapters.hyperv.remote_call import encoded, reply_value
from adapters.hyperv.transcript import FORMAT
from adapters.hyperv.verb_schemas import Arguments

T = TypeVar("T")


class TranscriptCaller:
    """A VerbCaller over a transcript's file."""

    host = "transcript"

    def __init__(self, file: Path) -> None:
        lines = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert lines[0] == {"format": FORMAT}
        self._entries: list[dict[str, Any]] = lines[1:]

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        entry = self._taken(verb, json.loads(encoded(arguments)))
        if "error" in entry:
            raise HostRefusalError("refused in the transcript", code=entry["error"]["code"])
        reply = json.dumps({"ok": True, "value": entry["value"]}).encode()
        return reply_value(reply, reply_type, verb=verb, host=self.host)

    def _taken(self, verb: str, arguments: object) -> dict[str, Any]:
        for entry in self._entries:
            if (entry["verb"], entry["arguments"]) == (verb, arguments):
                self._entries.remove(entry)
                return entry
        raise AssertionError(f"{verb} was not asked like this: {arguments}")
