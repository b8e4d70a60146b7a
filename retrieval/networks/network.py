"""Retrieval networks: a backbone without its classifier, pooling, an optional projection, unit length.

Letters: N images, C channels, H W height and width, D descriptor size.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.networks.mini_resnet import MiniResNet
from retrieval.networks.netvlad import NetVLAD
from retrieval.networks.pooling import MAC, RMAC, GeM, SPoC
from retrieval.networks.reid import ReIDNetwork
from retrieval.networks.torchvision_features import mobilenet_features, resnet_features, vgg_features
from retrieval.networks.weights import load_weights
from retrieval.text import choose


class RetrievalNetwork(nn.Module):
    """A descriptor network: images N×3×H×W of any size → unit descriptors N×D, float32.

    Attributes:
        backbone: images to feature maps.
        pooling: feature maps to one vector an image.
        projection: of the pooled vector; an identity where there is none.
        unit_pooled: whether the pooled vector has unit length before it is projected.
    """

    def __init__(
        self, backbone: nn.Module, pooling: nn.Module, projection: nn.Module, *, unit_pooled: bool = False
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.pooling = pooling
        self.projection = projection
        self.unit_pooled = unit_pooled

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return unit descriptors N×D of images N×3×H×W, normalised by `retrieval.images.normalise`."""
        pooled_NC = self.pooling(self.backbone(images_NCHW))
        if self.unit_pooled:
            pooled_NC = F.normalize(pooled_NC, dim=1)
        return F.normalize(self.projection(pooled_NC), dim=1)

    def extra_repr(self) -> str:
        """Return the settings that no weight holds: part of `retrieval.descriptors.store.weights_digest`."""
        return f"unit_pooled={self.unit_pooled}"


Backbone = Callable[[], nn.Module]
"""A factory of a module from a random start: images N×3×H×W → feature maps; its `out_channels` says how many."""

Pooling = Callable[[int], nn.Module]
"""A factory, given the number of channels, of a layer: feature maps N×C×H×W → one vector an image."""

BACKBONES: dict[str, Backbone] = {
    "mini_resnet": MiniResNet,
    "resnet18": partial(resnet_features, "resnet18"),
    "resnet34": partial(resnet_features, "resnet34"),
    "resnet50": partial(resnet_features, "resnet50"),
    "resnet101": partial(resnet_features, "resnet101"),
    "vgg16": partial(vgg_features, "vgg16"),
    "alexnet": partial(vgg_features, "alexnet"),
    "mobilenet_v2": partial(mobilenet_features, "mobilenet_v2"),
    "mobilenet_v3_large": partial(mobilenet_features, "mobilenet_v3_large"),
}
POOLINGS: dict[str, Pooling] = {
    "gem": lambda channels: GeM(),
    "mac": lambda channels: MAC(),
    "spoc": lambda channels: SPoC(),
    "rmac": lambda channels: RMAC(),
    "netvlad": NetVLAD,
}


def build_network(
    name: str,
    *,
    pooling: str = "gem",
    descriptor_size: int | None = None,
    unit_pooled: bool = False,
    weights: str | Path | None = None,
    classes: int | None = None,
) -> nn.Module:
    """Build a retrieval network whose forward pass gives unit vectors N×D.

    Args:
        name: one of `BACKBONES`.
        pooling: one of `POOLINGS`.
        descriptor_size: D of a learned projection; None keeps the pooled vector as the descriptor: as long as the
            backbone has channels, times the clusters with NetVLAD.
        unit_pooled: whether the pooled vector has unit length before that projection, as the whitening layer of
            Radenović's networks (cirtorch) has it.
        weights: None for a random start, "imagenet" for torchvision's weights of the backbone, or a file: see
            `retrieval.networks.weights.load_weights`.
        classes: None, or the classes of a classifier behind a BatchNorm neck: a `ReIDNetwork`, which has
            `all_outputs(images) -> (descriptors, logits)` as well.

    Raises:
        ValueError: unknown name or pooling, a descriptor size or number of classes below 1, `unit_pooled` without a
            projection or with classes, or weights that do not fit.
    """
    for what, count in (("descriptor_size", descriptor_size), ("classes", classes)):
        if count is not None and count < 1:
            raise ValueError(f"{what} is {count}, must be at least 1")
    if unit_pooled and (descriptor_size is None or classes is not None):
        raise ValueError("unit_pooled needs a descriptor_size, and no classes: it belongs to a projection that whitens")
    backbone = choose("network", BACKBONES, name)()
    channels = int(backbone.out_channels)  # type: ignore[arg-type]
    pool = choose("pooling", POOLINGS, pooling)(channels)
    size = _pooled_size(pool, channels)
    projection = nn.Linear(size, descriptor_size) if descriptor_size else nn.Identity()
    network: nn.Module
    if classes is None:
        network = RetrievalNetwork(backbone, pool, projection, unit_pooled=unit_pooled)
    else:
        network = ReIDNetwork(backbone, pool, projection, descriptor_size or size, classes)
    load_weights(network, weights)
    return network


@torch.no_grad()
def _pooled_size(pooling: nn.Module, channels: int) -> int:
    """Return the length of the pooled vector, by pooling a map of one position."""
    return pooling(torch.zeros(1, channels, 1, 1)).shape[1]
