import pytest
import torch
from torch import nn
from torchvision.models import DenseNet

from pruning.decay import decay_channels_
from pruning.graph.groups import find_groups

EXAMPLE_NCHW = torch.randn(1, 3, 32, 32)


def small_network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 2)
    )


def test_decay_scales_rows_bias_and_norm_of_the_chosen_channels_only() -> None:
    network = small_network()
    nn.init.normal_(network[1].bias)
    before = {name: value.clone() for name, value in network.state_dict().items()}
    [group] = find_groups(network, EXAMPLE_NCHW)
    decay_channels_(network, group, [1, 3], 0.25)
    scale_O = torch.tensor([1.0, 0.25, 1.0, 0.25])
    after = network.state_dict()
    assert torch.equal(after["0.weight"], before["0.weight"] * scale_O[:, None, None, None])
    for name in ("0.bias", "1.weight", "1.bias"):
        assert torch.equal(after[name], before[name] * scale_O)
    for name in ("1.running_mean", "1.running_var", "5.weight", "5.bias"):
        assert torch.equal(after[name], before[name])


def test_decayed_channels_can_be_trained_again() -> None:
    network = small_network()
    [group] = find_groups(network, EXAMPLE_NCHW)
    decay_channels_(network, group, torch.tensor([0]), 0.5)
    network(EXAMPLE_NCHW.repeat(2, 1, 1, 1)).sum().backward()
    assert network[0].weight.grad is not None
    assert network[0].weight.is_leaf


def test_a_norm_behind_a_concatenation_is_scaled_where_the_group_lies() -> None:
    network = DenseNet(growth_rate=4, block_config=(2, 1), num_init_features=8, num_classes=2)
    groups = {group.id: group for group in find_groups(network, EXAMPLE_NCHW)}
    decay_channels_(network, groups["features.denseblock1.denselayer1.conv2"], [1], 0.0)
    # Its four channels follow the eight initial ones.
    expected_O = torch.ones(12)
    expected_O[8 + 1] = 0
    assert torch.equal(network.features.denseblock1.denselayer2.norm1.weight.detach(), expected_O)


def test_no_channels_is_no_change() -> None:
    network = small_network()
    before = network[0].weight.detach().clone()
    [group] = find_groups(network, EXAMPLE_NCHW)
    decay_channels_(network, group, [], 0.0)
    assert torch.equal(network[0].weight, before)


@pytest.mark.parametrize("factor", [-0.1, 1.1, float("nan")])
def test_a_factor_that_does_not_shrink_is_refused(factor: float) -> None:
    network = small_network()
    [group] = find_groups(network, EXAMPLE_NCHW)
    with pytest.raises(ValueError, match=f"factor is {factor}"):
        decay_channels_(network, group, [0], factor)


@pytest.mark.parametrize("channel", [-1, 4])
def test_a_channel_that_the_group_does_not_have_is_refused(channel: int) -> None:
    network = small_network()
    [group] = find_groups(network, EXAMPLE_NCHW)
    with pytest.raises(ValueError, match=rf"channels \[{channel}\] of group '0' are outside \[0, 4\)"):
        decay_channels_(network, group, [0, channel], 0.5)
