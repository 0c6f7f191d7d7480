import socket
from datetime import timedelta
from pathlib import Path

import pytest
from torch.distributed.rendezvous import rendezvous

from slurm.environment import Place
from slurm.network import (
    address_of,
    address_towards,
    hold_port,
    interface_towards,
    is_loopback,
    own_address,
    resolved,
)
from slurm.rendezvous import GLOO_INTERFACE, meeting, ports_of
from tests.programs import Programs

ELSEWHERE = "192.0.2.1"  # an address that nobody has: RFC 5737


def place(*, node: str, counts: str = "1(x2)", rank: int = 0) -> dict[str, str]:
    """What SLURM tells one of two processes, each on a node of its own."""
    return {
        "SLURM_JOB_ID": "7",
        "SLURMD_NODENAME": node,
        "SLURM_NTASKS": "2",
        "SLURM_PROCID": str(rank),
        "SLURM_NODEID": str(rank),
        "SLURM_STEP_TASKS_PER_NODE": counts,
        "SLURM_JOB_NODELIST": "the_nodes",
        "SLURM_CPUS_PER_TASK": "6",
    }


@pytest.fixture
def own_way_out() -> str:
    """The address of this machine on its network."""
    try:
        return address_towards(ELSEWHERE)
    except OSError:
        pytest.skip("this machine has no network beside its loopback")


@pytest.mark.parametrize(
    "counts, node, on_node", [("4", 0, 4), ("4(x2),3", 1, 4), ("4(x2),3", 2, 3), ("1(x3)", 2, 1)]
)
def test_a_rank_knows_how_many_share_its_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, counts: str, node: int, on_node: int
) -> None:
    told = place(node=ELSEWHERE, counts=counts)
    for name, value in {**told, "SLURM_NTASKS": "11", "SLURM_NODEID": str(node)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv(GLOO_INTERFACE, "any")
    here = Place.current()
    assert (here.num_local_ranks, here.cpus) == (on_node, 6)
    with meeting(tmp_path / "rendezvous", here) as variables:
        assert variables["LOCAL_WORLD_SIZE"] == str(on_node)


def test_outside_slurm_nobody_says_how_many_processors_there_are(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("SLURM_CPUS_PER_TASK", "SLURM_STEP_TASKS_PER_NODE", "SLURM_NODEID"):
        monkeypatch.delenv(name, raising=False)
    here = Place.current()
    assert (here.num_local_ranks, here.cpus) == (1, None)


def test_a_node_whose_name_leads_to_its_loopback_gives_others_its_address_on_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Programs, own_way_out: str
) -> None:
    programs.add("scontrol", f"print('localhost {ELSEWHERE}')")
    monkeypatch.delenv(GLOO_INTERFACE, raising=False)
    for name, value in place(node="localhost").items():
        monkeypatch.setenv(name, value)
    with meeting(tmp_path / "rendezvous", Place.current()) as told:
        assert told["MASTER_ADDR"] == own_way_out
    own_host = resolved(socket.gethostname())
    if own_host is None or is_loopback(own_host):  # gloo would listen there
        assert told[GLOO_INTERFACE] == interface_towards(ELSEWHERE)


def test_a_node_whose_name_leads_to_its_network_gives_that_address(programs: Programs) -> None:
    assert own_address(ELSEWHERE, "the_nodes") == ELSEWHERE  # without a word from SLURM


def test_the_processes_of_one_node_meet_on_its_loopback(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in place(node="no.such.name.invalid", counts="2").items():
        monkeypatch.setenv(name, value)
    with meeting(tmp_path / "rendezvous", Place.current()) as told:
        assert told["MASTER_ADDR"] == "127.0.0.1"
    assert GLOO_INTERFACE not in told


def test_a_name_that_does_not_resolve_is_asked_of_slurm(programs: Programs) -> None:
    programs.add("scontrol", f"print('NodeName=x NodeAddr={ELSEWHERE} NodeHostName=y')")
    assert address_of("no.such.name.invalid") == ELSEWHERE


def test_the_loopback_is_reached_by_its_own_interface() -> None:
    assert interface_towards("127.0.0.12") == "lo"


def test_a_port_is_kept_for_the_job_until_its_processes_listen() -> None:
    ports = list(ports_of("7"))
    with hold_port(ports) as first, hold_port(ports) as second:
        port = first.getsockname()[1]
        assert second.getsockname()[1] != port  # another job of the same number
        with socket.socket() as foreign, pytest.raises(OSError, match="in use"):
            foreign.bind(("", port))
        address = f"tcp://127.0.0.1:{port}"
        store, _, _ = next(rendezvous(address, 0, 1, timeout=timedelta(seconds=30)))
        assert store.port == port
        with hold_port(ports) as third:
            assert third.getsockname()[1] not in (port, second.getsockname()[1])


def test_where_all_ports_are_taken_they_are_named() -> None:
    with socket.socket() as taken:
        taken.bind(("", 0))
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"ports {port} to {port} are all taken"):
            hold_port([port])
