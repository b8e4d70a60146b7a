"""Surgery on the backbones that people bring: cut equals masked, and widths are what was asked for."""

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import (
    DenseNet,
    alexnet,
    mobilenet_v2,
    mobilenet_v3_small,
    resnet18,
    shufflenet_v2_x0_5,
    squeezenet1_1,
    vgg11_bn,
)

from pruning.decay import decay_channels_
from pruning.groups import find_groups
from pruning.surgery import cut


def small_densenet() -> nn.Module:
    return DenseNet(growth_rate=8, block_config=(2, 2), num_init_features=16, num_classes=10)


def vgg_features() -> nn.Module:
    """VGG-11 without its classifier, whose 120 M weights would only slow the test down."""
    return nn.Sequential(vgg11_bn(init_weights=False).features, nn.AdaptiveAvgPool2d(1), nn.Flatten())


@pytest.fixture
def photo_NCHW() -> Tensor:  # noqa: N802
    return torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    "architecture",
    [resnet18, vgg_features, alexnet, mobilenet_v2, mobilenet_v3_small, small_densenet, squeezenet1_1],
    ids=lambda architecture: architecture.__name__,
)
def test_cut_equals_masked_and_asked_equals_achieved(
    architecture: Callable[[], nn.Module],
    photo_NCHW: Tensor,
    norms_with_a_past_: Callable[[nn.Module, int], None],
) -> None:
    torch.manual_seed(0)
    network = architecture().eval()
    norms_with_a_past_(network, 0)
    groups = find_groups(network, photo_NCHW)
    plan = {g.id: tuple(sorted(torch.randperm(g.width)[: g.width // 2].tolist())) for g in groups if not g.locked}
    small, masked = cut(network, plan, photo_NCHW), deepcopy(network)
    for group in groups:
        if group.id in plan:
            decay_channels_(masked, group, group.all_but(plan[group.id]), 0.0)
    with torch.no_grad():
        expected_ND, achieved_ND = masked(photo_NCHW), small(photo_NCHW)
    torch.testing.assert_close(achieved_ND, expected_ND, rtol=0, atol=1e-5 * float(expected_ND.abs().max()))
    for group in groups:
        width = len(plan.get(group.id, range(group.width)))
        assert {len(small.get_submodule(member).weight) for member in group.members} == {width}


def test_shufflenet_is_refused(photo_NCHW: Tensor) -> None:
    with pytest.raises(ValueError, match="ShuffleNetV2 cannot be traced"):
        cut(shufflenet_v2_x0_5(), {}, photo_NCHW)
