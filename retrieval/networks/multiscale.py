"""One descriptor from an image seen at several scales. Letters: N images, C H W, D descriptor size."""

import math
from collections.abc import Sequence
from fractions import Fraction

from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.networks.network import RetrievalNetwork
from retrieval.networks.pooling import GeM


class MultiScale(nn.Module):
    """A network that averages another's descriptors over scales: images N×3×H×W → unit descriptors N×D.

    A power mean, ``v = (mean_s descriptor_s^power)^(1/power)``, then unit length. The normalised image is resized
    bilinearly (corners not aligned) to ``floor(scale · side)`` pixels; scale 1 takes it as it is.

    Source: Radenović, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, section
    5.2, in the form of the authors' code (cirtorch).
    Differs from the paper: nothing. As in the torch of its time, pixels are sampled at the ratio of the whole sides;
    today's `interpolate`, given a scale, takes the scale itself.

    Args:
        network: images → unit descriptors.
        scales: factors of height and width; the paper has 1, √2 and 1/√2.
        power: of the mean; for the paper's value see `power_of`. Other than 1 it takes descriptors without negatives.

    Raises:
        ValueError: no scales, the same scale twice, or a scale or power that is not above 0.
    """

    def __init__(self, network: nn.Module, scales: Sequence[float], power: float = 1.0) -> None:
        super().__init__()
        if not scales or len(set(scales)) < len(scales) or not all(_positive(scale) for scale in scales):
            raise ValueError(f"scales are {list(scales)}; at least one is right, all different and above 0")
        if not _positive(power):
            raise ValueError(f"power is {power}; it must be above 0")
        self.network = network
        self.scales = tuple(float(scale) for scale in scales)
        self.power = float(power)

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return unit descriptors N×D of images N×3×H×W, normalised by `retrieval.images.normalise`."""
        total_ND = sum(self._described(images_NCHW, scale) for scale in self.scales)
        assert isinstance(total_ND, Tensor)
        mean_ND = total_ND / len(self.scales)
        return F.normalize(mean_ND if self.power == 1 else mean_ND.pow(1 / self.power), dim=1)

    def extra_repr(self) -> str:
        """Return the settings that no weight holds: part of `retrieval.descriptors.store.weights_digest`."""
        return f"scales={self.scales}, power={self.power}"

    def _described(self, images_NCHW: Tensor, scale: float) -> Tensor:
        if scale != 1:
            sides = [_scaled(side, scale) for side in images_NCHW.shape[-2:]]
            images_NCHW = F.interpolate(images_NCHW, sides, mode="bilinear", align_corners=False)
        descriptors_ND = self.network(images_NCHW)
        return descriptors_ND if self.power == 1 else descriptors_ND.pow(self.power)


def power_of(network: nn.Module) -> float:
    """Return the power for `MultiScale`: GeM's exponent where the pooled vector is the descriptor, else 1.

    The rule of cirtorch: the scales are then pooled as the positions of one feature map are.
    """
    if (
        isinstance(network, RetrievalNetwork)
        and isinstance(network.pooling, GeM)
        and isinstance(network.projection, nn.Identity)
    ):
        return float(network.pooling.p.detach())
    return 1.0


def _scaled(side: int, scale: float) -> int:
    """Return ``floor(scale · side)`` in integers: the exporter to ONNX cannot follow sides that become floats."""
    ratio = Fraction(scale).limit_denominator(1_000_000)
    return side * ratio.numerator // ratio.denominator


def _positive(value: float) -> bool:
    return math.isfinite(value) and value > 0
