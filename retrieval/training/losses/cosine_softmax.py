"""Softmax cross-entropy over cosines. Letters: N images, D descriptor size, C classes."""

from collections.abc import Sequence

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.training.losses.base import Loss
from retrieval.training.losses.kind import LossKind
from retrieval.training.options import Option

DEFAULT_SCALE = 16.0


class CosineSoftmax(Loss):
    """Softmax cross-entropy over scaled cosines between descriptors and one learned direction a class.

    Source: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", ACM MM 2017, eq. 6,
    with a fixed scale. Differs from the paper: the scale is not learned.
    """

    def __init__(self, classes: int, descriptor_size: int, scale: float = DEFAULT_SCALE) -> None:
        super().__init__()
        # The directions start with a length of about 1: a step of an optimizer turns a longer direction by less, and
        # AdamW would hardly turn those of a standard normal draw in the few steps of a short training.
        self.directions_CD = nn.Parameter(torch.randn(classes, descriptor_size) / descriptor_size**0.5)
        self.scale = scale

    @property
    def descriptor_size(self) -> int:
        """D of the descriptors that it takes."""
        return self.directions_CD.shape[1]

    def forward(self, descriptors_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of unit descriptors N×D with class indices N."""
        cosines_NC = descriptors_ND @ F.normalize(self.directions_CD, dim=1).T
        return F.cross_entropy(self.scale * cosines_NC, labels_N)

    def keep_(self, columns: Sequence[int]) -> None:
        """Keep only these columns of the descriptor, in this order: the network's other last channels were removed."""
        self.directions_CD = nn.Parameter(self.directions_CD.detach()[:, list(columns)])


COSINE_SOFTMAX = LossKind(
    CosineSoftmax,
    options=(Option("scale", PositiveFloat, DEFAULT_SCALE, "factor on the cosines before the softmax"),),
    learns="class directions",
    least_classes=2,
)
