"""The one line of a script's output that is its reply: ``#HV1#`` and the JSON in base64."""

from __future__ import annotations

import base64
import binascii
import re

from adapters.hyperv.remote_call import bad_reply, bounded

_MARK = b"#HV1#"
_CLIXML = "#< CLIXML"
_ERROR_TEXT = re.compile(r'<S S="Error">([^<]*)</S>')
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def reply_of(output: bytes, errors: bytes, exit_code: int, *, verb: str, host: str) -> bytes:
    """The JSON in a script's output. Other lines are noise, and what stands in ``errors`` alone is no failure.

    Raises BadReplyError when there is not exactly one framed line.
    """
    lines = [line.strip() for line in output.splitlines()]
    framed = [line[len(_MARK) :] for line in lines if line.startswith(_MARK)]
    if len(framed) > 1:
        raise bad_reply("it replied several times", verb=verb, host=host)
    if not framed:
        told = error_text(errors) or bounded(output.decode(errors="replace"))
        why = f"no reply, exit code {exit_code}{': ' + told if told else ''}"
        raise bad_reply(why, verb=verb, host=host)
    try:
        return base64.b64decode(framed[0], validate=True)
    except (binascii.Error, ValueError) as error:
        raise bad_reply("its reply was cut or altered", verb=verb, host=host) from error


def error_text(errors: bytes) -> str:
    """What PowerShell wrote to standard error, as text on one line; it may be CLIXML."""
    text = errors.decode(errors="replace")
    if text.lstrip().startswith(_CLIXML):
        text = "".join(_ERROR_TEXT.findall(text))
        text = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text)
        for entity, character in (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&apos;", "'"), ("&amp;", "&")):
            text = text.replace(entity, character)
    return bounded(text)
