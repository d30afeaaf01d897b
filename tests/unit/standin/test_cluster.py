"""Nodes that share a volume: a machine has one owner, moves with its checkpoints, and comes up elsewhere."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from adapters.hyperv.errors import HostUnreachableError, NotOnHostError
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.shells import RemoteVerbs
from tests.standin.cim_service import CimService
from tests.standin.cluster import ClusterModel
from tests.standin.cluster_host import StandInCluster
from tests.standin.engine import CLUSTER_MODULES, MODULES, find_engine, needs_engine
from tests.standin.machine import Machine
from tests.standin.model import JOB_STARTED
from tests.standin.samba import why_not
from tests.standin.verb_answers import ModelCaller
from tests.unit.disks.vhdx_images import MIB
from tests.unit.standin.smb_reading import first_bytes

BLOCK = bytes(range(256)) * 2


@pytest.fixture
def cluster(tmp_path: Path) -> ClusterModel:
    return ClusterModel(tmp_path / "cluster")


@pytest.fixture
def machine(cluster: ClusterModel) -> Machine:
    return cluster.add_machine("web", [bytes(MIB)], owner="HV01")


def host(cluster: ClusterModel, node: str) -> HyperVHost:
    return HyperVHost(ModelCaller(cluster.nodes[node]), sleep=lambda _: None)


def test_a_machine_is_on_its_owner_only_and_its_files_are_on_every_node(
    cluster: ClusterModel, machine: Machine
) -> None:
    assert [[each.name for each in host(cluster, node).list_machines()] for node in cluster.nodes] == [["web"], [], []]
    assert host(cluster, "HV02").host_facts().cluster == "CLUSTER"
    path = machine.disks[0].leaf.path
    assert path.startswith("C:\\ClusterStorage\\Volume1\\web\\")
    files = {cluster.nodes[node].local_path(path).resolve() for node in cluster.nodes}
    assert len(files) == 1


def test_checkpoints_and_reference_points_move_with_a_machine(cluster: ClusterModel, machine: Machine) -> None:
    first = host(cluster, "HV01")
    started = first.take_checkpoint(machine.id, consistency=2)
    checkpoint = first.wait(started.job, 60).id_of("Msvm_VirtualSystemSettingData")
    cluster.move(machine, "HV03")
    with pytest.raises(NotOnHostError):
        first.convert_checkpoint(machine.id, checkpoint)
    after = host(cluster, "HV03")
    machine.write(0, 0, BLOCK)
    after.wait(after.convert_checkpoint(machine.id, checkpoint).job, 60)
    cluster.nodes["HV03"].advance(5)
    assert len(after.reference_points(machine.id)) == 1
    assert cluster.leftovers() == []
    cluster.move(machine, "HV01", keeps_reference_points=False)
    assert first.reference_points(machine.id) == ()
    assert machine.content()[:512] == BLOCK


def test_a_job_of_the_old_owner_is_not_done(cluster: ClusterModel, machine: Machine) -> None:
    model = cluster.nodes["HV01"]
    outcome = model.create_recovery_checkpoint(machine.id, consistency=2, ignore=False)
    assert outcome.code == JOB_STARTED
    with pytest.raises(ValueError, match="cannot move"):
        cluster.move(machine, "HV02")
    cluster.take_down("HV01")
    assert cluster.owner(machine).name == "HV02"
    assert machine.checkpoints == []
    assert machine.status == [2]


def test_a_node_that_is_down_does_not_answer(cluster: ClusterModel, machine: Machine) -> None:
    cluster.take_down("HV01", fails_over=False)
    with pytest.raises(HostUnreachableError):
        host(cluster, "HV01").list_machines()
    assert host(cluster, "HV02").list_machines() == ()
    assert cluster.node_state("HV01") == 1
    cluster.bring_up("HV01")
    assert [each.name for each in host(cluster, "HV01").list_machines()] == ["web"]


@needs_engine
def test_the_cluster_s_cmdlets_tell_owners_by_the_machine_s_id(cluster: ClusterModel, machine: Machine) -> None:
    cluster.move(machine, "HV02")
    cluster.take_down("HV03")
    script = (
        "(Get-Cluster).Name;"
        'Get-ClusterNode | ForEach-Object { "$($_.Name)=$($_.State)" };'
        "foreach ($r in Get-ClusterResource) { if ($r.ResourceType -eq 'Virtual Machine') {"
        ' "$(($r | Get-ClusterParameter VmID).Value) $($r.OwnerNode.Name)" } };'
        "Get-ClusterGroup | Where-Object { $_.GroupType -eq 'VirtualMachine' } | ForEach-Object { $_.OwnerNode.Name }"
    )
    with CimService(cluster.nodes["HV01"]) as service:
        environment = {**service.environment, "PSModulePath": f"{MODULES}:{CLUSTER_MODULES}", "PATH": "/usr/bin:/bin"}
        done = subprocess.run(
            [str(find_engine()), "-NoProfile", "-Command", script], env=environment, capture_output=True, check=True
        )
    assert done.stdout.decode().split("\n")[:-1] == [
        *("CLUSTER", "HV01=0", "HV02=0", "HV03=1"),
        *(f"{machine.id} HV02", "HV02"),
    ]


@pytest.mark.process
@pytest.mark.skipif(bool(why_not()), reason=why_not() or "it runs")
def test_each_node_answers_by_itself_and_serves_the_shared_volume(tmp_path: Path) -> None:
    with StandInCluster(tmp_path, with_engine=False) as cluster:
        machine = cluster.model.add_machine("web", [bytes(MIB)], owner="HV01")
        path = machine.disks[0].leaf.path
        outcome = cluster.model.nodes["HV01"].create_recovery_checkpoint(machine.id, consistency=2, ignore=False)
        cluster.model.nodes["HV01"].advance(5)
        assert outcome.code == JOB_STARTED
        cluster.model.move(machine, "HV02")
        for name, node in cluster.nodes.items():
            verbs = RemoteVerbs(node.connection())
            assert len(HyperVHost(verbs).list_machines()) == (name == "HV02")
            verbs.close()
            assert node.smb.unc(path).startswith("\\\\127.0.0.1\\C$\\ClusterStorage\\Volume1\\")
            assert first_bytes(node.smb, path) == b"vhdxfile"
        cluster.take_down("HV02")
        assert cluster.owner(machine) is cluster.nodes["HV01"]
        cluster.bring_up("HV02")
        verbs = RemoteVerbs(cluster.nodes["HV02"].connection())
        assert HyperVHost(verbs).list_machines() == ()
        verbs.close()
