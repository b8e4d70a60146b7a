"""The batch-hard triplet loss. Letters: N images, D descriptor size, M anchors."""

from typing import Literal

import torch
from pydantic import PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from retrieval.training.batch_kinds import CLASSES
from retrieval.training.losses.base import Loss
from retrieval.training.losses.kind import LossKind, of_any_size
from retrieval.training.options import Option

Margin = float | Literal["soft"]
PUBLISHED_MARGIN = 0.3

MARGIN = Option(
    "margin",
    PositiveFloat | Literal["soft"],
    PUBLISHED_MARGIN,
    'distance by which another class must be farther, or "soft"',
    takes='a number or "soft"',
)


def batch_hard(features_ND: Tensor, labels_N: Tensor, margin: Margin) -> Tensor:
    """Return the mean over anchors of max(0, margin + d to the farthest of its class − d to the nearest of another).

    Source: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", arXiv 1703.07737, L_BH, d the
    distance, not its square; with margin "soft" the paper's soft margin, log(1 + exp(difference)). Differs from the
    paper: a mean in place of a sum; an anchor without another image of its class, or of another class, is left out.

    Args:
        features_ND: of the batch; need not be of unit length.
        labels_N: class of each image.
        margin: a distance, or "soft".

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


class BatchHard(Loss):
    """The loss `batch_hard` with its margin, on the descriptors."""

    def __init__(self, margin: Margin = PUBLISHED_MARGIN) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of unit descriptors N×D with class indices N."""
        return batch_hard(descriptors_ND, labels_N, self.margin)


BATCH_HARD = LossKind(of_any_size(BatchHard), options=(MARGIN,), batches=CLASSES)
