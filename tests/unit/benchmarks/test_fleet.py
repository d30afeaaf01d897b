"""The model of a fleet: what follows from what, and that its tables say it."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from benchmarks import scale_constants, scale_model
from benchmarks.fleet import Constants, Day, Fleet, Limit, Site, first_day, largest_fleet, limits, simulate
from tests.unit.benchmarks.comparisons import comparison

CONSTANTS = Constants(
    ingest_bytes_per_core_s=800e6,
    duplicate_bytes_per_core_s=2.5e9,
    backup_s=0.05,
    event_bytes=700.0,
    events_a_backup=13,
    event_bytes_a_chunk=38.0,
    index_bytes_a_chunk=49.0,
    known_look_up_s=3e-6,
    insert_s_a_chunk=1e-5,
    map_bytes_a_piece=36.0,
    listed_packs_per_s=100_000.0,
    listing_bytes_a_pack=200.0,
    replayed_chunks_per_s=1e6,
    append_s=1e-3,
)
FLEET = Fleet(days=60)


def last(fleet: Fleet = FLEET, site: Site | None = None, nodes: int = 1) -> Day:
    return list(simulate(fleet, site or Site(), CONSTANTS, nodes=nodes))[-1]


def test_the_same_seed_gives_the_same_year() -> None:
    again = list(simulate(FLEET, Site(), CONSTANTS))

    assert list(simulate(FLEET, Site(), CONSTANTS)) == again
    assert list(simulate(FLEET, Site(), CONSTANTS, seed="another"))[1] != again[1]


def test_the_first_day_takes_what_is_used_and_writes_what_is_shared_once() -> None:
    day = next(simulate(FLEET, Site(), CONSTANTS))

    used = FLEET.disk_bytes * FLEET.used_share
    assert day.read_bytes == pytest.approx(1000 * used)
    assert day.chunks_new * FLEET.chunk_bytes == pytest.approx(used * (1 + 999 * 0.65))
    assert day.chunks_alive == pytest.approx(day.chunks_new)


def test_twice_the_machines_are_twice_of_everything_that_is_kept() -> None:
    one, two = last(), last(dataclasses.replace(FLEET, machines=2000))

    for figure in ("chunks_alive", "packs", "event_store_bytes", "index_bytes", "events"):
        assert getattr(two, figure) == pytest.approx(2 * getattr(one, figure), rel=0.1), figure


def test_more_nodes_and_more_cores_shorten_a_night_and_a_narrow_network_bounds_it() -> None:
    assert last(nodes=4).night_s < last(nodes=2).night_s < last().night_s
    assert last(site=Site(cores=64)).night_s < last().night_s
    narrow = last(site=Site(cores=64, network_bytes_per_s=1e8))
    assert narrow.night_s == pytest.approx(narrow.read_bytes / 1e8)


def test_an_index_that_does_not_fit_into_memory_makes_nights_longer() -> None:
    slow_disk = Site(memory_bytes=1 << 30, disk_reads_per_s=1000.0)

    assert last(site=slow_disk).night_s > 1.5 * last(site=Site(memory_bytes=1 << 43)).night_s


def test_kept_points_hold_more_and_more_until_retention_is_full() -> None:
    days = list(simulate(Fleet(days=600), Site(), CONSTANTS))

    assert days[0].chunks_alive < days[7].chunks_alive < days[35].chunks_alive < days[400].chunks_alive
    assert days[600].chunks_alive == days[400].chunks_alive
    assert days[600].chunks_written > days[400].chunks_written, "what is written goes on"


def test_what_ends_is_found_on_the_day_it_ends_and_a_small_fleet_ends_nowhere() -> None:
    always = Limit(name="days", unit="days", value=lambda day: day.number, bound=10.0, takes_over="")
    assert (found := first_day(list(simulate(FLEET, Site(), CONSTANTS)), always)) is not None
    assert found.number == 11

    small = Fleet(machines=5, days=365)
    days = list(simulate(small, Site(), CONSTANTS))
    ends = {one.name: first_day(days, one) for one in limits(small, Site(), CONSTANTS)}
    assert set(ends.values()) == {None}, ends


def test_the_largest_fleet_for_which_nothing_ends_is_found() -> None:
    largest = largest_fleet(Fleet(days=60), Site(), CONSTANTS)

    def ends(machines: int) -> bool:
        fleet = Fleet(machines=machines, days=60)
        days = list(simulate(fleet, Site(), CONSTANTS))
        return any(first_day(days, one) for one in limits(fleet, Site(), CONSTANTS))

    assert largest > 5
    assert not ends(largest)
    assert ends(largest + 1)


def test_the_tables_name_what_ends_first_at_the_top_and_show_every_constant() -> None:
    text = scale_model.as_markdown(Fleet(days=365), Site(), CONSTANTS, comparison().machine)

    table = text.split("| what ends on one node |")[1]
    assert table.splitlines()[2].startswith("| listing all packs")
    assert "not in a year" in table
    assert {field.name for field in dataclasses.fields(Constants)} == set(scale_model._CONSTANTS)
    assert "| a disk map, bytes for each piece | 36.0 |" in text


def test_every_constant_is_measured(tmp_path: Path) -> None:
    found = scale_constants.measured(tmp_path, images_of=_two_images(tmp_path), chunks=50_000, packs=400)

    assert all(value > 0 for value in dataclasses.asdict(found).values())
    assert 36 <= found.event_bytes_a_chunk < 60
    assert 36 <= found.map_bytes_a_piece < 40


def _two_images(folder: Path) -> list[Path]:
    paths = [folder / f"{number}.raw" for number in range(2)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes([number + 1]) * 299_520 + bytes(range(256)) * 4000)
    return paths
