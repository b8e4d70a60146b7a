"""What is known to fail, found out before anything trains: data, network and settings held against each other.

A sweep file is checked by itself where it is read (`search.config`). Here are the questions that take the data set and
the network's shape to answer; each refusal names the key that would have to change.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from pruning.graph.groups import PrunableGroup
from pruning.widths import kept_count
from retrieval.evaluation.index_check import check_factory
from retrieval.images import height_and_width
from retrieval.networks.netvlad import NetVLAD
from retrieval.text import one_line
from retrieval.training.losses.registry import LOSSES
from search.config import SweepConfig
from trainables.baseline import CENTROID_BATCHES, descriptor_size
from trainables.data import SweepData, open_data, plain_batches
from trainables.delivery import check_whitening, drop_training_head_, with_blank_delivery
from trainables.image_sizes import check_image_sizes
from trainables.loss_factory import make_batches, make_loss
from trainables.settings import FinetuneSettings, Size, TrainingSettings, TrialSettings


def check_before_training(config: SweepConfig, network: nn.Module, groups: Sequence[PrunableGroup]) -> None:
    """Refuse what the dense training, a trial, or a measurement after them could only fail at.

    Args:
        config: of the sweep.
        network: the dense network, trained or not.
        groups: of it.

    Raises:
        ValueError: images too small for the network, a training set that the loss, NetVLAD or the whitening cannot
            work with, an index that does not suit the database, or an objective that no trial reports.
    """
    settings = config.trial_settings
    data = open_data(settings.data)
    config.check_reported(data.select_on.protocol)
    size = descriptor_size(network, settings.data.image_size)
    check_whitening(settings, size, data.train)
    check_image_sizes(data, settings, network)
    _check_images(settings, network, size)
    if settings.dense.epochs:
        _check_training("dense", settings, settings.dense, network, data)
    _check_training("finetune", settings, settings.finetune, network, data)
    _check_clusters(settings, network, data)
    open_widths = _open_widths(config, groups) if config.space.resolve().descriptor == "open" else {}
    _check_index(settings, _sizes_of(settings.descriptor.size or size, open_widths), data)


def _check_images(settings: TrialSettings, network: nn.Module, size: int) -> None:
    """Describe a blank image of each size, at every scale and whitened, as it will be delivered."""
    inner = drop_training_head_(copy.deepcopy(network))
    delivered = with_blank_delivery(inner, settings.descriptor, size).eval()
    for key, image_size in (("data", settings.data.image_size), ("latency", settings.latency.image_size)):
        with _described(f"{key}.image_size", image_size):
            delivered(_blank(1, image_size))


def _check_training(
    section: str,
    settings: TrialSettings,
    training: TrainingSettings | FinetuneSettings,
    network: nn.Module,
    data: SweepData,
) -> None:
    """Make the batches of a training, and send the smallest of them through the network in training mode."""
    kind = LOSSES[settings.loss.name]
    if len(data.train.classes) < kind.least_classes:
        raise ValueError(
            f"loss.name is {settings.loss.name!r}, which tells at least {kind.least_classes} classes apart: "
            f"data.train has {len(data.train.classes)}"
        )
    plain = plain_batches(data, training)
    kind.batches.check(make_batches(settings.loss, plain))
    if plain.size > 1:
        return  # of one image, a BatchNorm may have nothing to measure
    frozen = section == "dense" and settings.loss.freeze_batchnorm
    trained = copy.deepcopy(network).train(not frozen)
    loss = make_loss(settings.loss, len(data.train.classes), descriptor_size(network, settings.data.image_size))
    image_size = settings.data.training_size or settings.data.image_size
    with _described(f"{section}.batch_size is 1, data.training_size", image_size):
        loss.outputs(trained, _blank(1, image_size))


def _check_clusters(settings: TrialSettings, network: nn.Module, data: SweepData) -> None:
    """Refuse to place more centroids of NetVLAD than there are features to place them among."""
    pooling = network.get_submodule("pooling")
    if not isinstance(pooling, NetVLAD):
        return
    image_size = settings.data.training_size or settings.data.image_size
    with torch.no_grad():
        maps_NCHW = network.get_submodule("backbone")(_blank(1, image_size))
    training = settings.dense if settings.dense.epochs else settings.finetune
    features = CENTROID_BATCHES * plain_batches(data, training).size * maps_NCHW[0, 0].numel()
    clusters = len(pooling.centroids_KC)
    if features < clusters:
        raise ValueError(
            f"network.pooling is 'netvlad' with {clusters} clusters, but {CENTROID_BATCHES} batches of data.train "
            f"have {features} features to place them among: a larger batch_size or larger images would be right"
        )


def _check_index(settings: TrialSettings, sizes: Sequence[int], data: SweepData) -> None:
    """Refuse an index that faiss does not make of a database of so many images."""
    for key, queries in (("select_on", data.select_on), ("report_on", data.report_on)):
        try:
            check_factory(settings.evaluation.index, len(queries.images), *sizes)
        except ValueError as error:
            raise ValueError(f"evaluation.index does not suit data.{key}: {error}") from error


def _open_widths(config: SweepConfig, groups: Sequence[PrunableGroup]) -> dict[int, set[int]]:
    """Return, by the width of each group that the descriptor is read from, the widths that a trial may leave it."""
    round_to = config.space.resolve().round_to
    widths = {group.width for group in groups if group.descriptor and not group.locked}
    return {
        width: {kept_count(width, removed / width, round_to) for removed in range(width)} for width in sorted(widths)
    }


def _sizes_of(size: int, open_widths: dict[int, set[int]]) -> list[int]:
    """Return the descriptor sizes that trials may have, the dense network's first."""
    narrower = {size * kept // width for width, kept_widths in open_widths.items() for kept in kept_widths}
    return [size, *sorted(narrower - {size})]


@contextmanager
def _described(key: str, image_size: Size) -> Iterator[None]:
    """Turn a network's failure on images of this size into a `ValueError` that names the key."""
    try:
        with torch.no_grad():
            yield
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"{key} is {image_size}: the network does not take such images ({one_line(error)})") from error


def _blank(count: int, image_size: Size) -> Tensor:
    return torch.zeros(count, 3, *height_and_width(image_size))
