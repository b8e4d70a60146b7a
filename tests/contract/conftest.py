from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class TinyRetrieval(nn.Module):
    """A residual network of one stage and a shortcut, generalised-mean pooling, a linear head, L2 normalisation."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, padding=1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.inner = nn.Sequential(nn.Conv2d(16, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU())
        self.outer = nn.Sequential(nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))
        self.shortcut = nn.Sequential(nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32))
        self.power = nn.Parameter(torch.tensor([3.0]))
        self.head = nn.Linear(32, 12)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        stem_NCHW = self.stem(images_NCHW)
        maps_NCHW = F.relu(self.outer(self.inner(stem_NCHW)) + self.shortcut(stem_NCHW))
        pooled_NC = maps_NCHW.clamp(min=1e-6).pow(self.power).mean((-2, -1)).pow(1 / self.power)
        return F.normalize(self.head(pooled_NC), dim=1)


def give_norms_a_past_(network: nn.Module, seed: int) -> None:
    """Fresh BatchNorms are the identity, and would hide what happens to their scale, shift and statistics."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor_C in (module.weight.data, module.running_var):
                tensor_C.uniform_(0.5, 1.5, generator=generator)
            for tensor_C in (module.bias.data, module.running_mean):
                tensor_C.normal_(generator=generator)


@pytest.fixture
def make_tiny() -> Callable[[int], nn.Module]:
    """Build a tiny retrieval network from a seed, in evaluation mode."""

    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = TinyRetrieval()
        give_norms_a_past_(network, seed)
        return network.eval()

    return make


@pytest.fixture
def images_NCHW() -> Tensor:  # noqa: N802
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def norms_with_a_past_() -> Callable[[nn.Module, int], None]:
    return give_norms_a_past_
