from __future__ import annotations

import pytest

from benchmarks.this_machine import short_version


@pytest.mark.parametrize(
    ("printed", "shown"),
    [
        ("restic 0.14.0 compiled with go1.19.8 on linux/amd64", "restic 0.14.0"),
        ("borg 1.2.4\n", "borg 1.2.4"),
        ("atesta 0.1.0", "atesta 0.1.0"),
        ("\n", "unknown"),
    ],
)
def test_a_version_is_the_first_two_words_of_what_a_tool_prints(printed: str, shown: str) -> None:
    assert short_version(printed) == shown
