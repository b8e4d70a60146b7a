"""The contrastive loss over tuples. Letters: N images, D descriptor size, M images that are no queries."""

from pydantic import PositiveFloat
from torch import Tensor

from retrieval.training.batch_kinds import TUPLES
from retrieval.training.losses.base import Loss
from retrieval.training.losses.kind import LossKind, of_any_size
from retrieval.training.losses.tuple_targets import QUERY, query_of
from retrieval.training.options import Option

PUBLISHED_MARGIN = 0.7
_OFF_ZERO = 1e-6


def contrastive(descriptors_ND: Tensor, targets_N: Tensor, margin: float) -> Tensor:
    """Return Σ over (query, other) of ½·y·d² + ½·(1−y)·max(0, margin − d)², d = ‖q − x + 1e-6‖, y 1 for the positive.

    Source: Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2018, in the form of the
    authors' code: a sum over all pairs, not a mean; margin 0.7, for ResNet 0.85. Differs from the code: nothing.

    Args:
        descriptors_ND: unit descriptors of tuples, one after another.
        targets_N: which of them is a query, a positive, a negative.
        margin: distance from which on a negative costs nothing.
    """
    others_N = targets_N != QUERY
    y_M = targets_N[others_N].to(descriptors_ND.dtype)
    queries_MD = descriptors_ND[query_of(targets_N)[others_N]]
    distances_M = (queries_MD - descriptors_ND[others_N] + _OFF_ZERO).pow(2).sum(1).sqrt()
    near_M = 0.5 * y_M * distances_M.pow(2)
    far_M = 0.5 * (1 - y_M) * (margin - distances_M).clamp(min=0).pow(2)
    return (near_M + far_M).sum()


class Contrastive(Loss):
    """The loss `contrastive` with its margin."""

    def __init__(self, margin: float = PUBLISHED_MARGIN) -> None:
        super().__init__()
        self.margin = margin

    def forward(self, descriptors_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Return the summed loss, a scalar, of unit descriptors N×D with the targets N of their tuples."""
        return contrastive(descriptors_ND, targets_N, self.margin)


CONTRASTIVE = LossKind(
    of_any_size(Contrastive),
    options=(Option("margin", PositiveFloat, PUBLISHED_MARGIN, "distance from which on a negative costs nothing"),),
    batches=TUPLES,
)
