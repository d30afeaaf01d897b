"""What a verb call is: a script by name, arguments, a reply with a schema, and what a bad reply or an error means."""

from __future__ import annotations

from typing import Any, Protocol, TypeVar

import msgspec

from adapters.hyperv.errors import HostBusyError, HostCode, HostRefusalError, JobUnknownError, NotOnHostError
from adapters.hyperv.verb_schemas import Arguments, Envelope, Number64, VerbFailure
from domain.errors import AtestaError

T = TypeVar("T")

_NUMBER64_DIGITS_MAX = 20
_WORDS_LENGTH_MAX = 400
_ACCESS_DENIED = frozenset({HostCode.ACCESS_DENIED, -2147217405, -2147024891})
"""Also WBEM_E_ACCESS_DENIED and E_ACCESSDENIED."""


class VerbCaller(Protocol):
    """The way to one host."""

    @property
    def host(self) -> str:
        """The host's name, for messages."""

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        """Run the script ``verb`` on the host and return its value.

        Raises BadInputError, EnvironmentTroubleError or BusyError; see ``adapters.hyperv.errors``.
        """


class BadReplyError(HostRefusalError):
    """The host answered something that no verb answers."""


def encoded_arguments(arguments: Arguments) -> bytes:
    """Arguments as JSON."""
    return encoded(arguments)


def encoded(value: object) -> bytes:
    """Arguments, or the value of a reply, as JSON in the form that the schemas have."""
    return msgspec.json.encode(value, enc_hook=_plain)


def reply_value(reply: bytes, reply_type: type[T], *, verb: str, host: str) -> T:
    """The value in a verb's JSON reply. Raises the error that it tells, BadReplyError when it fits no schema."""
    try:
        envelope = msgspec.json.decode(reply, type=Envelope)
        if envelope.ok and envelope.error is None:
            return msgspec.json.decode(envelope.value, type=reply_type, dec_hook=_number64)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        raise bad_reply(f"its reply fits no schema: {bounded(str(error))}", verb=verb, host=host) from error
    if envelope.ok or envelope.error is None:
        raise bad_reply("its reply is neither a value nor an error", verb=verb, host=host)
    raise error_of(envelope.error, verb=verb, host=host)


def bad_reply(why: str, *, verb: str, host: str) -> BadReplyError:
    """The error for a reply that cannot be used."""
    return BadReplyError(
        f"The host did not answer {verb} as a verb answers: {why}.",
        code=0,
        where=host,
        next_step="`atesta doctor` shows what the host answers; nothing was taken from this reply.",
    )


def error_of(failure: VerbFailure, *, verb: str, host: str) -> AtestaError:
    """The error that a verb told, in the family that says what the caller can do."""
    told = bounded(failure.message) or "no reason given"
    place = f"{host}: {verb}{', ' + bounded(failure.where) if failure.where else ''}"
    code = failure.code
    if code in _MISSING:
        return NotOnHostError(
            _MISSING[HostCode(code)], code=code, where=place, next_step="`atesta machines` lists them."
        )
    if code == HostCode.NO_SUCH_JOB:
        return JobUnknownError("The host does not know the job any more.", code=code, where=place)
    if code in (HostCode.IN_USE, HostCode.UNAVAILABLE, HostCode.TIMEOUT):
        return HostBusyError(f"The host is at something else: {told}", code=code, where=place, next_step="Try later.")
    if code in _ACCESS_DENIED:
        return HostRefusalError(
            f"The host refuses access: {told}",
            code=code,
            where=place,
            next_step="Give the user the rights that docs/hyperv.md names.",
        )
    return HostRefusalError(f"The host did not do it: {told} (code {code}).", code=code, where=place)


_MISSING = {
    HostCode.NO_SUCH_MACHINE: "There is no such machine on the host.",
    HostCode.NO_SUCH_CHECKPOINT: "There is no such checkpoint on the host.",
    HostCode.NO_SUCH_REFERENCE_POINT: "There is no such reference point on the host.",
}


def bounded(text: str) -> str:
    """Text of a host on one line of bounded length."""
    line = " ".join(text.split())
    return line if len(line) <= _WORDS_LENGTH_MAX else line[:_WORDS_LENGTH_MAX] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, Number64):
        return str(int(value))
    raise TypeError(f"{type(value).__name__} has no form in the arguments of a verb")


def _number64(wanted: type, value: Any) -> Number64:
    assert wanted is Number64, "the schemas have no other type of their own"
    if not (isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _NUMBER64_DIGITS_MAX):
        raise ValueError("a 64-bit number is not decimal text")
    number = Number64(value)
    if number >= 1 << 64:
        raise ValueError("a number is larger than 64 bits")
    return number
