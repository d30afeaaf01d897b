"""What Atesta needs at run time: none of it is under the GPL or AGPL, and NOTICE names all of it."""

from __future__ import annotations

import re
from importlib.metadata import Distribution, distribution
from pathlib import Path

import pytest

NOTICE = (Path(__file__).resolve().parents[3] / "NOTICE").read_text(encoding="utf-8")
# A name of the licence that is not part of LGPL, nor of one with an exception for linking.
_GPL = re.compile(r"(?<!L)(?<!LESSER )\bA?GPL|(?<!LESSER )GENERAL PUBLIC", re.IGNORECASE)
_REQUIREMENT = re.compile(r"([A-Za-z0-9._-]+)[^;]*(?:;(.*))?")


def licence_words(one: Distribution) -> list[str]:
    """What the metadata say of the licence, without the texts themselves."""
    said = [text.partition("\n")[0] for key in ("License-Expression", "License") for text in _field(one, key)]
    return [*said, *(name for name in _field(one, "Classifier") if name.startswith("License"))]


def _field(one: Distribution, key: str) -> list[str]:
    found: list[str] = one.metadata.get_all(key) or []
    return found


def needed(name: str, seen: dict[str, Distribution]) -> dict[str, Distribution]:
    """A distribution and everything that it brings along, without extras."""
    if name not in seen:
        seen[name] = distribution(name)
        for line in seen[name].requires or ():
            match = _REQUIREMENT.match(line)
            assert match
            if not match[2] or not re.search("extra|win32|python_version|platform|implementation", match[2]):
                needed(match[1].lower(), seen)
    return seen


NEEDED = needed("atesta", {})


@pytest.mark.parametrize("name", sorted(NEEDED))
def test_no_dependency_is_under_the_gpl(name: str) -> None:
    assert not [words for words in licence_words(NEEDED[name]) if _GPL.search(words)]


@pytest.mark.parametrize("name", sorted(set(NEEDED) - {"atesta"}))
def test_every_dependency_is_named_in_notice(name: str) -> None:
    assert re.sub("[-_.]+", "-", name) in re.sub("[-_.]+", "-", NOTICE.lower())


@pytest.mark.parametrize(
    "words",
    ["GPL-2.0-only", "License :: OSI Approved :: GNU General Public License v2 (GPLv2)", "AGPL-3.0-or-later", "GPLv3"],
)
def test_the_gpl_is_noticed(words: str) -> None:
    assert _GPL.search(words)


@pytest.mark.parametrize(
    "words",
    ["LGPL-2.0-or-later", "License :: OSI Approved :: GNU Lesser General Public License v2 or later (LGPLv2+)", "MIT"],
)
def test_the_lesser_gpl_is_another_licence(words: str) -> None:
    assert not _GPL.search(words)
