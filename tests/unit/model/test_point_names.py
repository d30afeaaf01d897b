from __future__ import annotations

from datetime import date

import pytest

from domain.errors import BadInputError
from domain.model.point_names import ById, ByMachine, parse_point_name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("web@latest", ByMachine("web", None)),
        ("web@2026-11-22", ByMachine("web", date(2026, 11, 22))),
        ("mail@home@latest", ByMachine("mail@home", None)),
        ("Büro «1»@latest", ByMachine("Büro «1»", None)),
        ("beef@latest", ByMachine("beef", None)),
        ("beef", ById("beef")),
        ("BEEF1234", ById("beef1234")),
        ("00112233-4455-6677-8899-aabbccddeeff", ById("00112233445566778899aabbccddeeff")),
    ],
)
def test_a_name_is_read(text: str, name: ById | ByMachine) -> None:
    assert parse_point_name(text) == name


@pytest.mark.parametrize(
    "text", ["", "@", "web", "abc", "web@", "@latest", "web@Latest", "web@2026-02-30", "beef beef", "beef\n", "١٢٣٤"]
)
def test_what_names_no_point_is_refused_and_shown_safely(text: str) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_point_name(text)

    assert caught.value.where == repr(text)
