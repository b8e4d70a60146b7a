"""torchvision's networks up to their last feature map, with its names and weights. Letters: N images, C H W.

torchvision is imported when a network is built, not before: it takes seconds, and most commands need none of it.
"""

from torch import Tensor, nn


class Features(nn.Module):
    """Layers run one after another; the last convolution among them writes the `out_channels` of the feature map."""

    def __init__(self, layers: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, layer in layers.items():
            self.add_module(name, layer)
        self.out_channels = [module.out_channels for module in self.modules() if isinstance(module, nn.Conv2d)][-1]

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """N×3×H×W → N×C×H/32×W/32 (H/16×W/16 without the last pooling)."""
        x = images_NCHW
        for module in self.children():
            x = module(x)
        return x


def resnet_features(name: str, weights: str | None) -> Features:
    """A ResNet without its average pooling and classifier.

    Source: He et al., "Deep Residual Learning for Image Recognition", CVPR 2016. Differs from the paper: torchvision
    has the stride of a bottleneck in its 3×3 convolution.

    Args:
        name: torchvision's, as "resnet50".
        weights: torchvision's name for them, as "DEFAULT", which it fetches; None for a random start.
    """
    children = dict(_torchvision_model(name, weights).named_children())
    return Features({child: layer for child, layer in children.items() if child not in ("avgpool", "fc")})


def vgg_features(name: str, weights: str | None) -> Features:
    """The convolutions of a VGG or AlexNet without the last max-pooling, so that positions lie 16 pixels apart.

    Sources: Simonyan, Zisserman, "Very Deep Convolutional Networks for Large-Scale Image Recognition", ICLR 2015;
    Krizhevsky, "One Weird Trick for Parallelizing Convolutional Neural Networks", 2014. Differs from the papers: the
    last max-pooling goes with the classifier, as retrieval has it (Radenović et al., TPAMI 2019, their code).

    Args: as of `resnet_features`.
    """
    features = dict(_torchvision_model(name, weights).get_submodule("features").named_children())
    features.popitem()
    return Features(features)


def mobilenet_features(name: str, weights: str | None) -> Features:
    """The convolutions of a MobileNet, the last 1×1 among them; average pooling and classifier are dropped.

    Sources: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks", CVPR 2018; Howard et al.,
    "Searching for MobileNetV3", ICCV 2019. Differs from the papers: nothing in the part that is kept.

    Args: as of `resnet_features`.
    """
    return Features(dict(_torchvision_model(name, weights).get_submodule("features").named_children()))


def _torchvision_model(name: str, weights: str | None) -> nn.Module:
    from torchvision.models import get_model

    return get_model(name, weights=weights)
