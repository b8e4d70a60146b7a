"""Pooling of feature maps into one vector an image.

Letters: N images, C channels, H W height and width, S intervals along an axis.
"""

import torch
from torch import Tensor, nn

_OVERLAP = 0.4  # of neighbouring regions along the longer axis, that R-MAC comes as near to as it can
_MOST_EXTRA = 6  # regions that the longer axis may have more than the shorter one
_RMAC_EPS = 1e-6


def gem(x_NCHW: Tensor, p: float | Tensor = 3.0, eps: float = 1e-6) -> Tensor:
    """Return the generalised mean over a feature map's positions: ``mean(clamp(x, eps)^p)^(1/p)``, N×C.

    The result is not normalised. ``p = 1`` is the mean of the positive parts, ``p → ∞`` the maximum.

    Source: Radenović, Tolias, Chum, "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2019, eq. 3.
    Differs from the paper: nothing; ``eps`` keeps the gradient of the root finite, as in the authors' code.
    """
    # A mean over dimensions, not avg_pool2d with a size: ONNX export would bake the size in.
    pooled_NC11 = x_NCHW.clamp(min=eps).pow(p).mean((-2, -1), keepdim=True).pow(1.0 / p)
    return pooled_NC11.flatten(1)


def mac(x_NCHW: Tensor) -> Tensor:
    """Return the maximum over the positions of a feature map (MAC), N×C.

    The result is not normalised.

    Source: Tolias et al., as `rmac`: "maximum activations of convolutions". Differs from the paper: nothing.
    """
    return x_NCHW.amax((-2, -1))


def spoc(x_NCHW: Tensor) -> Tensor:
    """Return the mean over the positions of a feature map (SPoC), N×C.

    The result is not normalised.

    Source: Babenko, Lempitsky, "Aggregating Deep Convolutional Features for Image Retrieval", ICCV 2015.
    Differs from the paper: a mean in place of the sum, which unit length makes the same; no centring prior, no PCA.
    """
    return x_NCHW.mean((-2, -1))


def rmac(x_NCHW: Tensor, levels: int = 3) -> Tensor:
    """Return the sum of the unit vectors of the maxima over square regions of a feature map (R-MAC), N×C.

    On level l the regions have side ``floor(2·min(H, W) / (l + 1))``, l of them along the shorter axis and along the
    longer one so many more that neighbours on the first level overlap by about 40 %.

    The result is not normalised.

    Source: Tolias, Sicre, Jégou, "Particular Object Retrieval with Integral Max-Pooling of CNN Activations", ICLR
    2016 (R-MAC), in the form of Radenović's code (cirtorch): region borders are rounded as there, in float32.
    Differs from the paper: the maximum over the whole map is one more region, and the vectors of the regions are not
    whitened.

    Raises:
        ValueError: `levels` below 1.
    """
    if levels < 1:
        raise ValueError(f"levels is {levels}, must be at least 1")
    # Tensors all through, no Python numbers: so the grid of regions stays a function of H and W in an ONNX model.
    sizes = x_NCHW.shape[-2:]
    height, width = (torch.scalar_tensor(size, dtype=torch.float32, device=x_NCHW.device) for size in sizes)
    shorter, extra = torch.minimum(height, width), _extra_regions(height, width)
    extra_rows, extra_columns = extra * (height > width), extra * (width > height)
    total_NC = _unit(mac(x_NCHW))
    for level in range(1, levels + 1):
        side = torch.floor(2 * shorter / (level + 1))
        slots = torch.arange(level + _MOST_EXTRA, device=x_NCHW.device)
        rows_SH = _intervals(slots, x_NCHW.shape[-2], side, level + extra_rows)
        columns_SW = _intervals(slots, x_NCHW.shape[-1], side, level + extra_columns)
        exists_SS = ((slots < level + extra_rows)[:, None] & (slots < level + extra_columns)) & (side > 0)
        vectors_NCSS = _unit(_region_maxima(x_NCHW, rows_SH, columns_SW))
        total_NC = total_NC + (vectors_NCSS * exists_SS).sum((-2, -1))
    return total_NC


def _extra_regions(height: Tensor, width: Tensor) -> Tensor:
    """Return how many more regions the longer axis has, so that neighbours overlap by about 40 %: scalar, 1 to 6."""
    shorter, longer = torch.minimum(height, width), torch.maximum(height, width)
    gaps = torch.arange(1, _MOST_EXTRA + 1, device=height.device, dtype=height.dtype)
    # Reciprocal and product, not a quotient: the last bit decides ties, as for a map of 5×9.
    step = gaps.reciprocal() * (longer - shorter)
    overlap = (shorter**2 - shorter * step) / shorter**2
    return (overlap - _OVERLAP).abs().argmin() + 1


def _intervals(slots: Tensor, size: int, side: Tensor, count: Tensor) -> Tensor:
    """Return which of `size` positions lie in each of `count` intervals of length `side`, S×size, bool.

    They are spread from the first position to the last. Slots from `count` on hold the whole axis, and so do all when
    `side` is 0: what is taken over them must be finite, for they count for nothing in the end.
    """
    positions = torch.arange(size, device=side.device)
    half = torch.floor(side / 2 - 1)
    step = (size - side) / (count - 1).clamp(min=1)
    starts_S1 = (torch.floor(half + slots * step) - half)[:, None]
    inside = (positions >= starts_S1) & (positions < starts_S1 + side)
    unused_S1 = ((slots >= count) | (side < 1))[:, None]
    return inside | unused_S1


def _region_maxima(x_NCHW: Tensor, rows_SH: Tensor, columns_SW: Tensor) -> Tensor:
    """Return the maximum over each pair of a row interval and a column interval, N×C×S×S."""
    lowest = float("-inf")
    maxima_NCSW = torch.where(rows_SH[:, :, None], x_NCHW[:, :, None], lowest).amax(-2)
    return torch.where(columns_SW, maxima_NCSW[:, :, :, None], lowest).amax(-1)


def _unit(vectors: Tensor) -> Tensor:
    """Return the vectors N×C×… with unit length over C."""
    return vectors / (vectors.norm(dim=1, keepdim=True) + _RMAC_EPS)


class GeM(nn.Module):
    """The pooling `gem` with a learnable exponent, one for all channels."""

    def __init__(self, p: float = 3.0, eps: float = 1e-6) -> None:
        super().__init__()
        self.p = nn.Parameter(torch.tensor(float(p)))
        self.eps = eps

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return pooled vectors N×C of feature maps N×C×H×W."""
        return gem(x_NCHW, self.p, self.eps)

    def extra_repr(self) -> str:
        """Return the settings that no weight holds: part of `retrieval.descriptors.store.weights_digest`."""
        return f"eps={self.eps}"


class MAC(nn.Module):
    """The pooling `mac` as a layer."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return pooled vectors N×C of feature maps N×C×H×W."""
        return mac(x_NCHW)


class SPoC(nn.Module):
    """The pooling `spoc` as a layer."""

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return pooled vectors N×C of feature maps N×C×H×W."""
        return spoc(x_NCHW)


class RMAC(nn.Module):
    """The pooling `rmac` as a layer."""

    def __init__(self, levels: int = 3) -> None:
        super().__init__()
        self.levels = levels

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return pooled vectors N×C of feature maps N×C×H×W."""
        return rmac(x_NCHW, self.levels)

    def extra_repr(self) -> str:
        """Return the settings that no weight holds: part of `retrieval.descriptors.store.weights_digest`."""
        return f"levels={self.levels}"
