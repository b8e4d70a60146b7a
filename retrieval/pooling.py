"""Pooling of feature maps into one vector an image. Letters: N images, C channels, H W height and width."""

import torch
from torch import Tensor, nn


def gem(x_NCHW: Tensor, p: float | Tensor = 3.0, eps: float = 1e-6) -> Tensor:
    """Generalised mean over the positions of a feature map: ``mean(clamp(x, eps)^p)^(1/p)``.

    Returns N×C, not normalised. ``p = 1`` is the mean of the positive parts, ``p → ∞`` the maximum.

    Source: Radenović, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, eq. 3.
    Differs from the paper: nothing; ``eps`` keeps the gradient of the root finite, as in the authors' code.
    """
    # A mean over dimensions, not avg_pool2d with a size: ONNX export would bake the size in.
    pooled_NC11 = x_NCHW.clamp(min=eps).pow(p).mean((-2, -1), keepdim=True).pow(1.0 / p)
    return pooled_NC11.flatten(1)


class GeM(nn.Module):
    """`gem` with a learnable exponent, one for all channels."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(float(p)))
        self.eps = eps

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """N×C×H×W → N×C."""
        return gem(x_NCHW, self.p, self.eps)
