"""The arithmetic of benchmarks/roofline.py."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.roofline import (
    Load,
    Rates,
    again_steps,
    as_markdown,
    ideal_seconds,
    ingest_steps,
    measure_rates,
    restore_steps,
    stages_as_markdown,
)
from domain.model.stages import Stage, StageProfile, StageTime

RATES = Rates(
    copy=20.0,
    read=10.0,
    cut=50.0,
    hash=25.0,
    compress=2.0,
    decompress=4.0,
    seal=5.0,
    open=5.0,
    digest=10.0,
    write=100.0,
)
LOAD = Load(disk_bytes=100, plain_bytes=40, packed_bytes=20)


def test_an_ingest_reads_cuts_and_hashes_all_and_compresses_what_is_new() -> None:
    assert ingest_steps(LOAD, RATES) == {
        "read": 10.0,
        "cut": 2.0,
        "BLAKE3 of chunks": 4.0,
        "zstandard": 20.0,
        "AES-GCM": 4.0,
        "BLAKE3 of packs": 2.0,
    }


def test_what_is_stored_already_is_read_cut_and_hashed_only() -> None:
    assert again_steps(LOAD, RATES) == {"read": 10.0, "cut": 2.0, "BLAKE3 of chunks": 4.0}


def test_a_restore_reads_packs_and_hashes_what_it_writes() -> None:
    assert restore_steps(LOAD, RATES) == {"read": 2.0, "AES-GCM": 4.0, "zstandard": 10.0, "BLAKE3 of chunks": 4.0}


@pytest.mark.parametrize(("cores", "write", "expected"), [(1, 100.0, 42.0), (2, 100.0, 21.0), (2, 0.5, 40.0)])
def test_the_ideal_is_as_fast_as_its_cores_or_its_disk(cores: int, write: float, expected: float) -> None:
    steps = ingest_steps(LOAD, RATES)

    assert ideal_seconds(steps, LOAD.packed_bytes, replace(RATES, write=write), cores) == expected


def test_the_table_shows_shares_and_how_near_the_real_one_comes() -> None:
    table = as_markdown("ingest", ingest_steps(LOAD, RATES), LOAD.packed_bytes, RATES, cores=2, real_s=28.0)

    assert "| zstandard | 20.00 | 48% |" in table
    assert "| ideal on 2 cores | 21.00 | |" in table
    assert "| real | 28.00 | 0.75 of the ideal's speed |" in table


def test_each_stage_of_the_real_run_stands_beside_what_it_takes_alone() -> None:
    times = {**dict.fromkeys(Stage, StageTime()), Stage.COMPRESSING: StageTime(30.0, 29.0)}
    profile = StageProfile(elapsed_s=28.0, workers=2, by_workers=times, by_run=times, process_cpu_s=30.0)

    table = stages_as_markdown(ingest_steps(LOAD, RATES), 0.2, profile)

    assert "| compressing | 20.00 | 30.00 | 54% | 29.00 |" in table
    assert "| hashing | 6.00 |" in table, "chunks and packs"
    assert "| writing | 0.20 |" in table
    assert "| waiting |  |" in table
    assert "Held back by the processor, mostly compressing" in table


def test_every_step_is_measured(tmp_path: Path) -> None:
    image = tmp_path / "image"
    image.write_bytes(b"some content of a disk, again and again " * 300_000)

    rates = measure_rates(image, tmp_path)

    assert all(getattr(rates, name) > 0 for name in Rates.__slots__)
