from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from benchmarks.report import as_markdown, write_between_markers
from domain.errors import BadInputError
from tests.unit.benchmarks.comparisons import comparison


def row(text: str, name: str) -> list[str]:
    """The cells of the first table row that starts with ``name``."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_a_row_says_time_spread_rate_cpu_memory_and_stored_bytes() -> None:
    assert row(as_markdown(comparison()), "atesta") == [
        "atesta",
        "2.00 s (1.00-9.00)",
        "150 MB/s",
        "4.0 s",
        "100 MiB",
        "80.0 MB",
        "1.00 s (1.00-1.00)",
        "200 MB/s",
        "1.0 s",
        "50 MiB",
    ]


def test_ratios_are_of_medians_with_the_first_tool_as_ours() -> None:
    ratios = as_markdown(comparison()).split("| atesta beside |")[1]
    assert row(ratios, "other") == [
        "other",
        "10.0 times as fast",
        "3.0 times as fast",
        "",
        "0.800 of the bytes",
    ]


def test_holes_load_versions_and_command_lines_are_told() -> None:
    text = as_markdown(comparison())
    assert row(text, "install-a.img") == ["install-a.img", "100 MB", "800 MB"]
    for told in ("load before: 0.25", "other 1.0", "`other take IMAGES`", "page cache warm", "3 interleaved rounds"):
        assert told in text


def test_only_what_stands_between_the_markers_is_replaced(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    file.write_text("before\n<!-- peers a -->\nold\n<!-- end of peers a -->\nafter\n")
    write_between_markers(file, "peers a", "new")
    write_between_markers(file, "peers a", "newer")
    assert file.read_text() == "before\n<!-- peers a -->\nnewer\n<!-- end of peers a -->\nafter\n"


def test_a_document_without_the_markers_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "benchmarks.md"
    file.write_text("<!-- peers a -->\nnever ends\n")
    with pytest.raises(BadInputError, match="markers"):
        write_between_markers(file, "peers a", "new")
    assert file.read_text() == "<!-- peers a -->\nnever ends\n"


def test_a_second_ingest_has_a_table_and_a_ratio_when_all_tools_measured_it() -> None:
    plain = comparison()
    tools = tuple(
        msgspec.structs.replace(
            tool, rounds=tuple(msgspec.structs.replace(one, again=one.restore) for one in tool.rounds)
        )
        for tool in plain.tools
    )
    text = as_markdown(msgspec.structs.replace(plain, tools=tools))

    assert "| the same images again, all of them read | time |" in text
    assert row(text.split("| atesta beside |")[1], "other")[3] == "3.0 times as fast"
    assert "the same images again" not in as_markdown(plain)
