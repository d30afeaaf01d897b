"""``atesta backup --profile``: measuring each backup of a command, and how its profile looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID

from rich.console import Console
from rich.text import Text

from adapters.cli.presentation import human_size, print_table
from adapters.stage_clock import StageClock
from domain.model.stages import Stage, StageProfile, held_back_by

if TYPE_CHECKING:
    from domain.workflows.backup_terms import BackupSummary
    from domain.workflows.vault import Vault


class Profiling:
    """The profiles of a command's backups by their ids; ``workers`` are those of each backup."""

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._clock = StageClock()
        self.profiles: dict[UUID, StageProfile] = {}

    def listening(self, vault: Vault) -> Vault:
        """The vault, with the clock listening to what is done with it."""
        return replace(vault, stages=self._clock)

    def measured(self, back_up: Callable[[], BackupSummary]) -> BackupSummary:
        """Do one backup and keep its profile."""
        with self._clock.run(self._workers):
            summary = back_up()
        self.profiles[summary.backup_id] = self._clock.profile()
        return summary


def print_profile(out: Console, profile: StageProfile, read_bytes: int) -> None:
    """The table of stages, the rate, and what held the backup back."""
    print_table(
        out, ("  STAGE", "WORKERS>", "SHARE>", "CPU>", "THE RUN ITSELF>"), [_row(profile, one) for one in Stage]
    )
    workers = "1 worker" if profile.workers == 1 else f"{profile.workers} workers"
    rate = read_bytes / profile.elapsed_s if profile.elapsed_s else 0.0
    cpu = f"{profile.process_cpu_s:.2f} s, {profile.other_threads_cpu_s:.2f} s of it by threads that write"
    lines = (
        f"{profile.elapsed_s:.2f} s by {workers}; {human_size(rate)}/s read; processor time {cpu}",
        f"ready to run and without a processor for {profile.queued_s:.2f} s of the workers' time",
        f"held back by {held_back_by(profile)}",
    )
    for line in lines:
        out.print(Text(f"  {line}"))


def described_profile(profile: StageProfile, read_bytes: int) -> dict[str, object]:
    """The same for a script."""
    return {
        "elapsed_s": profile.elapsed_s,
        "workers": profile.workers,
        "stages": {
            stage.value: {
                "wall_s": profile.by_workers[stage].wall_s,
                "share": profile.share(stage),
                "cpu_s": profile.by_workers[stage].cpu_s,
                "run_wall_s": profile.by_run[stage].wall_s,
                "run_cpu_s": profile.by_run[stage].cpu_s,
            }
            for stage in Stage
        },
        "process_cpu_s": profile.process_cpu_s,
        "other_threads_cpu_s": profile.other_threads_cpu_s,
        "queued_s": profile.queued_s,
        "read_bytes_per_s": read_bytes / profile.elapsed_s if profile.elapsed_s else 0.0,
        "held_back_by": held_back_by(profile),
    }


def _row(profile: StageProfile, stage: Stage) -> tuple[str, ...]:
    time = profile.by_workers[stage]
    return (
        f"  {stage}",
        f"{time.wall_s:.2f} s",
        f"{profile.share(stage):.1%}",
        f"{time.cpu_s:.2f} s",
        f"{profile.by_run[stage].wall_s:.2f} s",
    )
