"""The documentation holds against the code: links, paths, commands, keys, exit codes, the chunking rule as written."""

from __future__ import annotations

import importlib.metadata
import json
import re
import shlex
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
import typer.main

from adapters.cli.main import app
from adapters.cli.session import INTERRUPTED, SOME_FAILED
from adapters.cli.verify import VERDICT_NOT_BOOTED
from adapters.configuration import Configuration, initial_text
from adapters.host_configuration import HostSection
from domain.content.chunking import Chunker, ChunkingParameters
from domain.content.keys import RepositoryKeys
from domain.errors import AtestaError
from domain.model.extents import Extent

ROOT = Path(__file__).resolve().parents[3]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
PAGE_NAMES = [str(page.relative_to(ROOT)) for page in PAGES]

_LINK = re.compile(r"\]\(([^)\s]+)\)")
_TICKED = re.compile(r"`([^`\n]+)`")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_PROJECT_PATH = re.compile(r"(?:domain|adapters|verification|tests|docs|benchmarks|\.ci)/[\w./-]*")
_WORD_64 = (1 << 64) - 1
_VECTOR_KEYS = RepositoryKeys.derived_from(bytes(range(32)))


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_every_relative_link_leads_to_a_file(page: Path) -> None:
    targets = [link.partition("#")[0] for link in _LINK.findall(page.read_text(encoding="utf-8"))]
    relative = [target for target in targets if target and "://" not in target and not target.startswith("mailto:")]

    assert [target for target in relative if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_every_project_path_in_backticks_exists(page: Path) -> None:
    ticked = _TICKED.findall(page.read_text(encoding="utf-8"))
    paths = [text for text in ticked if _PROJECT_PATH.fullmatch(text)]

    assert [path for path in paths if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=PAGE_NAMES)
def test_every_command_that_is_shown_exists_with_its_options(page: Path) -> None:
    commands = list(_shown_commands(page.read_text(encoding="utf-8")))

    assert [(line, trouble) for line in commands if (trouble := _trouble_with(line))] == []


@pytest.mark.parametrize(
    "line", ["atesta explode", "atesta points --nonsense", "atesta --nonsense points", "atesta restore -q"]
)
def test_a_command_or_option_that_does_not_exist_is_noticed(line: str) -> None:
    assert _trouble_with(line)


def test_commands_are_found_in_text_and_in_blocks() -> None:
    block = "```sh\nATESTA_PASSPHRASE=x atesta init  # new\n$ atesta status | head -1\n```\n"
    text = f"Use `atesta points`.\n{block}    atesta points\n"

    assert list(_shown_commands(text)) == ["atesta points", "atesta points", "atesta init", "atesta status"]


def test_every_configuration_key_is_documented_with_its_default_and_no_other() -> None:
    of_host = dict(_keys_in_code(HostSection(name="hv1", transport="kerberos"), "host"))
    of_host |= {"host.name": "required", "host.transport": '`"ntlm"`'}
    of_all = dict(_keys_in_code(Configuration(), ""))
    del of_all["host"]
    assert _documented_keys() == of_all | of_host


def test_the_configuration_that_init_writes_is_valid() -> None:
    written = msgspec.toml.decode(initial_text('od"d\\name', ("exports", "more")), type=Configuration)

    assert (written.repository.folder, written.sources.exports) == ('od"d\\name', ("exports", "more"))


def test_the_lines_that_init_writes_as_comments_are_valid_as_well() -> None:
    text = initial_text("repository", ())
    uncommented = re.sub(r"^# (?=\[+[\w.]+\]+$|\w+ = )", "", text, flags=re.MULTILINE)
    written = msgspec.toml.decode(uncommented, type=Configuration)

    assert uncommented != text
    assert written.mail.smtp.user == "atesta"
    assert str(written.retention.policy()) == "last 3, daily 7, weekly 5, monthly 12"
    assert [(one.match, str(one.policy())) for one in written.retention.machines] == [
        ("sql*", "yearly 10, within 30 d")
    ]


def test_every_exit_code_is_documented_with_its_family() -> None:
    kinds: list[type[AtestaError]] = [AtestaError, *AtestaError.__subclasses__()]
    families = {(kind.exit_code, kind.__name__) for kind in kinds}
    special = {(code, "") for code in (0, 2, VERDICT_NOT_BOOTED, SOME_FAILED, INTERRUPTED)}
    rows = re.findall(r"^\| (\d+) \| (?:`(\w+)`)? ?\|", _page("docs/exit-codes.md"), re.MULTILINE)

    assert {(int(code), family) for code, family in rows} == families | special


def test_the_help_names_the_same_exit_codes() -> None:
    documented = re.findall(r"^\| (\d+) \|", _page("docs/exit-codes.md"), re.MULTILINE)

    assert re.findall(r"(?:^|[:;] )(\d+) ", app.info.epilog or "") == documented


@pytest.mark.parametrize("seed_byte", [0, 7, 255])
def test_the_chunking_rule_as_written_gives_the_program_s_cuts(seed_byte: int) -> None:
    seed = bytes([seed_byte]) * 8 + bytes(range(8))
    segment = _striped_segment() + b"\1" * 700
    pieces = Chunker(ChunkingParameters(), seed).cut(memoryview(segment), [Extent(0, len(segment))])

    assert [(piece.length, piece.is_zero) for piece in pieces] == list(_cuts_as_written(segment, seed))


def test_the_cuts_of_the_test_vector_are_those_in_the_page() -> None:
    pieces = _cuts_as_written(_vector_segment(), _VECTOR_KEYS.chunking_seed)
    line = " ".join(f"{length // 4096}{'z' if is_zero else ''}" for length, is_zero in pieces)

    assert f"`{line}`" in _page("docs/formats/disk-map.md")


@pytest.mark.parametrize(
    ("row", "value"),
    [
        ("chunk id key", _VECTOR_KEYS.chunk_id_key),
        ("map id key", _VECTOR_KEYS.map_id_key),
        ("chunking seed", _VECTOR_KEYS.chunking_seed),
        ("chunk id of the 6 bytes `atesta`", _VECTOR_KEYS.chunk_id(b"atesta")),
        ("map id of the 6 bytes `atesta`", _VECTOR_KEYS.map_id(b"atesta")),
    ],
)
def test_the_derived_keys_of_the_test_vector_are_those_in_the_page(row: str, value: bytes) -> None:
    assert f"| {row} | `{value.hex()}` |" in _page("docs/formats/repository.md")


def test_no_other_distribution_has_a_top_level_package_of_our_names() -> None:
    owners = importlib.metadata.packages_distributions()

    assert "msgspec" in owners
    assert {name: set(owners.get(name, [])) - {"atesta"} for name in ("domain", "adapters", "verification")} == {
        "domain": set(),
        "adapters": set(),
        "verification": set(),
    }


def _page(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _shown_commands(text: str) -> Iterator[str]:
    """Every ``atesta ...`` in backticks or at the start of a block's line, up to a pipe, without variables."""
    outside = _FENCE.sub("", text)
    blocks = [line for line in outside.splitlines() if line.startswith("    ")]
    blocks += [line for block in _FENCE.findall(text) for line in block.splitlines()]
    for line in (*_TICKED.findall(outside), *blocks):
        found = re.match(r"\s*(?:\$ |# )?(?:sudo )?(?:[A-Z_]+=\S* )*(atesta [^|;&#>\\]*)", line)
        if found:
            yield found.group(1).strip()


def _trouble_with(line: str) -> str:
    """What the command line would refuse, judged by its own list of commands and options."""
    here: Any = typer.main.get_command(app)
    options = _options_of(here)
    takes_value = False
    for word in shlex.split(line)[1:]:
        if takes_value:
            takes_value = False
        elif word.startswith("-") and len(word) > 1:
            name = word.partition("=")[0]
            if name not in options:
                return f"no option {name}"
            takes_value = options[name] and "=" not in word
        elif hasattr(here, "commands"):
            if word not in here.commands:
                return f"no command {word}"
            here = here.commands[word]
            options = _options_of(here)
    return ""


def _options_of(command: Any) -> dict[str, bool]:
    """Each option, and whether a value follows it."""
    found = {"--help": False}
    for parameter in command.params:
        if parameter.param_type_name == "option":
            found |= dict.fromkeys((*parameter.opts, *parameter.secondary_opts), not parameter.is_flag)
    return found


def _keys_in_code(section: msgspec.Struct, name: str) -> Iterator[tuple[str, str]]:
    for field in msgspec.structs.fields(section):
        value = getattr(section, field.name)
        full_name = f"{name}.{field.name}" if name else field.name
        if isinstance(value, msgspec.Struct):
            yield from _keys_in_code(value, full_name)
        else:
            yield full_name, "not set" if value is None else f"`{json.dumps(value)}`"


def _documented_keys() -> dict[str, str]:
    keys: dict[str, str] = {}
    section = ""
    for line in _page("docs/configuration.md").splitlines():
        if heading := re.fullmatch(r"## (?:\[+([\w.]+)\]+|.*)", line):
            section = heading.group(1) or ""
        elif section and (row := re.match(r"\| `(\w+)` \| [^|]* \| ([^|]*) \|", line)):
            keys[f"{section}.{row.group(1)}"] = row.group(2)
    return keys


def _cuts_as_written(segment: bytes, seed: bytes) -> Iterator[tuple[int, bool]]:
    """The rule of docs/formats/disk-map.md, one sentence after the other, sharing nothing with the program."""
    padded = segment + bytes(-len(segment) % 4096)
    blocks = [padded[at : at + 4096] for at in range(0, len(padded), 4096)]
    marked = [any(block) and _is_marked(block, seed) for block in blocks]
    is_data = [any(block) for block in blocks]
    for first, last in _runs(is_data):
        if not is_data[first] and last - first < 4:
            is_data[first:last] = [True] * (last - first)
    for first, last in _runs(is_data):
        start = first
        while start < last:
            end = last if not is_data[first] else _chunk_end(start, last, marked)
            yield min(end * 4096, len(segment)) - start * 4096, not is_data[first]
            start = end


def _is_marked(block: bytes, seed: bytes) -> bool:
    total = sum(int.from_bytes(block[at : at + 8], "little") for at in range(0, 4096, 8)) & _WORD_64
    w, m = int.from_bytes(seed[:8], "little"), int.from_bytes(seed[8:], "little") | 1
    x = ((total ^ w) * m) & _WORD_64
    x ^= x >> 32
    x = (x * m) & _WORD_64
    x ^= x >> 29
    return x < _WORD_64 // 12


def _chunk_end(start: int, last: int, marked: list[bool]) -> int:
    for end in range(start + 4, min(start + 64, last)):
        if marked[end - 1]:
            return end
    return min(start + 64, last)


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    edges = [0, *(at for at in range(1, len(flags)) if flags[at] != flags[at - 1]), len(flags)]
    return list(pairwise(edges))


def _vector_segment() -> bytes:
    return b"".join(bytes(4096) if 100 <= i < 110 else (i + 1).to_bytes(8, "little") * 512 for i in range(256))


def _striped_segment() -> bytes:
    """Blocks of their own with zero runs of one to five blocks between them, at the start, and long data at the end."""
    parts = [bytes(2 * 4096)]
    for i in range(40):
        parts += [(977 * i + 5).to_bytes(8, "little") * 512 * (1 + i % 9), bytes(4096 * (1 + i % 5))]
    return b"".join(parts) + b"".join((31 * i).to_bytes(8, "little") * 512 for i in range(1, 150))
