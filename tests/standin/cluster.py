"""A stand-in for a failover cluster: hosts that share volumes, machines that have an owner and move."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.standin.machine import Machine, State
from tests.standin.model import HostModel, NotThereError

UP, DOWN = 0, 1
VOLUME = "C:\\ClusterStorage\\Volume1"


class ClusterModel:
    """Nodes with one shared volume, ``C:\\ClusterStorage\\Volume1``, which each node serves as its own folder."""

    def __init__(self, folder: Path, *, name: str = "CLUSTER", nodes: Sequence[str] = ("HV01", "HV02", "HV03")) -> None:
        self.name = name
        shared = folder / "volumes"
        (shared / "Volume1").mkdir(parents=True)
        self.nodes: dict[str, HostModel] = {}
        for node in nodes:
            model = HostModel(folder / node, name=node)
            (model.drives["C"] / "ClusterStorage").symlink_to(shared, target_is_directory=True)
            model.cluster = name
            model.of_cluster = self
            self.nodes[node] = model

    def add_machine(
        self, name: str, disks: Sequence[bytes | Path], *, owner: str, machine_id: str | None = None
    ) -> Machine:
        """A machine on the shared volume."""
        home = f"{VOLUME}\\{name}"
        return self.nodes[owner].add_machine(name, disks, machine_id=machine_id, home=home)

    def owner(self, machine: Machine) -> HostModel:
        """The node that has the machine now. Raises NotThereError."""
        for node in self.nodes.values():
            if machine.id in node.machines:
                return node
        raise NotThereError(machine.name)

    def move(self, machine: Machine, to: str, *, keeps_reference_points: bool = True) -> None:
        """A live migration: the machine runs on, its checkpoints come with it, jobs of the old owner do not.

        Raises ValueError when the machine or the node is not fit for it.
        """
        before, after = self.owner(machine), self.nodes[to]
        if not (before.is_up and after.is_up) or machine.activities:
            raise ValueError(f"{machine.name} cannot move to {to} now")
        before.release(machine)
        after.adopt(machine)
        if not keeps_reference_points:
            after.lose_reference_points(machine)

    def take_down(self, node: str, *, fails_over: bool = True) -> None:
        """A node loses its power. Its machines come up on the next one that is up, or stay unreachable."""
        lost = self.nodes[node]
        lost.is_up = False
        lost.reboot()
        up = [model for model in self.nodes.values() if model.is_up]
        if not fails_over or not up:
            return
        for machine in tuple(lost.machines.values()):
            lost.release(machine)
            up[0].adopt(machine)

    def bring_up(self, node: str) -> None:
        """It is back, without the machines that went elsewhere."""
        self.nodes[node].is_up = True

    def leftovers(self) -> list[str]:
        """What no backup may leave behind, on any node."""
        return [entry for node in self.nodes.values() for entry in node.leftovers()]

    def node_state(self, node: str) -> int:
        return UP if self.nodes[node].is_up else DOWN

    def groups(self) -> list[tuple[Machine, str]]:
        """Each machine's group with its owner."""
        return [(machine, name) for name, node in self.nodes.items() for machine in node.machines.values()]

    def group_state(self, machine: Machine) -> str:
        return "Online" if machine.state is State.RUNNING and self.owner(machine).is_up else "Offline"
