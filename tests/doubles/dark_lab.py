"""A lab whose machines switch off at once, with a picture: a verification without a guest, whose verdict is FAILED."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from adapters.labs.qemu import QemuLab
from domain.ports.lab import Frame, LabMachine, LabPlan, Observation

NOT_BOOTED = 8
"""The exit code of its verifications."""


class SwitchedOff:
    """Shows two pictures and is off."""

    accelerator = "none"

    def __init__(self) -> None:
        self._looks = 0

    def observe(self) -> Observation:
        self._looks += 1
        frame = Frame(width=64, height=48, rgb=bytes([90 * self._looks]) * (64 * 48 * 3))
        return Observation(
            elapsed_s=float(self._looks),
            frame=frame,
            running=self._looks < 2,
            resets=0,
            cpu_s=1.0,
            disk_reads=1,
            end_reason="the guest powered itself off",
        )

    def press_key(self) -> None:
        return


@contextmanager
def _powered_on(_lab: QemuLab, _plan: LabPlan) -> Iterator[LabMachine]:
    yield SwitchedOff()


def use_dark_lab(patch: pytest.MonkeyPatch) -> None:
    """Let every verification of this process, and of its forks, go to this lab."""
    patch.setattr(QemuLab, "powered_on", _powered_on)
