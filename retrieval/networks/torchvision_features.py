"""torchvision's networks up to their last feature map, with its names and weights. Letters: N images, C H W.

torchvision is imported when a network is built, not before: it takes seconds, and most commands need none of it.
"""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import torch
from torch import Tensor, nn

_log = logging.getLogger(__name__)


class Features(nn.Module):
    """A backbone of layers run one after another; the last convolution writes the `out_channels` of the feature map.

    Args:
        layers: by torchvision's names.
        architecture: torchvision's name of the network that they are a part of.
        inside: the submodule of that network that holds them; "" where it is the network itself.
    """

    def __init__(self, layers: Mapping[str, nn.Module], architecture: str, inside: str = "") -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.architecture = architecture
        self.prefix = f"{inside}." if inside else ""
        self.out_channels = [module.out_channels for module in self.modules() if isinstance(module, nn.Conv2d)][-1]

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return N×C×H/32×W/32 of N×3×H×W (H/16×W/16 without the last pooling)."""
        x = images_NCHW
        for module in self.children():
            x = module(x)
        return x


def resnet_features(name: str) -> Features:
    """Build a ResNet without its average pooling and classifier, from a random start.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Differs from the paper: torchvision
    has the stride of a bottleneck in its 3×3 convolution.

    Args:
        name: torchvision's, as "resnet50".
    """
    children = dict(_torchvision_model(name).named_children())
    return Features({child: layer for child, layer in children.items() if child not in ("avgpool", "fc")}, name)


def vgg_features(name: str) -> Features:
    """Build the convolutions of a VGG or AlexNet without the last max-pooling: positions lie 16 pixels apart.

    Sources: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015;
    Krizhevsky, "One Weird Trick for Parallelizing Convolutional Neural Networks", 2014. Differs from the papers: the
    last max-pooling goes with the classifier, as retrieval has it (Radenović et al., TPAMI 2019, their code).

    Args:
        name: torchvision's, as "vgg16" or "mobilenet_v2".
    """
    features = dict(_torchvision_model(name).get_submodule("features").named_children())
    features.popitem()
    return Features(features, name, inside="features")


def mobilenet_features(name: str) -> Features:
    """Build the convolutions of a MobileNet, the last 1×1 included, without average pooling and classifier.

    Sources: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018; Howard et al.,
    "Searching for MobileNetV3", ICCV 2019. Differs from the papers: nothing in the part that is kept.

    Args:
        name: torchvision's, as "vgg16" or "mobilenet_v2".
    """
    return Features(dict(_torchvision_model(name).get_submodule("features").named_children()), name, inside="features")


def published_file(architecture: str) -> Path:
    """Return the file that the weights that torchvision publishes for a network are fetched into."""
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(_published(architecture).url).path).name


def fetch_published(architecture: str) -> None:
    """Fetch the ImageNet weights that torchvision publishes to `published_file`; nothing where that is there.

    Raises:
        OSError, HTTPException: what the download raises.
        RuntimeError: what came has another hash than its name says.
    """
    file = published_file(architecture)
    if file.is_file():
        return
    file.parent.mkdir(parents=True, exist_ok=True)
    _log.info("fetching %s into %s", file.name, file.parent)
    # The name ends in the first digits of the file's SHA-256.
    digest = file.stem.rpartition("-")[2]
    torch.hub.download_url_to_file(_published(architecture).url, str(file), digest, progress=False)


def _published(architecture: str) -> Any:
    # A late import, for start-up: torchvision takes seconds, and mini_resnet needs none of it.
    from torchvision.models import get_model_weights

    return get_model_weights(architecture).DEFAULT


def _torchvision_model(name: str) -> nn.Module:
    # A late import, for start-up: torchvision takes seconds, and mini_resnet needs none of it.
    from torchvision.models import get_model

    return get_model(name, weights=None)
