"""The time that an epoch of a trial will take, estimated before any has run from the time of a few images.

Letters: N images, H W image size.
"""

import time
from collections.abc import Callable

import torch
from torch import nn

from retrieval.images import height_and_width
from retrieval.training.loop import BatchSource
from retrieval.training.sampling import ClassBatches
from retrieval.training.tuples import TupleBatches
from trainables.baseline import build_dense
from trainables.data import open_data, plain_batches
from trainables.loss_factory import make_batches
from trainables.settings import Size, TrialSettings

_TIMED_IMAGES = 4
_ROUNDS = 2


def seconds_per_epoch(settings: TrialSettings, device: torch.device) -> float:
    """Return the seconds of one epoch of the dense network with its validation: an upper bound for a pruned one.

    Training steps, the mining of negatives, BatchNorm's re-calibration and the validation images are included, each
    as a number of images times the time of one; reading images from disk is not.
    """
    data, finetune = open_data(settings.data), settings.finetune
    network = build_dense(settings.network.model_copy(update={"weights": None}), len(data.train.classes)).to(device)
    plain = plain_batches(data, finetune)
    trained, mined = _images_of(make_batches(settings.loss, plain))
    recalibrated = finetune.recalibration_steps * plain.size
    queries = data.select_on
    described = (len(queries.images) + len(queries.queries)) * len(settings.descriptor.scales)
    training_size = settings.data.training_size or settings.data.image_size
    seconds = trained * _seconds_an_image(network, training_size, device, training=True)
    seconds += (mined + recalibrated) * _seconds_an_image(network, training_size, device, training=False)
    return seconds + described * _seconds_an_image(network, settings.data.image_size, device, training=False)


def _images_of(batches: BatchSource) -> tuple[int, int]:
    """Return how many images an epoch trains on, and how many it describes to mine negatives among."""
    if isinstance(batches, TupleBatches):
        queries = batches.steps_per_epoch * batches.size
        return queries * (2 + batches.negatives), batches.pool + queries
    a_batch = batches.plain.size
    if isinstance(batches, ClassBatches):
        a_batch = batches.classes_per_batch * batches.images_per_class
    return batches.steps_per_epoch * a_batch, 0


def _seconds_an_image(network: nn.Module, size: Size, device: torch.device, *, training: bool) -> float:
    images_NCHW = torch.rand(_TIMED_IMAGES, 3, *height_and_width(size), device=device)
    network.train(training)

    def run() -> None:
        with torch.set_grad_enabled(training):
            descriptors = network(images_NCHW)
            if training:
                descriptors.sum().backward()
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    run()  # the first forward pass allocates
    return min(_timed(run) for _ in range(_ROUNDS)) / _TIMED_IMAGES


def _timed(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
