"""Retrieval networks: a backbone without its classifier, pooling, an optional projection, unit length.

Letters: N images, C channels, H W height and width, D descriptor size.
"""

from collections.abc import Callable
from difflib import get_close_matches
from pathlib import Path
from typing import TypeVar

import safetensors.torch
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.mini_resnet import MiniResNet
from retrieval.pooling import GeM

Entry = TypeVar("Entry")


class RetrievalNetwork(nn.Module):
    """Images N×3×H×W of any size → unit descriptors N×D, float32."""

    def __init__(self, backbone: nn.Module, pooling: nn.Module, projection: nn.Module) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.projection = projection

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """N×3×H×W, normalised as in `retrieval.images.normalise` → N×D."""
        return F.normalize(self.projection(self.pooling(self.backbone(images_NCHW))), dim=1)


class ResNetFeatures(nn.Module):
    """A torchvision ResNet up to its last feature map; the classifier is dropped."""

    def __init__(self, name: str, weights: str | None) -> None:
        # Here, not above: importing torchvision takes seconds, and most commands need none of it.
        from torchvision.models import get_model

        super().__init__()
        resnet = get_model(name, weights=weights)
        self.out_channels = resnet.fc.in_features
        for child, module in resnet.named_children():
            if child not in ("avgpool", "fc"):
                self.add_module(child, module)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """N×3×H×W → N×C×H/32×W/32."""
        x = images_NCHW
        for module in self.children():
            x = module(x)
        return x


BACKBONES: dict[str, Callable[[str | None], nn.Module]] = {
    "mini_resnet": lambda weights: MiniResNet(),
    "resnet18": lambda weights: ResNetFeatures("resnet18", weights),
    "resnet50": lambda weights: ResNetFeatures("resnet50", weights),
}
POOLINGS: dict[str, Callable[[], nn.Module]] = {"gem": GeM}


def build_network(
    name: str, *, pooling: str = "gem", descriptor_size: int | None = None, weights: str | Path | None = None
) -> nn.Module:
    """A retrieval network whose forward gives N×D unit vectors.

    Args:
        name: one of `BACKBONES`.
        pooling: one of `POOLINGS`.
        descriptor_size: D of a learned projection; None keeps the backbone's channels as the descriptor.
        weights: None for a random start, "imagenet" for torchvision's weights of the backbone (fetched by
            torchvision on first use), or a file with the whole
            network's state dict (.safetensors, or what torch.save writes).

    Raises:
        ValueError: unknown name or pooling, a descriptor size below 1, or weights that do not fit.
    """
    backbone_weights = "DEFAULT" if weights == "imagenet" else None
    backbone = choose("network", BACKBONES, name)(backbone_weights)
    channels = int(backbone.out_channels)  # type: ignore[arg-type]
    if descriptor_size is not None and descriptor_size < 1:
        raise ValueError(f"descriptor_size is {descriptor_size}, must be at least 1")
    projection = nn.Linear(channels, descriptor_size) if descriptor_size else nn.Identity()
    network = RetrievalNetwork(backbone, choose("pooling", POOLINGS, pooling)(), projection)
    if weights and not backbone_weights:
        _load_state(network, Path(weights))
    return network


def choose(kind: str, table: dict[str, Entry], name: str) -> Entry:
    """The entry of a table by name; ValueError with the known names and the nearest one otherwise."""
    if name not in table:
        near = get_close_matches(name, table, n=1)
        hint = f" (did you mean {near[0]!r}?)" if near else ""
        raise ValueError(f"unknown {kind} {name!r}{hint}: known are {', '.join(table)}")
    return table[name]


def _load_state(network: nn.Module, path: Path) -> None:
    if not path.is_file():
        raise ValueError(f"weights file {path} does not exist")
    try:
        if path.suffix == ".safetensors":
            state = safetensors.torch.load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True)
        network.load_state_dict(state)
    except RuntimeError as error:
        raise ValueError(f"weights file {path} does not fit the network: {str(error).splitlines()[0]}") from error
