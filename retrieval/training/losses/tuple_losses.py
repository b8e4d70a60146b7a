"""Losses over descriptors: each a pure function, and a thin `Loss` that says what of the network it takes.

Letters: N images, D descriptor size, C classes. A tuple is a query, its positive and its negatives, in this order; its
targets are −1 for the query, 1 for the positive, 0 for a negative, and tuples may differ in length.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.networks.reid import ReIDNetwork

_QUERY, _POSITIVE, _NEGATIVE = -1, 1, 0
_OFF_ZERO = 1e-6

Margin = float | Literal["soft"]


def contrastive(descriptors_ND: Tensor, targets_N: Tensor, margin: float) -> Tensor:
    """Σ over (query, other) of ½·y·d² + ½·(1−y)·max(0, margin − d)², d = ‖q − x + 1e-6‖, y 1 for the positive.

    Source: Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2018, in the form of the
    authors' code: a sum over all pairs, not a mean; margin 0.7, for ResNet 0.85. Differs from the code: nothing.

    Args:
        descriptors_ND: unit descriptors of tuples, one after another.
        targets_N: which of them is a query, a positive, a negative.
        margin: distance from which on a negative costs nothing.
    """
    others_N = targets_N != _QUERY
    y_M = targets_N[others_N].to(descriptors_ND.dtype)
    queries_MD = descriptors_ND[_query_of(targets_N)[others_N]]
    distances_M = (queries_MD - descriptors_ND[others_N] + _OFF_ZERO).pow(2).sum(1).sqrt()
    near_M = 0.5 * y_M * distances_M.pow(2)
    far_M = 0.5 * (1 - y_M) * (margin - distances_M).clamp(min=0).pow(2)
    return (near_M + far_M).sum()


def triplet(descriptors_ND: Tensor, targets_N: Tensor, margin: float) -> Tensor:
    """Σ over the negatives of max(0, ‖q − p‖² − ‖q − n‖² + margin), q and p of the negative's own tuple.

    Source: Arandjelović et al., "NetVLAD: CNN Architecture for Weakly Supervised Place Recognition", CVPR 2016,
    section 4, in the form of the code of Radenović et al., TPAMI 2018. Differs from the paper: each query has one
    positive, so there is no best one to choose.

    Args: as `contrastive`.
    """
    query_of_N = _query_of(targets_N)
    distances_N = (descriptors_ND[query_of_N] - descriptors_ND).pow(2).sum(1)
    negatives_N = targets_N == _NEGATIVE
    # The positive stands behind its query.
    to_positive_M = distances_N[query_of_N[negatives_N] + 1]
    return (to_positive_M - distances_N[negatives_N] + margin).clamp(min=0).sum()


def _query_of(targets_N: Tensor) -> Tensor:
    """For each image of a row of tuples, where its query stands."""
    queries = torch.nonzero(targets_N == _QUERY).flatten()
    behind_N = F.pad(targets_N[1:], (0, 1), value=_QUERY)
    if not len(queries) or queries[0] or bool((behind_N[queries] != _POSITIVE).any()):
        raise ValueError(f"targets are {targets_N.tolist()}: tuples begin with a query, -1, and its positive, 1")
    return queries[torch.cumsum(targets_N == _QUERY, dim=0) - 1]


def batch_hard(features_ND: Tensor, labels_N: Tensor, margin: Margin) -> Tensor:
    """Mean over the anchors of max(0, margin + d to the farthest of its class − d to the nearest of another).

    Source: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", arXiv 1703.07737, L_BH, d the
    distance, not its square; with margin "soft" the paper's soft margin, log(1 + exp(difference)). Differs from the
    paper: a mean in place of a sum; an anchor without another image of its class, or of another class, is left out.

    Raises:
        ValueError: no image of the batch has both.
    """
    same_NN = labels_N[:, None] == labels_N
    others_NN = same_NN & ~torch.eye(len(labels_N), dtype=torch.bool, device=labels_N.device)
    anchors = torch.nonzero(others_NN.any(1) & ~same_NN.all(1)).flatten()
    if not len(anchors):
        raise ValueError(f"labels are {labels_N.tolist()}: two images of a class and one of another would be right")
    with torch.no_grad():  # which is the hardest is decided here, its distance is taken anew below
        distances_NN = torch.cdist(features_ND, features_ND, compute_mode="donot_use_mm_for_euclid_dist")
        farthest_N = distances_NN.masked_fill(~others_NN, -torch.inf).argmax(1)
        nearest_N = distances_NN.masked_fill(same_NN, torch.inf).argmin(1)
    anchors_MD = features_ND[anchors]
    to_farthest_M = (anchors_MD - features_ND[farthest_N[anchors]]).norm(dim=1)
    to_nearest_M = (anchors_MD - features_ND[nearest_N[anchors]]).norm(dim=1)
    difference_M = to_farthest_M - to_nearest_M
    if margin == "soft":
        return F.softplus(difference_M).mean()
    return (difference_M + margin).clamp(min=0).mean()


def descriptor_matching(descriptors_ND: Tensor, dense_ND: Tensor) -> Tensor:
    """Mean squared distance between two networks' descriptors of the same images.

    Source: the regression of Budnik and Avrithis, "Asymmetric metric learning for knowledge transfer", CVPR 2021, who
    find it best where queries and database are described by different networks. Differs from the paper: weights and
    constants are ours (its abstract and code were read, its equations were not).

    Raises:
        ValueError: the descriptors are not of one size.
    """
    if descriptors_ND.shape != dense_ND.shape:
        raise ValueError(
            f"descriptors of shape {tuple(descriptors_ND.shape)} cannot be matched with {tuple(dense_ND.shape)}: "
            "the descriptor's channels must all be kept"
        )
    return (descriptors_ND - dense_ND).pow(2).sum(1).mean()


class Loss(nn.Module):
    """What a training minimises: `loss(*loss.outputs(network, images), labels)`.

    Most take the descriptors alone and learn nothing of their own.
    """

    @property
    def descriptor_size(self) -> int | None:
        """D of the descriptors that it takes; None where any will do."""
        return None

    def outputs(self, network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """What it takes of the network, the descriptors N×D first."""
        return (network(images_NCHW),)

    def keep_(self, columns: Sequence[int]) -> None:
        """Keep only these columns of the descriptor, in this order: a network's last channels went."""


class CosineSoftmax(Loss):
    """Softmax cross-entropy over scaled cosines between descriptors and one learned direction a class.

    Source: Wang et al., "NormFace: L2 Hypersphere Embedding for Face Verification", ACM MM 2017, eq. 6,
    with a fixed scale. Differs from the paper: the scale is not learned.
    """

    def __init__(self, classes: int, descriptor_size: int, scale: float = 16.0) -> None:
        super().__init__()
        # Of length about 1: an optimizer's step turns a longer direction by less, and AdamW would hardly turn those of
        # a standard normal draw at all in the steps of a short training.
        self.directions_CD = nn.Parameter(torch.randn(classes, descriptor_size) / descriptor_size**0.5)
        self.scale = scale

    @property
    def descriptor_size(self) -> int:
        """D of the descriptors that it takes."""
        return self.directions_CD.shape[1]

    def forward(self, descriptors_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Unit descriptors N×D and class indices N → mean loss, a scalar."""
        cosines_NC = descriptors_ND @ F.normalize(self.directions_CD, dim=1).T
        return F.cross_entropy(self.scale * cosines_NC, labels_N)

    def keep_(self, columns: Sequence[int]) -> None:
        """Keep only these columns of the descriptor, in this order: a network's last channels went."""
        self.directions_CD = nn.Parameter(self.directions_CD.detach()[:, list(columns)])


class Contrastive(Loss):
    """`contrastive` with its margin."""

    def __init__(self, margin: float = 0.7) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Unit descriptors N×D and targets N of tuples → summed loss, a scalar."""
        return contrastive(descriptors_ND, targets_N, self.margin)


class Triplet(Loss):
    """`triplet` with its margin."""

    def __init__(self, margin: float = 0.1) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Unit descriptors N×D and targets N of tuples → summed loss, a scalar."""
        return triplet(descriptors_ND, targets_N, self.margin)


class BatchHard(Loss):
    """`batch_hard` with its margin, on the descriptors."""

    def __init__(self, margin: Margin = 0.3) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Unit descriptors N×D and class indices N → mean loss, a scalar."""
        return batch_hard(descriptors_ND, labels_N, self.margin)


class ReIDPair(Loss):
    """Softmax over the logits, labels smoothed, plus `batch_hard` on the features before the BatchNorm neck.

    Source: Luo et al., "Bag of Tricks and a Strong Baseline for Deep Person Re-Identification", CVPRW 2019. Differs
    from the paper: no center loss.
    """

    def __init__(self, margin: Margin = 0.3, smoothing: float = 0.1) -> None:
        super().__init__()
        self.margin = margin
        self.smoothing = smoothing

    def outputs(self, network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Descriptors N×D, features N×D before the neck, logits N×C; `network` is a `ReIDNetwork`."""
        assert isinstance(network, ReIDNetwork)
        return network.training_outputs(images_NCHW)

    def forward(self, descriptors_ND: Tensor, features_ND: Tensor, logits_NC: Tensor, labels_N: Tensor) -> Tensor:
        """What `outputs` gives and class indices N → mean loss, a scalar; the descriptors are not looked at."""
        softmax = F.cross_entropy(logits_NC, labels_N, label_smoothing=self.smoothing)
        return softmax + batch_hard(features_ND, labels_N, self.margin)


class Matched(Loss):
    """Another loss, plus `weight` times `descriptor_matching` with a dense network, which is not trained."""

    def __init__(self, loss: Loss, dense: nn.Module, weight: float) -> None:
        super().__init__()
        self.loss = loss
        self.weight = weight
        # In a tuple it is no module of this one: neither trained, nor saved between epochs, nor put into training mode.
        self._dense = (dense.eval(),)

    @property
    def descriptor_size(self) -> int | None:
        """D of the descriptors that the other loss takes."""
        return self.loss.descriptor_size

    def outputs(self, network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """What the other loss takes, then the dense network's descriptors N×D."""
        (dense,) = self._dense
        with torch.no_grad():
            dense_ND = dense.to(images_NCHW.device)(images_NCHW)
        return *self.loss.outputs(network, images_NCHW), dense_ND

    def forward(self, descriptors_ND: Tensor, *others: Tensor) -> Tensor:
        """What `outputs` gives and the other loss's labels → a scalar."""
        *rest, dense_ND, labels_N = others
        matching = descriptor_matching(descriptors_ND, dense_ND)
        return self.loss(descriptors_ND, *rest, labels_N) + self.weight * matching

    def keep_(self, columns: Sequence[int]) -> None:
        """As the other loss does; what is matched must keep its size."""
        self.loss.keep_(columns)
