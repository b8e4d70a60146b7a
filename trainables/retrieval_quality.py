"""How well a delivered network retrieves: the figures of a data set's protocol, and its interval."""

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from pydantic import JsonValue
from torch import nn

from retrieval.datasets.base import RetrievalSet
from retrieval.descriptors.extract import describe_with, extract
from retrieval.descriptors.prefetch import Item
from retrieval.descriptors.store import data_digest, extract_stored, store_key, weights_digest
from retrieval.evaluation.evaluate import Evaluation, score
from retrieval.evaluation.significance import map_interval
from retrieval.networks.whitening import Whitening
from retrieval.training.loop import Batch, recalibrate_batchnorm_
from tracking.provenance import provenance
from trainables.baseline import Baseline
from trainables.data import SweepData, open_data
from trainables.delivery import deliver
from trainables.settings import TrialSettings


def score_cut(
    network: nn.Module,
    batches: Iterable[Batch],
    settings: TrialSettings,
    data: SweepData,
    baseline: Baseline,
    device: torch.device,
    whitening: Whitening | None,
) -> tuple[nn.Module, dict[str, float]]:
    """A network that channels were just removed from, as it would be delivered now; and its figures.

    Args:
        network: becomes part of what is delivered, on `device`, its BatchNorm measured anew.
        batches: of training images, to measure BatchNorm on.
        whitening: None fits one to this network (see `trainables.delivery.shared_whitening`).
    """
    recalibrate_batchnorm_(network.to(device), batches, device)
    delivered = deliver(network, settings, data, device, whitening)
    return delivered, quality_metrics(examine(delivered, data.select_on, settings, baseline, device))


def examine(
    network: nn.Module,
    retrieval_set: RetrievalSet,
    settings: TrialSettings,
    baseline: Baseline,
    device: torch.device,
    keep: Path | None = None,
) -> Evaluation:
    """Score a delivered network; with `gallery = "dense"` also against what the dense network described.

    Args:
        network: is moved to `device`.
        keep: where the gallery's descriptors are kept while they are made, so that an interrupted extraction goes on;
            None makes them in memory.
    """
    queries = [(query.path, query.box) for query in retrieval_set.queries]
    queries_QD = _describe(network, queries, settings, device, None)[0]
    gallery = _describe(network, _images(retrieval_set), settings, device, keep)
    found = score(queries_QD, gallery, retrieval_set, settings.evaluation.index)
    more = {**found.more, "descriptor_size": float(queries_QD.shape[1])}
    if settings.evaluation.gallery == "dense":
        dense = _describe(baseline.delivered(), _images(retrieval_set), settings, device, baseline.descriptors)
        more["map_asymmetric"] = score(queries_QD, dense, retrieval_set).map
    return Evaluation(found.map, found.aps, more)


def quality_metrics(evaluation: Evaluation) -> dict[str, float]:
    """All figures of an evaluation, with the interval of its mAP, under the keys of `tracking.record`."""
    low, high = map_interval(evaluation.aps)
    figures = {"map": evaluation.map, "map_low": low, "map_high": high, **evaluation.more}
    # A protocol that no query has positives for (an Easy without easy images) has no figure.
    return {key: value for key, value in figures.items() if key == "map" or np.isfinite(value)}


def _images(retrieval_set: RetrievalSet) -> list[Item]:
    return [(path, None) for path in retrieval_set.images]


def _describe(
    network: nn.Module, images: list[Item], settings: TrialSettings, device: torch.device, keep: Path | None
) -> list[np.ndarray]:
    """Descriptors in order, in one or several parts."""
    reader, evaluation = open_data(settings.data).reader, settings.evaluation
    half = evaluation.half_on(device)
    describe = describe_with(network.to(device), device, autocast=half)
    if keep is None:
        return [extract(describe, images, reader, batch_size=evaluation.batch_size)]
    rest: dict[str, JsonValue] = {"image_size": str(settings.data.image_size), "autocast": half}
    folder = keep / store_key(weights_digest(network), data_digest(images), rest)
    return extract_stored(
        describe, images, reader, folder, batch_size=evaluation.batch_size, provenance=provenance(device=str(device))
    )
