"""From the settings of a loss to the loss itself, and to the batches that it trains on."""

from retrieval.training.loop import Batches, BatchSource
from retrieval.training.losses import BatchHard, Contrastive, CosineSoftmax, Loss, ReIDPair, Triplet
from retrieval.training.sampling import ClassBatches
from retrieval.training.tuples import TupleBatches
from trainables.settings import LossSettings

_LOSSES: dict[str, type[Loss]] = {
    "contrastive": Contrastive,
    "triplet": Triplet,
    "batch_hard": BatchHard,
    "reid": ReIDPair,
}
_BATCHES: dict[str, type[ClassBatches] | type[TupleBatches]] = {
    "contrastive": TupleBatches,
    "triplet": TupleBatches,
    "batch_hard": ClassBatches,
    "reid": ClassBatches,
}


def make_loss(settings: LossSettings, classes: int, descriptor_size: int) -> Loss:
    """The loss as it starts; cosine_softmax draws its directions from torch's generator."""
    if settings.name == "cosine_softmax":
        return CosineSoftmax(classes, descriptor_size, **settings.of_loss)
    return _LOSSES[settings.name](**settings.of_loss)


def make_batches(settings: LossSettings, plain: Batches) -> BatchSource:
    """The batches that the loss trains on, of the images, the seed and the steps of `plain`.

    Raises:
        ValueError: the training set has no two images of a class, where the loss needs them.
    """
    if settings.name == "cosine_softmax":
        return plain
    return _BATCHES[settings.name](plain, **settings.of_batches)
