"""A whole stand-in cluster: each node answers on its own ports, all share a volume. No real cluster is in it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.standin.cluster import ClusterModel
from tests.standin.host import StandInHost
from tests.standin.machine import Machine


class StandInCluster:
    """Use as a context manager. ``nodes`` are whole hosts by name."""

    def __init__(self, folder: Path, *, with_engine: bool = True, with_shares: bool = True) -> None:
        self.model = ClusterModel(folder / "cluster")
        self.nodes = {
            name: StandInHost(folder / f"node-{name}", model=node, with_engine=with_engine, with_shares=with_shares)
            for name, node in self.model.nodes.items()
        }
        self._parts = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as parts:
            for node in self.nodes.values():
                parts.enter_context(node)
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    def owner(self, machine: Machine) -> StandInHost:
        """The node that has the machine now."""
        return self.nodes[self.model.owner(machine).name]

    def take_down(self, node: str, *, fails_over: bool = True) -> None:
        """The node loses its power; its machines come up elsewhere, or stay unreachable."""
        self.nodes[node].power_off()
        self.model.take_down(node, fails_over=fails_over)

    def bring_up(self, node: str) -> None:
        """It is back, on the same ports."""
        self.nodes[node].power_on()
