"""How many trials a cluster has room for, read off its nodes; no Ray is started."""

import pytest

from search.config import ResourceSettings
from search.driver import cluster
from search.errors import FailedError

NODES = [{"CPU": 8.0, "GPU": 2.0}, {"CPU": 3.0}]


@pytest.fixture(autouse=True)
def nodes(monkeypatch):
    monkeypatch.setattr(cluster, "node_resources", lambda: NODES)


@pytest.mark.parametrize(("cpus", "gpus", "slots"), [(1, 0, 11), (2, 0, 5), (1, 1, 2), (1, 0.5, 4), (8, 2, 1)])
def test_a_slot_lies_on_one_node(cpus, gpus, slots):
    assert cluster.trial_slots_for(ResourceSettings(cpus=cpus, gpus=gpus)) == slots


def test_a_trial_that_fits_on_no_node_is_refused_with_what_the_nodes_have():
    with pytest.raises(ValueError, match=r"asks for 1 CPUs and 4 GPUs, and no node has that \(nodes: 8 CPUs, 2 GPUs;"):
        cluster.trial_slots_for(ResourceSettings(gpus=4))


def test_a_whole_node_is_the_largest_that_has_the_gpus():
    assert cluster.whole_node(ResourceSettings(gpus=1)) == {"num_cpus": 8.0, "num_gpus": 1}


def test_an_address_that_a_driver_cannot_join_is_refused_at_once():
    with pytest.raises(ValueError, match="is a URL"), cluster.connected("ray://127.0.0.1:1"):
        pass


@pytest.mark.parametrize(("failures", "fails"), [(0, False), (1, False), (2, True)])
def test_a_local_ray_that_does_not_come_up_in_time_is_started_once_more(monkeypatch, failures, fails):
    """The fault is put in: whether a busy machine is too slow for Ray cannot be asked for."""
    calls = []

    def start(**options):
        calls.append(options["address"])
        if len(calls) <= failures:
            raise Exception("The current node timed out during startup.\nThis could happen.")

    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setattr(cluster.ray, "init", start)
    monkeypatch.setattr(cluster.ray, "shutdown", lambda: None)
    if fails:
        with pytest.raises(
            FailedError, match=r"^Ray did not start on this machine, tried twice: .* startup. This could"
        ):
            cluster.connected(None).__enter__()
    else:
        with cluster.connected(None):
            pass
    assert calls == ["local"] * min(failures + 1, 2)
