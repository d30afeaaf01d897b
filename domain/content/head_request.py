"""What a log asks to be signed on another machine: a head without a signature, with the proof that it only grew.

    old <entries of the head that was signed before>
    <hash of the consistency proof, base64>
    ...

    atesta/<repository id, 32 hex digits>
    <number of entries>
    <root, base64>

The lines are those of a request to a C2SP tlog-witness, but for the signature, which is what is asked for.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass

from domain.content.merkle import EMPTY_ROOT, HASH_BYTES, ProofError, check_consistency
from domain.content.signed_note import SigningKey, TreeHead, from_base64, head_text, parse_head
from domain.errors import BadInputError, DamagedDataError

REQUEST_CHARACTERS_MAX = 16 << 10
_HASHES_MAX = 128
_OLD = re.compile(r"old (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class HeadRequest:
    """A head to be signed, and the proof that it extends the log as it was at ``old_size`` entries."""

    head: TreeHead
    old_size: int
    proof: tuple[bytes, ...]


def request_text(request: HeadRequest) -> str:
    """``request`` as text."""
    proof = "".join(f"{base64.b64encode(one).decode()}\n" for one in request.proof)
    return f"old {request.old_size}\n{proof}\n{head_text(request.head)}"


def parse_request(text: str) -> HeadRequest:
    """Take a request apart. Raises DamagedDataError for what was not written so."""
    above, separator, below = text.partition("\n\n")
    lines = above.split("\n")
    old = _OLD.fullmatch(lines[0])
    if len(text) > REQUEST_CHARACTERS_MAX or not separator or old is None:
        raise _bad_request("it is none")
    proof = [from_base64(line) for line in lines[1:]]
    if len(proof) > _HASHES_MAX or any(one is None or len(one) != HASH_BYTES for one in proof):
        raise _bad_request("it has a line that is no hash")
    return HeadRequest(parse_head(below), int(old[1]), tuple(one for one in proof if one is not None))


def sign_request(request: HeadRequest, key: SigningKey, last: TreeHead | None) -> str:
    """The signed head, when the log that asks begins with all of ``last``, the head that was signed before.

    Raises BadInputError for a request of another log or with a proof from another head, and DamagedDataError for a log
    that was rolled back or forked.
    """
    head = request.head
    if last is not None:
        if last.origin != head.origin:
            raise BadInputError(
                "The key signed heads of another log before.",
                where=f"{head.origin} asks, {last.origin} was signed",
                next_step="Use the key of the log that asks.",
            )
        _refuse_another_history(request, last)
    return key.sign(head)


def _refuse_another_history(request: HeadRequest, last: TreeHead) -> None:
    head = request.head
    if head.size < last.size:
        raise DamagedDataError(
            f"The log was rolled back: a head of {last.size} entries was signed before, and this one has {head.size}.",
            where=head.origin,
            next_step="Do not sign it. `atesta audit witness` with the head that was signed shows what is missing.",
        )
    if head.size != last.size and last.size and request.old_size != last.size:
        raise BadInputError(
            f"The request is proven from {request.old_size} entries on; the last head signed has {last.size}.",
            where=head.origin,
            next_step=f"Ask with `atesta audit head --unsigned --since {last.size} -o FILE`.",
        )
    if last.size == 0 and last.root == EMPTY_ROOT:
        return
    try:
        check_consistency(last.size, last.root, head.size, head.root, request.proof if head.size != last.size else ())
    except ProofError as error:
        raise DamagedDataError(
            f"The log does not extend the head that was signed before, of {last.size} entries: {error.what}",
            where=head.origin,
            next_step="Do not sign it. `atesta audit witness` with the head that was signed tells more.",
        ) from error


def _bad_request(why: str) -> DamagedDataError:
    return DamagedDataError(
        f"A request to sign a head cannot be read: {why}.",
        next_step="Make it with `atesta audit head --unsigned -o FILE` and copy it whole.",
    )
