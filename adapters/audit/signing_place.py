"""A key on a machine without the repository, and beside it the last head that it signed: ``<key>.signed``."""

from __future__ import annotations

from pathlib import Path

from adapters.audit.signing_key_file import Passphrase, load_signing_key, no_passphrase
from adapters.durable_files import write_durably
from domain.content.found_heads import heads_in
from domain.content.head_request import REQUEST_CHARACTERS_MAX, HeadRequest, parse_request, request_text, sign_request
from domain.content.signed_note import NOTE_BYTES_MAX, TreeHead, parse_head, parse_note, verified_head
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from domain.ports.locks import MachineLocks

REQUEST_FILE_NAME = "head-request.txt"


class SigningPlace:
    """The key in ``key_file``. Whatever it signs, the log of each head begins with that of the head before."""

    def __init__(self, key_file: Path, locks: MachineLocks, passphrase: Passphrase = no_passphrase) -> None:
        self._key_file = key_file
        self._locks = locks
        self._passphrase = passphrase
        self._state = key_file.with_name(f"{key_file.name}.signed")

    def sign(self, request: HeadRequest, last_given: str | None, *, first: bool) -> str:
        """The signed head that ``request`` asks for; what was signed is kept durably before it is handed out.

        ``last_given`` is a head that was signed before, for a key that kept none here; ``first`` is for a log of which
        none was signed. Raises as ``sign_request``, and BusyError, EnvironmentTroubleError.
        """
        key = load_signing_key(self._key_file, request.head.origin, self._passphrase)
        if key is None:
            raise BadInputError(
                "There is no signing key.", where=str(self._key_file), next_step="Name its file with --key."
            )
        with self._locks.held(str(self._key_file)):
            last = self._last(last_given)
            if last is None and not first:
                raise BadInputError(
                    "It is not known which head of this log was signed last.",
                    where=str(self._state),
                    next_step="Give it with --last, or say --first if there is none.",
                )
            signed = sign_request(request, key, last)
            verified_head(signed, [key.verifier])
            try:
                write_durably(self._state, signed.encode())
            except OSError as error:
                raise EnvironmentTroubleError(
                    f"What is signed cannot be kept, so nothing was: {error.strerror}.", where=str(self._state)
                ) from error
            return signed

    def _last(self, given: str | None) -> TreeHead | None:
        """The larger one of the head that was kept and of the one that was given. Raises DamagedDataError."""
        try:
            kept = self._state.read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            kept = None
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The head that was signed last cannot be read: {error.strerror}.", where=str(self._state)
            ) from error
        heads = [parse_head(parse_note(note).text) for note in (kept, given) if note is not None]
        if len({head.origin for head in heads}) > 1 or len({(head.size, head.root) for head in heads}) > len(
            {head.size for head in heads}
        ):
            raise DamagedDataError(
                "The head that was given is of another history than the one that was signed last here.",
                where=str(self._state),
                next_step="Do not sign. Keep both; `atesta audit witness` says which one the log extends.",
            )
        return max(heads, key=lambda head: head.size, default=None)


def request_in(file: Path) -> HeadRequest:
    """The request in a file. Raises DamagedDataError, EnvironmentTroubleError."""
    return parse_request(_text_of(file, REQUEST_CHARACTERS_MAX))


def write_request(file: Path, request: HeadRequest) -> None:
    """Replace the request in ``file``. Raises EnvironmentTroubleError."""
    try:
        write_durably(file, request_text(request).encode())
    except OSError as error:
        raise EnvironmentTroubleError(
            f"What is to be signed elsewhere cannot be written: {error.strerror}.", where=str(file)
        ) from error


def signed_head_in(file: Path) -> str:
    """The one signed head in a file. Raises BadInputError, EnvironmentTroubleError."""
    found = dict.fromkeys(heads_in(_text_of(file, 4 * NOTE_BYTES_MAX)))
    if len(found) != 1:
        raise BadInputError(
            f"The file holds {len(found)} signed heads, not one.",
            where=str(file),
            next_step="Give the file that `atesta audit sign` wrote.",
        )
    return next(iter(found))


def _text_of(file: Path, bytes_max: int) -> str:
    try:
        with file.open("rb") as opened:
            return opened.read(bytes_max + 1).decode(errors="replace").replace("\r\n", "\n")
    except OSError as error:
        raise EnvironmentTroubleError(f"A file cannot be read: {error.strerror}.", where=str(file)) from error
