"""The triplet loss over tuples. Letters: N images, D descriptor size, M negatives."""

from pydantic import PositiveFloat
from torch import Tensor

from retrieval.training.batch_kinds import TUPLES
from retrieval.training.losses.base import Loss
from retrieval.training.losses.kind import LossKind, of_any_size
from retrieval.training.losses.tuple_targets import NEGATIVE, query_of
from retrieval.training.options import Option

PUBLISHED_MARGIN = 0.1


def triplet(descriptors_ND: Tensor, targets_N: Tensor, margin: float) -> Tensor:
    """Return Σ over the negatives of max(0, ‖q − p‖² − ‖q − n‖² + margin), q and p of the negative's own tuple.

    Source: Arandjelović et al., "NetVLAD: CNN Architecture for Weakly Supervised Place Recognition", CVPR 2016,
    section 4, in the form of the code of Radenović et al., TPAMI 2018. Differs from the paper: each query has one
    positive, so there is no best one to choose.

    Args:
        descriptors_ND: unit descriptors of tuples, one after another.
        targets_N: −1, 1 or 0: a query, a positive, a negative.
        margin: squared distance by which a negative must be farther than the positive to cost nothing.
    """
    query_of_N = query_of(targets_N)
    distances_N = (descriptors_ND[query_of_N] - descriptors_ND).pow(2).sum(1)
    negatives_N = targets_N == NEGATIVE
    # The positive stands behind its query.
    to_positive_M = distances_N[query_of_N[negatives_N] + 1]
    return (to_positive_M - distances_N[negatives_N] + margin).clamp(min=0).sum()


class Triplet(Loss):
    """The loss `triplet` with its margin."""

    def __init__(self, margin: float = PUBLISHED_MARGIN) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Return the summed loss, a scalar, of unit descriptors N×D with the targets N of their tuples."""
        return triplet(descriptors_ND, targets_N, self.margin)


TRIPLET = LossKind(
    of_any_size(Triplet),
    options=(
        Option("margin", PositiveFloat, PUBLISHED_MARGIN, "squared distance by which a negative must be farther"),
    ),
    batches=TUPLES,
)
