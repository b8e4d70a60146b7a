from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.networks.netvlad import NetVLAD


def convolution(ins: int, outs: int, size: int = 3, groups: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(ins, outs, size, padding=size // 2, groups=groups, bias=False), nn.BatchNorm2d(outs), nn.ReLU()
    )


def pooled(maps_NCHW: Tensor) -> Tensor:
    return maps_NCHW.clamp(min=1e-6).pow(3).mean((-2, -1)).pow(1 / 3)


class Plain(nn.Module):
    """Convolutions one after another, one with a bias, and a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = convolution(3, 16), convolution(16, 24), convolution(24, 32)
        self.inner[0] = nn.Conv2d(16, 24, 3, padding=1)
        self.head = nn.Linear(32, 12)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        maps_NCHW = self.outer(self.inner(self.stem(images_NCHW)))
        return F.normalize(self.head(pooled(maps_NCHW)), dim=1)


class Residual(nn.Module):
    """One stage, one shortcut with a convolution of its own, a linear head."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = convolution(3, 16), convolution(16, 24)
        self.outer = nn.Sequential(nn.Conv2d(24, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32))
        self.shortcut = nn.Sequential(nn.Conv2d(16, 32, 1, bias=False), nn.BatchNorm2d(32))
        self.head = nn.Linear(32, 12)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        stem_NCHW = self.stem(images_NCHW)
        maps_NCHW = F.relu(self.outer(self.inner(stem_NCHW)) + self.shortcut(stem_NCHW))
        return F.normalize(self.head(pooled(maps_NCHW)), dim=1)


class Depthwise(nn.Module):
    """An inverted residual: expand, filter each channel alone, project, add."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner = convolution(3, 16), convolution(16, 24, size=1)
        self.depthwise, self.outer = convolution(24, 24, groups=24), convolution(24, 16, size=1)[:2]
        self.last = convolution(16, 32, size=1)
        self.head = nn.Linear(32, 12)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        stem_NCHW = self.stem(images_NCHW)
        maps_NCHW = self.last(stem_NCHW + self.outer(self.depthwise(self.inner(stem_NCHW))))
        return F.normalize(self.head(pooled(maps_NCHW)), dim=1)


class Places(nn.Module):
    """Convolutions under NetVLAD, whose input must keep all its channels."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.inner, self.outer = convolution(3, 16), convolution(16, 24), convolution(24, 32)
        self.last = convolution(32, 16)
        self.netvlad = NetVLAD(16, clusters=4)
        self.head = nn.Linear(64, 12)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        maps_NCHW = self.last(self.outer(self.inner(self.stem(images_NCHW))))
        return F.normalize(self.head(self.netvlad(maps_NCHW)), dim=1)


NETWORKS: dict[str, type[nn.Module]] = {
    "plain": Plain,
    "residual": Residual,
    "depthwise": Depthwise,
    "netvlad": Places,
}


def give_norms_a_past_(network: nn.Module, seed: int) -> None:
    """Fresh BatchNorms are the identity, and would hide what happens to their scale, shift and statistics."""
    generator = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for tensor_C in (module.weight.data, module.running_var):
                tensor_C.uniform_(0.5, 1.5, generator=generator)
            for tensor_C in (module.bias.data, module.running_mean):
                tensor_C.normal_(generator=generator)


@pytest.fixture(params=NETWORKS)
def make_tiny(request: pytest.FixtureRequest) -> Callable[[int], nn.Module]:
    """Build a tiny retrieval network of each kind from a seed, in evaluation mode."""

    def make(seed: int) -> nn.Module:
        torch.manual_seed(seed)
        network = NETWORKS[request.param]()
        give_norms_a_past_(network, seed)
        return network.eval()

    return make


@pytest.fixture
def images_NCHW() -> Tensor:  # noqa: N802
    return torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def norms_with_a_past_() -> Callable[[nn.Module, int], None]:
    return give_norms_a_past_
