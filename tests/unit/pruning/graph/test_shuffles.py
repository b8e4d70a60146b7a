from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from pruning.graph.shuffles import shuffles_refused

IMAGES_NCHW = torch.randn(2, 3, 8, 8)


class Step(nn.Module):
    """One operation between two convolutions."""

    def __init__(self, operation: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.operation = operation

    def forward(self, x_NCHW: Tensor) -> Tensor:
        return self.operation(x_NCHW)


def network_with(operation: Callable[[Tensor], Tensor]) -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 8, 1), nn.Sequential(nn.ReLU(), Step(operation)))


def by_transposition(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.unflatten(1, (2, 4)).transpose(1, 2).flatten(1, 2)


def by_permutation(x_NCHW: Tensor) -> Tensor:
    return x_NCHW.unflatten(1, (2, 4)).permute(0, 2, 1, -2, -1).flatten(1, 2)


@pytest.mark.parametrize(
    "operation",
    [
        *(by_transposition, by_permutation, nn.ChannelShuffle(2), nn.PixelShuffle(2), nn.PixelUnshuffle(2)),
        *(lambda x: x.flip(-3), lambda x: x.roll(1, 1), lambda x: x[:, [1, 0]]),
        lambda x: x.index_select(1, torch.tensor([3, 1])),
    ],
)
def test_the_module_that_reorders_channels_is_named(operation: Callable[[Tensor], Tensor]) -> None:
    network = network_with(operation)
    with (
        pytest.raises(ValueError, match=r"Sequential cannot be traced: '1\.1(\.operation)?' puts them"),
        shuffles_refused(network),
    ):
        network(IMAGES_NCHW)


def test_a_network_that_reorders_channels_itself_is_named() -> None:
    class Flipped(nn.Conv2d):
        def forward(self, x_NCHW: Tensor) -> Tensor:
            return super().forward(x_NCHW).flip(1)

    network = Flipped(3, 8, 1)
    with (
        pytest.raises(ValueError, match="channels of Flipped cannot be traced: it puts them"),
        shuffles_refused(network),
    ):
        network.forward(IMAGES_NCHW)


@pytest.mark.parametrize(
    "operation",
    [
        *(lambda x: x.flip(-1), lambda x: x.roll(1), lambda x: x[:, :, [1, 0]], lambda x: x[:, 2:5]),
        *(lambda x: x.transpose(-1, -2), lambda x: x.flatten(2).transpose(1, 2)),
        lambda x: x.unflatten(1, (2, 4)).transpose(-1, -2).flatten(1, 2),
        lambda x: x + torch.arange(8.0).flip(0)[:, None, None] + torch.eye(8)[:, [3]][:, :, None],
    ],
)
def test_what_leaves_the_order_of_channels_alone_is_let_through(operation: Callable[[Tensor], Tensor]) -> None:
    network = network_with(operation)
    with shuffles_refused(network):
        seen = network(IMAGES_NCHW)
    assert torch.equal(seen, network(IMAGES_NCHW))
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in network.modules())
