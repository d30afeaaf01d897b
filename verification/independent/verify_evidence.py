"""Check an evidence bundle of Atesta, or an export of its log as tiles, offline, with nothing of Atesta installed.

    python -I verify_evidence.py [--key KEY]... [--head FILE]... BUNDLE.zip | FOLDER-OF-TILES

Needs Python 3.11 and `cryptography`; with `blake3`, original pictures are compared, too. --key is the log's public key
as you got it by a way of your own; --head is a signed head that you kept. Format: docs/formats/evidence-bundle.md. Exit
codes: 0 all holds by a key of yours; 1 something does not; 2 wrong usage; 3 unreadable; 4 all holds by its own key.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import html
import importlib.util
import json
import re
import struct
import sys
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

FORMAT, MANIFEST, SEAL, BYTES_MAX = "atesta-evidence/1", "manifest.json", "manifest.sig", 2 << 30
Heads = list[tuple[str, bytes]]
Nodes = list[tuple[int, bytes]]
ENTRY_HEAD = struct.Struct(">Q16sQH")
MALFORMED = (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError, RuntimeError, struct.error)
# Events that may be withheld, those that name the machine of their stream, and what of others enters the report.
BULK = frozenset(f"{one}:1" for one in ("chunks-written", "chunks-repacked", "chunks-healed", "packs-scrubbed"))
BULK |= {f"pack-{one}:1" for one in ("adopted", "reinstated", "retired", "deleted")}
OPENERS = ("backup-started:1", "verification-started:1", "restore-point-committed:1")
RUNS = {"backup-started:1": ("backup", "machine_id machine_name kind cause"), "backup-promoted:1": ("backup", "cause")}
RUNS |= {"snapshot-taken:1": ("backup", "consistency_reached"), "backup-failed:1": ("backup", "reason error")}
RUNS["backup-completed:1"] = ("backup", "point_id read_bytes stored_bytes seconds")
RUNS["verification-started:1"] = ("verification", "point_id machine_id machine_name")
RUNS |= {"console-captured:1": ("verification", "picture_digest"), "verification-failed:1": ("verification", "error")}
RUNS["verdict-reached:1"] = ("verification", "word grade console_state reasons not_proven boot_s restore_s")
ENDS = {"backup-completed:1": "completed", "backup-failed:1": "failed", "verification-failed:1": "not carried out"}
RESULTS, GOOD = {"backup": ["completed", "failed", "open"]}, ("completed", "BOOTED")
RESULTS["verification"] = ["BOOTED", "FAILED", "UNDECIDED", "not carried out", "open"]
OTHERS = {"restore-point-expired:1": "policy reason", "damage-found:1": "pack_id missing what"}
OTHERS |= {"restore-point-held:1": "reason", "restore-point-released:1": "reason", "scrub-failed:1": "reason error"}
OTHERS |= {"scrub-completed:1": "packs_read packs_damaged packs_left", "repository-recovered:1": "events points_found"}
OTHERS |= {"due-job-ended:1": "kind machine_id machine_name result said", "verdict-overridden:1": "judged word reason"}


class BrokenError(Exception):
    """Something does not hold; says what."""


def claim(found: list[str], sentence: str, proof: Callable[..., str | None], *subject: object) -> None:
    """Note whether ``proof`` of ``subject`` goes through; a reason that it returns says what it cannot show."""
    try:
        reason = proof(*subject)
        found.append(f"NOT SHOWN  {sentence}: {reason}" if reason else f"HOLDS      {sentence}")
    except (BrokenError, *MALFORMED) as error:
        why = error if isinstance(error, BrokenError) else f"malformed ({type(error).__name__}: {error})"
        found.append(f"FAILS      {sentence}: {why}")


class Record(NamedTuple):
    """An event of a bundle: its leaf's hash, and its ``state`` unless only the digest of that is there."""

    number: int
    stream: str
    topic: str
    state: bytes | None
    leaf: bytes

    def values(self) -> dict[str, Any]:
        """Its fields; the digest behind them is of no use here."""
        return dict(unpacked(self.state or b"", 0)[0])


def demand(holds: object, otherwise: str) -> None:
    """Raise BrokenError with what is the case ``otherwise``."""
    if not holds:
        raise BrokenError(otherwise)


def push(frontier: Nodes, level: int, digest: bytes) -> None:
    """Append a perfect subtree of 2**level leaves to a tree, given as its perfect subtrees."""
    while frontier and frontier[-1][0] == level:
        digest = hashlib.sha256(b"\x01" + frontier.pop()[1] + digest).digest()
        level += 1
    frontier.append((level, digest))


def root_of(frontier: Nodes) -> bytes:
    """The root of a tree that is given as its perfect subtrees."""
    digest = frontier[-1][1] if frontier else hashlib.sha256(b"").digest()
    for _, left in reversed(frontier[:-1]):
        digest = hashlib.sha256(b"\x01" + left + digest).digest()
    return digest


def levels_between(start: int, end: int) -> Iterator[int]:
    """The levels of the fewest perfect subtrees that cover the leaves from ``start`` up to ``end``."""
    while start < end:
        size = min(1 << (end - start).bit_length() - 1, start & -start or end)
        yield size.bit_length() - 1
        start += size


def key_of(text: str) -> tuple[str, bytes, Ed25519PublicKey]:
    """Name, id and key of a public key in the form of signed notes: name+id+base64(1, key)."""
    name, key_id, encoded = text.strip().split("+", 2)
    raw = base64.b64decode(encoded, validate=True)
    right = hashlib.sha256(name.encode() + b"\n" + raw).digest()[:4]
    demand(len(raw) == 33 and raw[0] == 1 and bytes.fromhex(key_id) == right, f"this is no public key of a log: {text}")
    return name, right, Ed25519PublicKey.from_public_bytes(raw[1:])


def opened_note(note: bytes, keys: list[str]) -> str:
    """The text of a note that one of ``keys`` has signed."""
    text, _, signatures = note.decode().rpartition("\n\n")
    for line in signatures.splitlines():
        dash, name, encoded = line.split(" ")
        raw = base64.b64decode(encoded, validate=True)
        for key_name, key_id, key in map(key_of, keys):
            if (dash, name, raw[:4]) == ("\u2014", key_name, key_id):
                try:
                    return key.verify(raw[4:], f"{text}\n".encode()) or f"{text}\n"
                except InvalidSignature:
                    raise BrokenError("its signature is forged, or its text was changed") from None
    raise BrokenError("the key that is to be trusted has not signed it")


def opened_head(note: bytes, keys: list[str]) -> tuple[str, int, bytes]:
    """Origin, size and root of a signed head."""
    origin, size, root = opened_note(note, keys).split("\n")[:3]
    demand(size.isascii() and size.isdigit() and str(int(size)) == size, "it is no head of a log")
    return origin, int(size), base64.b64decode(root, validate=True)


def unpacked(data: bytes, at: int) -> tuple[Any, int]:
    """The MessagePack value at ``at`` and where it ends; bytes as hex, times as ISO 8601."""
    kind, at = data[at], at + 1
    if kind < 0x80 or kind >= 0xE0:
        return kind - (256 if kind >= 0xE0 else 0), at
    if kind in SCALARS:
        return SCALARS[kind], at
    if kind in NUMBERS:
        return struct.unpack_from(NUMBERS[kind], data, at)[0], at + struct.calcsize(NUMBERS[kind])
    if kind < 0xC0:
        what, size = ("str", kind & 31) if kind >= 0xA0 else ("list" if kind >= 0x90 else "map", kind & 15)
    else:
        what, width = SIZED[kind]
        size = int.from_bytes(data[at : at + width], "big") if width else 4 << kind - 0xD6
        at += width
    if what in ("map", "list"):
        items = []
        for _ in range(size << (what == "map")):
            item, at = unpacked(data, at)
            items.append(item)
        return (dict(zip(items[::2], items[1::2], strict=True)) if what == "map" else items), at
    raw, end = data[at : at + size], at + size
    if what == "ext":
        return moment(data[at], data[at + 1 : end + 1]), end + 1
    return (raw.decode() if what == "str" else raw.hex()), end


def moment(kind: int, raw: bytes) -> str:
    """A MessagePack timestamp as ISO 8601."""
    demand(kind == 0xFF, "an extension type is unknown")
    value, nanoseconds = int.from_bytes(raw[-8:], "big", signed=len(raw) == 12), int.from_bytes(raw[:-8], "big")
    if len(raw) == 8:
        value, nanoseconds = value & (1 << 34) - 1, value >> 34
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=value, microseconds=nanoseconds // 1000)
    return when.isoformat(timespec="microseconds").replace("+00:00", "Z")


SCALARS = {0xC0: None, 0xC2: False, 0xC3: True}
NUMBERS = dict(zip(range(0xCA, 0xD4), (">f", ">d", ">B", ">H", ">I", ">Q", ">b", ">h", ">i", ">q"), strict=True))
SIZED = {0xC4: ("bin", 1), 0xC5: ("bin", 2), 0xC6: ("bin", 4), 0xC7: ("ext", 1), 0xD6: ("ext", 0), 0xD7: ("ext", 0)}
SIZED |= {0xD9: ("str", 1), 0xDA: ("str", 2), 0xDB: ("str", 4), 0xDC: ("list", 2), 0xDD: ("list", 4)}
SIZED |= {0xDE: ("map", 2), 0xDF: ("map", 4)}


def records_in(data: bytes) -> Iterator[Record]:
    """The events of the member ``events``, each with the leaf that follows from what stands there."""
    at = 0
    while at < len(data):
        number, stream, _version, length = ENTRY_HEAD.unpack_from(data, at)
        start, at = at, at + ENTRY_HEAD.size + length
        entry, (whole, size) = data[start:at], struct.unpack_from(">BI", data, at)
        held, at = data[at + 5 : at + 5 + size], at + 5 + size
        demand(at <= len(data) and (whole, size) in ((1, size), (0, 32)), f"the record of event {number} is malformed")
        leaf = hashlib.sha256(b"\x00" + entry + (hashlib.sha256(held).digest() if whole else held)).digest()
        yield Record(number, stream.hex(), entry[-length:].decode(), held if whole else None, leaf)


def facts_of(records: list[Record], manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of the report from the events alone, as docs/formats/evidence-bundle.md defines them."""
    runs, others, owners = dict[str, dict[str, Any]](), list[dict[str, Any]](), dict[str, str]()
    for record in (one for one in records if one.state is not None):
        topic, stream, head = record.topic, record.stream, {"number": record.number, "stream": record.stream}
        if topic == "restore-point-committed:1":
            owners[stream] = record.values()["machine_id"]
        elif topic == "retention-applied:1":
            values = record.values()
            owners |= dict.fromkeys((one["point_id"] for one in values["decisions"]), values["machine_id"])
        elif topic in RUNS:
            values, (kind, names) = record.values(), RUNS[topic]
            head |= dict.fromkeys(" ".join(fields for of, fields in RUNS.values() if of == kind).split())
            run = runs.setdefault(stream, {**head, "at": values["at"], "what": kind, "ended": None, "result": "open"})
            run |= {name: values[name] for name in names.split()}
            if topic in ENDS or topic == "verdict-reached:1":
                run |= {"ended": values["at"], "result": ENDS.get(topic) or values["word"]}
        elif topic in OTHERS and (values := record.values()).get("result", "failed") == "failed":
            fields = {name: values[name] for name in OTHERS[topic].split()}
            others.append({**head, "at": values["at"], "what": topic, "machine_id": owners.get(stream, ""), **fields})
    machine, good = manifest["machine"], dict[tuple[str, str | None], int]()
    mine = [run for run in runs.values() if not machine or run["machine_id"] in (machine, None)]
    for run in reversed(mine):
        went_well, place = run["result"] in GOOD, (run["what"], run["machine_id"])
        run["remedied_by"] = None if went_well or not run["machine_id"] else good.get(place)
        run["recovery_s"] = run["restore_s"] + (run["boot_s"] or 0) if run["result"] == "BOOTED" else None
        if went_well:
            good[place] = run["number"]
    named = {name: manifest[name] for name in ("format", "origin", "machine", "from", "to", "targets")}
    others = [one for one in others if not machine or one["machine_id"] in (machine, "")]
    return {**named, "events": len(records), "runs": mine, "others": others}


def lines_of(facts: Mapping[str, Any]) -> Iterator[str]:
    """The sentences that must stand in the report: its sums, a line for each machine, and one for each failure."""
    for what, results in RESULTS.items():
        counts = Counter(run["result"] for run in facts["runs"] if run["what"] == what)
        yield f"{counts.total()} {what}s: " + ", ".join(f"{counts[one]} {one}" for one in results)
    yield from (shown(f"Target of {one}: {limit} s") for one, limit in facts["targets"].items())
    for machine_id in sorted({run["machine_id"] or "" for run in facts["runs"]}):
        own = [run for run in facts["runs"] if (run["machine_id"] or "") == machine_id]
        sums = Counter((run["what"], run["result"]) for run in own)
        cells = [sums[what, result] for what, results in RESULTS.items() for result in results]
        cells.append(sum(run["result"] not in GOOD and run["remedied_by"] is None for run in own))
        yield shown(f"{own[-1]['machine_name'] or 'unknown machine'} {' '.join(map(str, cells))}")
    for run in facts["runs"]:
        if run["result"] not in GOOD:
            end = f"remedied by #{run['remedied_by']}" if run["remedied_by"] else "not remedied"
            place = f"#{run['number']} {run['at'][:19]}Z {run['machine_name'] or 'unknown machine'}"
            yield shown(f"{place}: {run['what']} {run['result']}, {end}")
    for one in (one for one in facts["others"] if one["what"] == "verdict-overridden:1"):
        words = f"{one['judged']} is taken as {one['word']}: {one['reason']}"
        yield shown(f"#{one['number']} {one['at'][:19]}Z point {one['stream'][:8]}: {words}")


def shown(text: str) -> str:
    """Text on one line, without characters that cannot be seen."""
    return " ".join("".join(one if one.isprintable() else "\ufffd" for one in text).split())


def check_heads(tree: Nodes, checkpoint: bytes, others: Heads, keys: list[str], found: list[str]) -> None:
    """Check that the log whose subtrees are ``tree`` has the head ``checkpoint`` and goes on from all others."""
    sizes = {note.split(b"\n")[1] for _, note in (("", checkpoint), *others) if b"\n" in note}
    frontier, roots, position = Nodes(), {0: root_of([])}, 0
    for level, digest in tree:
        push(frontier, level, digest)
        position += 1 << level
        if str(position).encode() in sizes:
            roots[position] = root_of(frontier)

    def lies_on_log(note: bytes) -> str | None:
        origin, size, root = opened_head(note, keys)
        demand(origin == checkpoint.split(b"\n")[0].decode(), "it is the head of another log")
        demand(size <= position, f"it has {size} leaves and this log has {position}: the log was rolled back")
        demand(root == roots.get(size, root), f"the first {size} leaves are not those that were signed")
        return None if size in roots else f"its {size} leaves lie before what is here; ask for an earlier beginning"

    claim(found, f"the events are those of the log with the signed head of {position} leaves", lies_on_log, checkpoint)
    for whose, note in others:
        claim(found, f"the log goes on from {whose}", lies_on_log, note)


def check_bundle(path: Path, keys: list[str], heads: Heads, found: list[str]) -> Iterable[str]:
    """Check a bundle; returns what follows from its events, in sentences."""
    with zipfile.ZipFile(path) as bundle:
        demand(sum(one.file_size for one in bundle.infolist()) <= BYTES_MAX, "it is absurdly large")
        demand(len(bundle.namelist()) == len(set(bundle.namelist())), "two members have one name")
        members = {name: bundle.read(name) for name in bundle.namelist()}
    manifest, checkpoint = json.loads(members[MANIFEST]), members["checkpoint"]
    demand(manifest["format"] == FORMAT, f"this program knows {FORMAT} only")
    records, total = list(records_in(members["events"])), int(checkpoint.split(b"\n")[1])
    first, end = manifest["first_leaf"], manifest["first_leaf"] + len(records)
    facts = facts_of(records[first > 0 : len(records) - (end < total)], manifest)
    keys = keys or members["key"].decode().splitlines()
    left, right = ([bytes.fromhex(one) for one in manifest[side]] for side in ("left", "right"))
    subtrees = [*zip(levels_between(0, first), left, strict=True), *((0, record.leaf) for record in records)]
    subtrees += zip(levels_between(end, total), right, strict=True)
    own = [(f"its own {name}", note) for name, note in members.items() if name.startswith("heads/")]

    def members_are_sealed() -> None:
        digest = hashlib.sha256(members[MANIFEST]).hexdigest()
        demand(opened_note(members[SEAL], keys).split() == [FORMAT, manifest["origin"], digest], "it seals another one")
        demand(checkpoint.split(b"\n")[0].decode() == manifest["origin"], "the head is of another log")
        right = {name: hashlib.sha256(members[name]).hexdigest() for name in members.keys() - {MANIFEST, SEAL}}
        wrong = sorted({name for name, _ in right.items() ^ manifest["members"].items()})
        demand(not wrong, f"not as it was sealed: {', '.join(wrong[:9])}")

    def range_is_whole() -> str | None:
        numbers = [record.number for record in records]
        demand(numbers == sorted(set(numbers)), "the events are not in order")
        demand(not first or records[0].values()["at"] < manifest["from"], "events are missing at its beginning")
        last = max((one.values()["at"] for one in records[-9:] if one.state), default="an unknown time")
        demand(end == total or records[-1].values()["at"] >= manifest["to"], "events are missing at its end")
        return f"the log ends at {last}; what came later, only a later head can show" if end == total else None

    def nothing_is_withheld() -> None:
        owners = {one.stream: one.values()["machine_id"] for one in records if one.topic in OPENERS and one.state}
        for one in records:
            mine = not manifest["machine"] or owners.get(one.stream, manifest["machine"]) == manifest["machine"]
            demand(one.state or one.topic in BULK or not mine, f"event {one.number}, {one.topic}, is withheld")

    def report_says_so() -> None:
        demand(facts == json.loads(members["report.json"]), "report.json says something else")
        visible = re.sub(r"(?s)<(style|title).*?</\1>|<[^>]*>", " ", members["report.html"].decode())
        text = f" {' '.join(html.unescape(visible).split())} "
        for line in lines_of(facts):
            demand(f" {line} " in text, f"report.html does not say: {line}")

    def pictures_are_named() -> str | None:
        names = {name: Path(name).stem for name in members if name.startswith("pictures/")}
        demand({*names.values()} <= {run.get("picture_digest") for run in facts["runs"]}, "one is of no verification")
        blake3: Any = importlib.util.find_spec("blake3") and importlib.import_module("blake3").blake3
        whole = [name for name in names if blake3 and name.endswith(".png")]
        for name in whole:
            demand(blake3(members[name]).hexdigest() == names[name], f"{name} is not what was captured")
        left = f"{len(names) - len(whole)} were not compared; whoever sealed the bundle vouches for them"
        return left if len(names) > len(whole) else None

    check_heads(subtrees, checkpoint, [*own, *heads], keys, found)
    claim(found, "the log's key sealed the bundle, and each member is as it was then", members_are_sealed)
    claim(found, f"all that was recorded from {manifest['from']} to {manifest['to']} is here", range_is_whole)
    claim(found, "nothing but bulk and other machines' details is withheld", nothing_is_withheld)
    claim(found, "the report says what the events say, and leaves no failure out", report_says_so)
    claim(found, "the pictures are those of the verifications", pictures_are_named)
    return lines_of(facts)


def tiles_of(folder: Path, level: str, count: int) -> Iterator[bytes]:
    """All tiles of a level that has ``count`` hashes or entries."""
    for index in range(-(-count // 256)):
        name = re.sub(r"(...)(?=...)", r"x\1/", str(index).zfill(-(-len(str(index)) // 3) * 3))
        width = min(256, count - 256 * index)
        yield (folder / "tile" / level / (name if width == 256 else f"{name}.p/{width}")).read_bytes()


def check_tiles(folder: Path, keys: list[str], heads: Heads, found: list[str]) -> Iterable[str]:
    """Check an export in the layout of C2SP tlog-tiles."""
    checkpoint = (folder / "checkpoint").read_bytes()
    total, level, at = int(checkpoint.split(b"\n")[1]), 0, 0
    data, hashes = b"".join(tiles_of(folder, "entries", total)), []
    while at < len(data):
        start, at = at + 2, at + 2 + int.from_bytes(data[at : at + 2], "big")
        hashes.append(hashlib.sha256(b"\x00" + data[start:at]).digest())
    demand(len(hashes) == total and at == len(data), "entries are missing or cut off")
    check_heads([(0, one) for one in hashes], checkpoint, heads, keys or (folder / "key").read_text().split(), found)
    while hashes:
        same = b"".join(tiles_of(folder, str(level), len(hashes))) == b"".join(hashes)
        claim(found, f"the tiles of level {level} follow from the entries", demand, same, "they do not")
        level += 1
        for _ in range(8):
            hashes = [root_of([(1, left), (0, right)]) for left, right in zip(hashes[::2], hashes[1::2], strict=False)]
    return [f"{total} events"]


def main(arguments: list[str] | None = None) -> int:
    """Check what the command line names, print what was found, and return the exit code."""
    parser = argparse.ArgumentParser(description="Check an evidence bundle or a tile export of Atesta, offline.")
    parser.add_argument("path", type=Path, help="a bundle, or a folder of tiles")
    parser.add_argument("--key", action="append", default=[], help="the log's public key that you trust, or its file")
    parser.add_argument("--head", action="append", default=[], type=Path, help="a file with a head that you kept")
    options, found = parser.parse_args(arguments), list[str]()
    try:
        keys = [Path(one).read_text() if Path(one).is_file() else one for one in options.key]
        heads = [(f"your head {path.name}", path.read_bytes()) for path in options.head]
        facts = (check_tiles if options.path.is_dir() else check_bundle)(options.path, keys, heads, found)
    except (BrokenError, OSError, EOFError, zlib.error, zipfile.BadZipFile, *MALFORMED) as error:
        sys.stderr.write(f"It cannot be read: {type(error).__name__}: {error}\n")
        return 3
    if not keys:
        found.append("NOT SHOWN  the key is the log's: it came with the bundle. Give the key that you trust with --key")
    broken = sum(line.startswith("FAILS") for line in found)
    end = f"{broken} of these do not hold." if broken else "All that could be checked holds."
    sys.stdout.write("\n".join([*found, "", "What the events say:", *map(shown, facts), "", end]) + "\n")
    return 1 if broken else 0 if keys else 4


if __name__ == "__main__":
    sys.exit(main())
