from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import BadInputError
from domain.model.machines import Machine
from domain.ports.catalog import RestorePoint
from domain.workflows.selection import select_machines, select_point
from tests.doubles.restore_points import NOON, restore_point
from tests.doubles.scripted_source import machine_with


def machine(name: str, machine_id: str) -> Machine:
    return machine_with([], name=name, machine_id=machine_id)


def point(sequence: int, of: Machine, *, taken_at: datetime = NOON, point_id: str = "") -> RestorePoint:
    identity = UUID(point_id.ljust(32, "0")) if point_id else UUID(int=sequence)
    return restore_point(of, point_id=identity, sequence=sequence, taken_at=taken_at)


WEB, DB = machine("Web", "m-1"), machine("db", "m-2")


def test_latest_is_by_commit_and_not_by_clock() -> None:
    points = [point(1, WEB), point(2, WEB, taken_at=NOON - timedelta(days=3)), point(3, DB)]

    assert select_point(points, "web@latest").sequence == 2


def test_a_machine_is_named_by_its_id_too_and_case_does_not_matter() -> None:
    assert select_point([point(1, WEB), point(2, DB)], "M-1@LATEST".replace("LATEST", "latest")).sequence == 1


def test_a_day_takes_the_last_point_of_that_day() -> None:
    days = [NOON - timedelta(days=1), NOON, NOON + timedelta(minutes=1), NOON + timedelta(days=1)]
    points = [point(number, WEB, taken_at=at) for number, at in enumerate(days)]
    local_day = NOON.astimezone().date().isoformat()

    assert select_point(points, f"web@{local_day}").sequence == 2


def test_a_point_is_named_by_the_start_of_its_id_however_it_is_typed() -> None:
    points = [point(1, WEB, point_id="abcd1234"), point(2, WEB, point_id="abcd5678")]

    assert select_point(points, "abcd1").sequence == 1
    assert select_point(points, "ABCD-5678").sequence == 2
    assert select_point(points, str(points[0].point_id)).sequence == 1


def test_a_start_that_fits_several_points_is_refused() -> None:
    with pytest.raises(BadInputError, match="Several restore points"):
        select_point([point(1, WEB, point_id="abcd1234"), point(2, WEB, point_id="abcd5678")], "abcd")


def test_a_name_of_several_machines_is_refused_but_their_ids_are_not() -> None:
    points = [point(1, WEB), point(2, machine("WEB", "m-3"))]

    with pytest.raises(BadInputError, match="Several machines"):
        select_point(points, "web@latest")
    assert select_point(points, "m-3@latest").sequence == 2


def test_a_machine_whose_name_holds_an_at_sign_is_found() -> None:
    points = [point(1, machine("mail@home", "m-4")), point(2, machine("mail", "m-5"))]

    assert select_point(points, "mail@home@latest").sequence == 1
    assert select_point(points, "mail@latest").sequence == 2


@pytest.mark.parametrize("text", ["nobody@latest", "web@1999-01-01", "abcdef", "00000000ff"])
def test_a_point_that_is_not_there_is_told(text: str) -> None:
    with pytest.raises(BadInputError, match="no such"):
        select_point([point(1, WEB)], text)


@pytest.mark.parametrize("text", ["", "@", "@latest", "web", "web@", "web@yesterday", "web@2026-13-01", "abc", "xyz1"])
def test_a_text_that_names_no_point_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="names no restore point"):
        select_point([point(1, WEB)], text)


def test_expired_points_are_never_chosen() -> None:
    gone = replace(point(2, WEB, point_id="abcd1234"), expired_at=NOON, expired_reason="last 7: not among the last 7")
    points = [point(1, WEB, point_id="abcd5678"), gone]

    assert select_point(points, "web@latest").sequence == 1
    assert select_point(points, "abcd").sequence == 1


def test_an_expired_point_s_id_tells_when_and_why_it_expired() -> None:
    gone = replace(point(2, WEB, point_id="abcd1234"), expired_at=NOON, expired_reason="last 7: not among the last 7")

    with pytest.raises(BadInputError, match=r"expired on 2026-11-22 .* \(last 7: not among the last 7\)"):
        select_point([point(1, WEB), gone], "abcd1234")


def test_machines_are_chosen_by_patterns_and_ids_each_once() -> None:
    machines = [WEB, DB, machine("web-2", "m-3")]

    assert [one.machine_id for one in select_machines(machines, ["WEB*", "m-1", "d?"])] == ["m-1", "m-3", "m-2"]
    assert select_machines(machines, []) == tuple(machines)


def test_a_machine_whose_name_looks_like_a_pattern_is_chosen_by_its_name() -> None:
    odd = machine("db[1]*", "m-9")

    assert select_machines([WEB, odd], ["DB[1]*"]) == (odd,)


def test_a_pattern_that_fits_nothing_is_told() -> None:
    with pytest.raises(BadInputError, match="No machine matches"):
        select_machines([WEB], ["web", "nobody"])


def test_points_keep_the_machine_as_it_was_named_then() -> None:
    renamed = replace(WEB, name="front")

    assert select_point([point(1, WEB), point(2, renamed)], "web@latest").sequence == 1
    assert select_point([point(1, WEB), point(2, renamed)], "m-1@latest").sequence == 2
