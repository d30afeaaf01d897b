"""Check the proof in a report mail of Atesta, offline, with nothing of Atesta installed.

    python -I verify_proof.py [--key KEY]... MAIL.eml | proof.txt

Needs Python 3.11 and the library `cryptography`. --key is the log's public key as you got it, long before, by a way of
your own. Formats: C2SP tlog-proof, signed-note and tlog-checkpoint, RFC 6962, docs/formats/transparency-log.md.
Exit codes: 0 it holds and a key of yours vouches for it; 1 it does not hold; 2 wrong usage; 3 there is no proof that
can be read; 4 the hashes hold, but no key was given, so nobody vouches for the head. Trust what this program prints.
"""

from __future__ import annotations

import argparse
import base64
import email
import email.policy
import hashlib
import struct
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

START = "c2sp.org/tlog-proof@v1"
ENTRY_HEAD = struct.Struct(">Q16sQH")
BYTES_MAX = 64 << 20
MALFORMED = (ValueError, KeyError, IndexError, TypeError, LookupError, OverflowError, RecursionError, struct.error)


class BrokenError(Exception):
    """Something does not hold; says what."""


class Proof(NamedTuple):
    """A proof taken apart: ``extra`` is an entry and the state of its event, ``note`` the signed head."""

    extra: bytes
    place: int
    hashes: list[bytes]
    note: str


def demand(holds: object, otherwise: str) -> None:
    """Raise BrokenError with what is the case ``otherwise``."""
    if not holds:
        raise BrokenError(otherwise)


def texts_in(content: bytes) -> Iterator[str]:
    """The text itself, or the text parts when it is a mail, with plain line breaks."""
    message = email.message_from_bytes(content, policy=email.policy.default)
    is_mail = message.is_multipart() or "Content-Transfer-Encoding" in message
    parts = [part for part in message.walk() if part.get_content_type() == "text/plain"] if is_mail else []
    for raw in [part.get_payload(decode=True) for part in parts] if is_mail else [content]:
        yield (raw if isinstance(raw, bytes) else b"").decode(errors="replace").replace("\r\n", "\n")


def proofs_in(content: bytes) -> list[Proof]:
    """The proofs in a mail or a text, each once."""
    found: dict[str, Proof] = {}
    for text in texts_in(content):
        for part in text.split(f"{START}\n")[1:]:
            above, head, below = part.split("\n\n", 2)
            extra, index, *hashes = above.split("\n")
            signatures = [line for line in below.split("\n") if line.startswith("\u2014 ")]
            note = f"{head}\n\n" + "".join(f"{line}\n" for line in signatures)
            demand(extra.startswith("extra ") and index.startswith("index "), "the lines are not those of a proof")
            proof = Proof(raw_of(extra[6:]), int(index[6:]), [raw_of(one) for one in hashes], note)
            found.setdefault(f"{above}{note}", proof)
    return list(found.values())


def raw_of(text: str) -> bytes:
    """The bytes of strict base64."""
    return base64.b64decode(text, validate=True)


def head_of(note: str, keys: list[str]) -> tuple[str, int, bytes]:
    """Origin, size and root of the head, which one of ``keys`` signed, where there are any."""
    text, _, signatures = note.rpartition("\n\n")
    demand(not keys or any(signed(text, signatures, key) for key in keys), "the key that you trust has not signed it")
    origin, size, root = text.split("\n")
    return origin, int(size), raw_of(root)


def signed(text: str, signatures: str, key: str) -> bool:
    """Whether ``key``, in the form name+id+base64(1, key), signed ``text``."""
    name, key_id, encoded = key.strip().split("+", 2)
    raw = raw_of(encoded)
    right = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    demand(len(raw) == 33 and raw[0] == 1 and bytes.fromhex(key_id) == right, f"this is no public key of a log: {key}")
    demand(text.split("\n")[0] == name, "it is the head of another log")
    for line in signatures.splitlines():
        _dash, signer, signature = line.split(" ")
        if signer == name and raw_of(signature)[:4] == right:
            try:
                Ed25519PublicKey.from_public_bytes(raw[1:]).verify(raw_of(signature)[4:], f"{text}\n".encode())
            except InvalidSignature:
                raise BrokenError("its signature is forged, or its text was changed") from None
            return True
    return False


def root_from(leaf: bytes, index: int, size: int, hashes: list[bytes]) -> bytes:
    """The root that the audit path ``hashes`` leads to: one step down the tree of RFC 6962 section 2.1 each."""
    demand(0 <= index < size, "its place is not in the log")
    if size == 1:
        demand(not hashes, "it has too many hashes")
        return leaf
    demand(hashes, "it has too few hashes")
    split = 1 << (size - 1).bit_length() - 1
    if index < split:
        left, right = root_from(leaf, index, split, hashes[:-1]), hashes[-1]
    else:
        left, right = hashes[-1], root_from(leaf, index - split, size - split, hashes[:-1])
    return hashlib.sha256(b"\x01" + left + right).digest()


def check(proof: Proof, keys: list[str]) -> Iterator[str]:
    """Check a proof; returns what follows from it, in sentences."""
    origin, size, root = head_of(proof.note, keys)
    number, stream, version, length = ENTRY_HEAD.unpack_from(proof.extra)
    end = ENTRY_HEAD.size + length + 32
    entry, state = proof.extra[:end], proof.extra[end:]
    leaf = hashlib.sha256(b"\x00" + entry).digest()
    demand(root_from(leaf, proof.place, size, proof.hashes) == root, "the entry is not under the head")
    demand(hashlib.sha256(state).digest() == entry[-32:], "the event is not the one that was hashed")
    yield f"The log {origin} had {size} entries when the head was signed."
    topic = entry[ENTRY_HEAD.size : -32].decode()
    yield f"Entry {proof.place} is event {number}: {topic}, number {version} of stream {stream.hex()}."
    for name, value in unpacked(state, 0)[0].items():
        yield f"  {name}: {value}"


def unpacked(data: bytes, at: int) -> tuple[Any, int]:
    """The MessagePack value at ``at`` and where it ends; bytes as hex, times as ISO 8601."""
    kind, at = data[at], at + 1
    if kind < 0x80 or kind >= 0xE0:
        return kind - (256 if kind >= 0xE0 else 0), at
    if kind in SCALARS:
        return SCALARS[kind], at
    if kind in NUMBERS:
        return struct.unpack_from(NUMBERS[kind], data, at)[0], at + struct.calcsize(NUMBERS[kind])
    if kind in FIXED_EXTENSIONS:
        end = at + 1 + FIXED_EXTENSIONS[kind]
        return moment(data[at:end]), end
    if kind < 0xC0:
        what, size = ("str", kind & 31) if kind >= 0xA0 else ("list" if kind >= 0x90 else "map", kind & 15)
    else:
        what, width = SIZED[kind]
        size, at = int.from_bytes(data[at : at + width], "big"), at + width
    if what in ("str", "bin", "ext"):
        raw, end = data[at : at + size], at + size + (what == "ext")
        return raw.decode(errors="replace") if what == "str" else raw.hex() if what == "bin" else moment(
            data[at:end]
        ), end
    items = []
    for _ in range(size << (what == "map")):
        item, at = unpacked(data, at)
        items.append(item)
    return (dict(zip(items[::2], items[1::2], strict=True)) if what == "map" else items), at


def moment(extension: bytes) -> str:
    """The time in an extension, whose first byte is its type: -1 for MessagePack's timestamps of 4, 8 or 12 bytes."""
    if extension[:1] != b"\xff" or len(extension) not in (5, 9, 13):
        return f"(extension {extension.hex()})"
    if len(extension) == 13:
        nanoseconds, seconds = struct.unpack(">Iq", extension[1:])
    else:
        number = int.from_bytes(extension[1:], "big")
        nanoseconds, seconds = (number >> 34, number & (1 << 34) - 1) if len(extension) == 9 else (0, number)
    return (datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds, microseconds=nanoseconds // 1000)).isoformat()


SCALARS = {0xC0: None, 0xC2: False, 0xC3: True}
NUMBERS = dict(zip(range(0xCA, 0xD4), (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"), strict=True))
FIXED_EXTENSIONS = {0xD4: 1, 0xD5: 2, 0xD6: 4, 0xD7: 8, 0xD8: 16}
SIZED = {0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xC8: ("ext", 2), 0xC9: ("ext", 4)}
SIZED |= {0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("list", 2), 0xDD: ("list", 4)}
SIZED |= {0xDE: ("map", 2), 0xDF: ("map", 4)}


def main(arguments: list[str] | None = None) -> int:
    """Check what the command line names, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description="Check the proof in a report mail of Atesta, offline.")
    parser.add_argument("path", type=Path, help="a mail, or its attachment proof.txt")
    parser.add_argument("--key", action="append", default=[], help="the log's public key that you trust, or its file")
    options = parser.parse_args(arguments)
    try:
        keys = [Path(one).read_text() if Path(one).is_file() else one for one in options.key]
        demand(options.path.stat().st_size <= BYTES_MAX, "it is absurdly large")
        proofs = proofs_in(options.path.read_bytes())
        demand(proofs, "there is none in it")
    except (BrokenError, OSError, *MALFORMED) as error:
        sys.stderr.write(f"No proof can be read: {type(error).__name__}: {error}\n")
        return 3
    lines, broken = list[str](), 0
    for proof in proofs:
        try:
            lines += check(proof, keys)
        except (BrokenError, *MALFORMED) as error:
            broken += 1
            lines.append(f"FAILS: {error if isinstance(error, BrokenError) else f'malformed, {type(error).__name__}'}")
    if len({proof.extra[8:24] for proof in proofs}) > 1:
        broken += 1
        lines.append("FAILS: the events are of different streams, and a mail is about one verification")
    end = "It does not hold." if broken else "It holds." if keys else "Nobody vouches for the head: give --key."
    sys.stdout.write("\n".join([*map(shown, lines), end]) + "\n")
    return 1 if broken else 0 if keys else 4


def shown(text: str) -> str:
    """Text without characters that cannot be seen."""
    return "".join(one if one.isprintable() else "\ufffd" for one in text)


if __name__ == "__main__":
    sys.exit(main())
