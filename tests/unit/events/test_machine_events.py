from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from domain.events.machine import changes_between, machine_stream
from domain.model.machines import Firmware
from tests.golden.events.samples import MACHINE


def test_a_machine_that_only_moved_has_not_changed() -> None:
    assert changes_between(MACHINE, replace(MACHINE, host="elsewhere")) == ()


def test_changes_are_named() -> None:
    settings = replace(MACHINE.settings, firmware=Firmware.BIOS, memory_bytes=1 << 30)
    after = replace(MACHINE, name="new", settings=settings, disks=())

    assert changes_between(MACHINE, after) == ("name", "firmware", "memory", "settings", "disks")


def test_the_stream_of_a_machine_is_the_same_in_every_run_and_another_in_every_repository() -> None:
    assert machine_stream(b"r" * 16, "m") == machine_stream(b"r" * 16, "m")
    assert len({machine_stream(b"r" * 16, "m"), machine_stream(b"s" * 16, "m"), machine_stream(b"r" * 16, "n")}) == 3
    assert machine_stream(bytes(16), "m-1") == UUID("e27762a7-8f3f-5cd1-970b-e472eba4d325")
