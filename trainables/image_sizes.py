"""Whether the networks of a sweep can take its images, which is asked before anything trains."""

import copy

from torch import nn

from retrieval.datasets.base import RetrievalSet, TrainingSet
from retrieval.descriptors.prefetch import Item
from retrieval.image_sizes import Progress, check_large_enough, smallest_side
from trainables.baseline import descriptor_size
from trainables.data import SweepData
from trainables.delivery import with_blank_delivery
from trainables.settings import Size, TrialSettings
from trainables.threads import available_threads


def check_image_sizes(
    data: SweepData,
    settings: TrialSettings,
    network: nn.Module,
    progress: Progress = lambda done, total: None,
) -> None:
    """Check that every image is large enough: to train on, and to be described at the smallest scale.

    A cut changes channels and no strides, so what the dense network takes every trial takes.

    Args:
        data: of the sweep.
        settings: of the sweep: sizes, scales and whitening.
        network: of the dense shape, trained or not, in eval mode.
        progress: called with the number of headers read, and of all in that set; none are read where the network takes
            any image.

    Raises:
        ValueError: an image is too small; one line that counts and names them.
    """
    size = descriptor_size(network, settings.data.image_size)
    delivered = with_blank_delivery(copy.deepcopy(network), settings.descriptor, size).eval()
    trained, described = smallest_side(network), smallest_side(delivered)
    scored = settings.data.image_size
    to_check: list[tuple[TrainingSet | RetrievalSet, int, Size]] = [
        (data.train, trained, settings.data.training_size or scored),
        (data.select_on, described, scored),
        (data.report_on, described, scored),
    ]
    if settings.descriptor.whitening != "none":  # it is fitted to training images at the size of scoring
        to_check.append((data.train, described, scored))
    for images, needed, image_size in to_check:
        check_large_enough(
            _items(images), needed, image_size, images.exif_orientation, threads=available_threads(), progress=progress
        )


def _items(images: TrainingSet | RetrievalSet) -> list[Item]:
    queries = images.queries if isinstance(images, RetrievalSet) else ()
    return [*((path, None) for path in images.images), *((query.path, query.box) for query in queries)]
