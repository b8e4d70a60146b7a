"""Selection beside training: how long the choice of filters takes.

    python -m pytest benchmarks/speed/bench_selection.py

One core. The plain loop of Algorithm 1 stands beside on a layer that it can still manage, with equal results required.
"""

import pytest
import torch
from pytest_benchmark.fixture import BenchmarkFixture
from torch import Tensor

from benchmarks.speed.memory import peak_extra_mib
from benchmarks.speed.plain_plfp import plain_removal_order
from pruning.criteria import plfp_removal_order
from pruning.graph.groups import find_groups
from pruning.methods.plfp import Plfp
from retrieval.networks.network import build_network


def layer(filters: int, length: int) -> Tensor:
    return torch.randn(filters, length, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("filters", "length"), [(2048, 512), (512, 4608)])
def test_half_of_a_wide_layer(benchmark: BenchmarkFixture, filters: int, length: int) -> None:
    benchmark.extra_info["at_most"] = "0.5 s"
    removed_K = benchmark(plfp_removal_order, layer(filters, length), filters // 2)
    assert len(set(removed_K.tolist())) == filters // 2


@pytest.mark.parametrize("filters", [512, 1024, 2048, 4096])
def test_cost_grows_with_the_square_of_the_filters(benchmark: BenchmarkFixture, filters: int) -> None:
    removed_K = benchmark.pedantic(plfp_removal_order, (layer(filters, 512), filters // 2), rounds=3, warmup_rounds=1)
    assert len(removed_K) == filters // 2


@pytest.mark.parametrize(("filters", "length"), [(2048, 512), (512, 4608)])
def test_peak_memory_beside_the_filters(benchmark: BenchmarkFixture, filters: int, length: int) -> None:
    filters_OD = layer(filters, length)
    benchmark.extra_info["at_most"] = "200 MiB"
    benchmark.pedantic(plfp_removal_order, (filters_OD, filters // 2), rounds=1)
    benchmark.extra_info["peak_extra_mib"] = peak_extra_mib(lambda: plfp_removal_order(filters_OD, filters // 2))
    assert benchmark.extra_info["peak_extra_mib"] > 0


@pytest.mark.parametrize("rule", ["fast", "plain"])
def test_a_small_layer_beside_the_plain_loop(benchmark: BenchmarkFixture, rule: str) -> None:
    filters_OD = layer(128, 576)
    plain = plain_removal_order(filters_OD.double().numpy(), 64, 1)
    if rule == "plain":
        assert benchmark(plain_removal_order, filters_OD.double().numpy(), 64, 1) == plain
    else:
        assert benchmark(plfp_removal_order, filters_OD, 64).tolist() == plain


def test_all_groups_of_a_resnet50(benchmark: BenchmarkFixture) -> None:
    torch.manual_seed(0)
    network = build_network("resnet50").eval()
    groups = find_groups(network, torch.zeros(1, 3, 64, 64))
    ratios = {group.id: 0.5 for group in groups if not group.locked}
    benchmark.extra_info["at_most"] = "2 s"
    plan = benchmark.pedantic(Plfp().choose, (network, groups, ratios), rounds=5, warmup_rounds=1)
    assert plan.keys() == ratios.keys()
