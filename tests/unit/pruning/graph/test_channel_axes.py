"""Which axes shrink, against the shapes of a network that is really cut."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import nn
from torchvision.models import DenseNet

from pruning.graph.channel_axes import Axis, channel_axes, descriptor_axes
from pruning.graph.groups import find_groups
from pruning.surgery import cut
from retrieval.networks.network import build_network

EXAMPLE_NCHW = torch.zeros(1, 3, 64, 64)

NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "shortcuts": partial(build_network, "mini_resnet", pooling="gem", descriptor_size=24),
    "concatenations": lambda: DenseNet(growth_rate=8, block_config=(2, 2), num_init_features=16, num_classes=10),
    "flatten": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(128, 6)
    ),
    "depthwise, transposed": lambda: nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.Conv2d(8, 8, 3, groups=8),
        nn.BatchNorm2d(8),
        nn.ConvTranspose2d(8, 12, 2),
        nn.ReLU(),
        nn.Conv2d(12, 4, 1),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    ),
}


@pytest.mark.parametrize("name", NETWORKS)
def test_each_axis_shrinks_by_its_span_times_the_channels_that_go_and_no_other_shrinks(name):
    network = NETWORKS[name]().eval()
    groups = find_groups(network, EXAMPLE_NCHW)
    removed = {group.id: 1 + index % 3 for index, group in enumerate(groups) if not group.locked}
    plan = {group.id: range(group.width - removed[group.id]) for group in groups if group.id in removed}
    small = cut(network, plan, EXAMPLE_NCHW).state_dict()
    axes = channel_axes(network, groups)
    assert removed
    for tensor, value in network.state_dict().items():
        for number, size in enumerate(value.shape):
            spans = axes.get(Axis(tensor, number), {})
            lost = sum(span * removed.get(group, 0) for group, span in spans.items())
            assert small[tensor].shape[number] == size - lost, (tensor, number)


def test_behind_a_flatten_one_channel_is_as_many_inputs_as_there_are_positions():
    network = NETWORKS["flatten"]().eval()
    axes = channel_axes(network, find_groups(network, EXAMPLE_NCHW))
    assert axes == {Axis("0.weight", 0): {"0": 1}, Axis("0.bias", 0): {"0": 1}, Axis("4.weight", 1): {"0": 16}}


def test_only_axes_as_long_as_an_open_descriptor_follow_it():
    network = build_network("mini_resnet", pooling="gem").eval()
    around = {"mean_D": torch.zeros(128), "projection_KD": torch.zeros(16, 128), "scale": torch.tensor(1.0)}
    opened = find_groups(network, EXAMPLE_NCHW, open_descriptor=True)
    (descriptor,) = [group.id for group in opened if group.descriptor]
    assert descriptor_axes(around, 128, opened) == {
        Axis("mean_D", 0): {descriptor: 1},
        Axis("projection_KD", 1): {descriptor: 1},
    }
    assert descriptor_axes(around, 128, find_groups(network, EXAMPLE_NCHW)) == {}
