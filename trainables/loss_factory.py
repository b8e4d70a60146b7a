"""From the settings of a loss to the loss itself, and to the batches that it trains on."""

from retrieval.training.loop import Batches, BatchSource
from retrieval.training.losses.base import Loss
from retrieval.training.losses.registry import LOSSES
from trainables.settings import LossSettings


def make_loss(settings: LossSettings, classes: int, descriptor_size: int) -> Loss:
    """Return the untrained loss; one with parameters of its own draws them from torch's global generator.

    Args:
        settings: its name and options.
        classes: classes of the training set.
        descriptor_size: D of the network.
    """
    return LOSSES[settings.name].make(classes=classes, descriptor_size=descriptor_size, **settings.of_loss)


def make_batches(settings: LossSettings, plain: Batches) -> BatchSource:
    """Return the batches that the loss trains on.

    Args:
        settings: the loss and the options of its batches.
        plain: random batches of the images, with the seed and the steps.

    Raises:
        ValueError: the training set has no two images of a class, where the loss needs them.
    """
    return LOSSES[settings.name].batches.make(plain, **settings.of_batches)
