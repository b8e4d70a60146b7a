"""A softmax over the similarities between images of a batch, as an example. Letters: N images, D descriptor size."""

from pydantic import PositiveFloat
from torch import Tensor
from torch.nn import functional as F

from retrieval.training.batch_kinds import CLASSES
from retrieval.training.losses.base import Loss
from retrieval.training.losses.kind import LossKind, of_any_size
from retrieval.training.options import Option

DEFAULT_TEMPERATURE = 0.1


class Neighbours(Loss):
    """The negative logarithm of the share that images of an image's own class have in its softmax over the batch."""

    def __init__(self, temperature: float = DEFAULT_TEMPERATURE) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, descriptors_ND: Tensor, labels_N: Tensor) -> Tensor:
        """Return the mean loss, a scalar, of unit descriptors N×D with class indices N."""
        similarities_NN = descriptors_ND @ descriptors_ND.T / self.temperature
        similarities_NN.fill_diagonal_(-1e4)
        share_N = (F.softmax(similarities_NN, dim=1) * (labels_N[:, None] == labels_N)).sum(1)
        return -share_N.clamp(min=1e-6).log().mean()


NEIGHBOURS = LossKind(
    of_any_size(Neighbours),
    options=(Option("temperature", PositiveFloat, DEFAULT_TEMPERATURE, "divides the similarities"),),
    batches=CLASSES,
)
