"""Surgery on the backbones that people bring: cut equals masked, and widths are what was asked for."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from functools import cache, partial

import pytest
import torch
from contract.masking import masked
from torch import Tensor, nn
from torchvision.models import (
    DenseNet,
    alexnet,
    mobilenet_v3_small,
    shufflenet_v2_x0_5,
    squeezenet1_1,
    vgg11_bn,
)

from pruning.cost import count_macs, macs_by_layer
from pruning.graph.groups import PrunableGroup, find_groups
from pruning.ledger import ledger
from pruning.schedule import Schedule
from pruning.surgery import Plan, cut, plan_from_json, plan_to_json
from retrieval.networks.network import BACKBONES, POOLINGS, build_network

HEADS = [*POOLINGS, "reid"]
# They differ from resnet18 and resnet50, which stand under every head, in their number of blocks alone.
DEEPER = ("resnet34", "resnet101")
NETWORKS = [(backbone, head) for backbone in BACKBONES for head in HEADS if backbone not in DEEPER or head == "gem"]


def small_densenet() -> nn.Module:
    return DenseNet(growth_rate=8, block_config=(2, 2), num_init_features=16, num_classes=10)


def vgg_features() -> nn.Module:
    """VGG-11 without its classifier, whose 120 M weights would only slow the test down."""
    return nn.Sequential(vgg11_bn(init_weights=False).features, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def with_head(backbone: str, head: str) -> nn.Module:
    if head != "reid":
        return build_network(backbone, pooling=head).eval()
    network = build_network(backbone, classes=10).eval()
    network.neck.running_mean.normal_()
    network.neck.running_var.uniform_(0.5, 1.5)
    return network


def half_of_each(groups: list[PrunableGroup]) -> Plan:
    plan = {g.id: sorted(torch.randperm(g.width)[: g.width // 2].tolist()) for g in groups if not g.locked}
    return plan_from_json(plan_to_json(plan))


def assert_asked_is_achieved(small: nn.Module, groups: list[PrunableGroup], plan: Plan) -> None:
    for group in groups:
        width = len(plan.get(group.id, range(group.width)))
        assert {len(small.get_submodule(member).weight) for member in group.members} == {width}


@pytest.fixture(scope="module", autouse=True)
def backbones_built_once() -> Iterator[None]:
    """Each head gets a copy of the same backbone: to draw VGG-16's weights takes longer than the test."""
    build_once = {name: cache(build) for name, build in BACKBONES.items()}
    with pytest.MonkeyPatch.context() as patch:
        for name, build in build_once.items():
            patch.setitem(BACKBONES, name, lambda build=build: deepcopy(build()))
        yield


@pytest.fixture
def photo_NCHW() -> Tensor:  # noqa: N802
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("backbone", "head"), NETWORKS)
def test_every_backbone_is_cut_under_every_head(
    backbone: str, head: str, photo_NCHW: Tensor, norms_with_a_past_: Callable[[nn.Module, int], None]
) -> None:
    torch.manual_seed(0)
    network = with_head(backbone, head)
    norms_with_a_past_(network, 0)
    groups = find_groups(network, photo_NCHW)
    plan = half_of_each(groups)
    small = cut(network, plan, photo_NCHW)
    with torch.no_grad():
        expected_ND, achieved_ND = masked(network, groups, plan)(photo_NCHW), small(photo_NCHW)
    torch.testing.assert_close(achieved_ND, expected_ND, rtol=0, atol=1e-5)
    assert float(achieved_ND.norm()) == pytest.approx(1)
    assert len(plan) > len(groups) / 2
    assert_asked_is_achieved(small, groups, plan)


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("backbone", ["mini_resnet", "alexnet", "mobilenet_v2"])
def test_an_open_descriptor_loses_the_columns_that_the_plan_drops(
    backbone: str, head: str, photo_NCHW: Tensor, norms_with_a_past_: Callable[[nn.Module, int], None]
) -> None:
    torch.manual_seed(0)
    network = with_head(backbone, head)
    norms_with_a_past_(network, 0)
    groups = find_groups(network, photo_NCHW, open_descriptor=True)
    plan = half_of_each(groups)
    descriptor = [group.id for group in groups if group.descriptor]
    assert len(descriptor) == (head != "netvlad")  # whose columns are clusters times channels
    small = cut(network, plan, photo_NCHW, open_descriptor=True)
    with torch.no_grad():
        expected_ND, achieved_ND = masked(network, groups, plan)(photo_NCHW), small(photo_NCHW)
    kept_ND = expected_ND[:, list(plan[descriptor[0]])] if descriptor else expected_ND
    torch.testing.assert_close(achieved_ND, kept_ND, rtol=0, atol=1e-5)
    assert_asked_is_achieved(small, groups, plan)


@pytest.mark.parametrize(
    "architecture",
    [vgg_features, alexnet, mobilenet_v3_small, small_densenet, squeezenet1_1],
    ids=lambda architecture: architecture.__name__,
)
def test_classifiers_are_cut_too(
    architecture: Callable[[], nn.Module],
    photo_NCHW: Tensor,
    norms_with_a_past_: Callable[[nn.Module, int], None],
) -> None:
    torch.manual_seed(0)
    network = architecture().eval()
    norms_with_a_past_(network, 0)
    groups = find_groups(network, photo_NCHW)
    plan = half_of_each(groups)
    small = cut(network, plan, photo_NCHW)
    with torch.no_grad():
        expected_ND, achieved_ND = masked(network, groups, plan)(photo_NCHW), small(photo_NCHW)
    torch.testing.assert_close(achieved_ND, expected_ND, rtol=0, atol=1e-5 * float(expected_ND.abs().max()))
    assert_asked_is_achieved(small, groups, plan)


@pytest.mark.parametrize(
    "architecture",
    [partial(with_head, backbone, "gem") for backbone in ("resnet50", "mobilenet_v3_large")]
    + [partial(with_head, "vgg16", "netvlad"), alexnet, small_densenet],
    ids=["resnet50", "mobilenet_v3_large", "vgg16", "alexnet", "densenet"],
)
def test_the_ledgers_groups_share_all_that_was_saved(architecture: Callable[[], nn.Module], photo_NCHW: Tensor) -> None:
    torch.manual_seed(0)
    network = architecture().eval()
    groups = find_groups(network, photo_NCHW)
    small = cut(network, half_of_each(groups), photo_NCHW)
    schedule = Schedule(method="l1", ratios={}, epochs=1, learning_rate=0.1)
    rows = ledger(groups, schedule, small, macs_by_layer(network, photo_NCHW))
    saved = count_macs(network, photo_NCHW) - count_macs(small, photo_NCHW)
    assert sum(row.macs_saved for row in rows) == pytest.approx(saved, abs=len(rows))
    assert all((row.macs_saved > 0) == (row.achieved_width < row.width) for row in rows)


def test_shufflenet_is_refused_by_the_module_that_shuffles(photo_NCHW: Tensor) -> None:
    with pytest.raises(ValueError, match=r"ShuffleNetV2 cannot be traced: 'stage2\.0' puts them into another order"):
        cut(shufflenet_v2_x0_5(), {}, photo_NCHW)
