"""NetVLAD: residuals to learned centroids, summed over a feature map.

Letters: N images, C channels, H W height and width, P positions (H·W), K clusters, M features, D descriptor size.
"""

import math

import faiss
import torch
from torch import Tensor, nn
from torch.nn import functional as F

_START_ALPHA = 100.0  # sharp enough that a position belongs to few of the random centroids
_SECOND_TO_FIRST = 0.01  # the share that a position's second cluster has of the first's, after `init_from_`


class NetVLAD(nn.Module):
    """Soft assignment of every position to K centroids, and the sum of its residuals to each of them.

    Starts from random centroids; `init_from_` sets them from a network's own features, as the paper does.

    Source: Arandjelović, Gronat, Torii, Pajdla, Sivic, "NetVLAD: CNN Architecture for Weakly Supervised Place
    Recognition", CVPR 2016, eqs. 2 to 4.
    Differs from the paper: the assignment has no biases b_k and points along the centroids, whatever their length, as
    in the first variant of the authors' code. In `retrieval.networks.network` the feature map is taken behind the
    backbone's last ReLU, the paper's before it.
    """

    def __init__(self, channels: int, clusters: int = 64) -> None:
        super().__init__()
        if channels < 1 or clusters < 1:
            raise ValueError(f"channels and clusters must be at least 1, got {channels} and {clusters}")
        self.assignment = nn.Conv2d(channels, clusters, kernel_size=1, bias=False)
        # Non-negative, as the features behind a ReLU are.
        self.centroids_KC = nn.Parameter(F.normalize(torch.rand(clusters, channels), dim=1))
        self._set_assignment_(_START_ALPHA)

    def forward(self, x_NCHW: Tensor) -> Tensor:
        """Return unit vectors N×(K·C) of N×C×H×W: the residuals of one cluster after another."""
        x_NCHW = F.normalize(x_NCHW, dim=1)
        assignment_NKP = self.assignment(x_NCHW).flatten(2).softmax(dim=1)
        # The sum over positions as a matrix product: the residuals themselves would be N×K×C×P. And bmm, not @, which
        # wraps it in expansions and views: tracing channels through those takes a hundred times as long.
        sums_NKC = torch.bmm(assignment_NKP, x_NCHW.flatten(2).transpose(1, 2))
        residuals_NKC = sums_NKC - assignment_NKP.sum(-1, keepdim=True) * self.centroids_KC
        return F.normalize(F.normalize(residuals_NKC, dim=2).flatten(1), dim=1)

    @torch.no_grad()
    def init_from_(self, features_MC: Tensor, *, seed: int = 0) -> None:
        """Set the centroids by k-means over local features, and the assignment's sharpness by how far they lie apart.

        Sharpness α is such that, on average over the features, the second nearest cluster gets a hundredth of what
        the nearest gets: ``α = −ln(0.01) / mean(top1 − top2)`` of the products of features and unit centroids.

        Args:
            features_MC: local features from feature maps of training images, at least as many as clusters; their
                length does not matter.
            seed: of the k-means.

        Raises:
            ValueError: fewer features than clusters, another number of channels, values that are not finite, fewer
                than two clusters, or features that are all the same, so that no α would tell the clusters apart.
        """
        self._check_features(features_MC)
        features_MC = F.normalize(features_MC.detach().float(), dim=1)
        centroids_KC = _kmeans(features_MC.cpu(), len(self.centroids_KC), seed).to(features_MC.device)
        products_M2 = (features_MC @ F.normalize(centroids_KC, dim=1).T).topk(2, dim=1).values
        margin = float((products_M2[:, 0] - products_M2[:, 1]).mean())
        if margin <= 0:
            raise ValueError(
                f"features lie {margin} nearer to their first centroid than to their second: are all alike?"
            )
        self.centroids_KC.copy_(centroids_KC)
        self._set_assignment_(-math.log(_SECOND_TO_FIRST) / margin)

    def _check_features(self, features_MC: Tensor) -> None:
        clusters, channels = self.centroids_KC.shape
        if clusters < 2:
            raise ValueError(f"{clusters} cluster has no second nearest: k-means needs at least 2")
        if features_MC.dim() != 2 or features_MC.shape[1] != channels or len(features_MC) < clusters:
            shape = tuple(features_MC.shape)
            raise ValueError(f"features have shape {shape}, must be M×{channels} with M at least {clusters}")
        if not features_MC.isfinite().all():
            raise ValueError("features hold values that are not finite")

    @torch.no_grad()
    def _set_assignment_(self, alpha: float) -> None:
        weights_KC = alpha * F.normalize(self.centroids_KC, dim=1)
        self.assignment.weight.copy_(weights_KC[:, :, None, None])


def _kmeans(features_MC: Tensor, clusters: int, seed: int) -> Tensor:
    # faiss warns on standard error below 39 features a cluster; that few is the caller's choice.
    kmeans = faiss.Kmeans(features_MC.shape[1], clusters, seed=seed, min_points_per_centroid=1)
    kmeans.train(features_MC.contiguous().numpy())
    return torch.from_numpy(kmeans.centroids)
