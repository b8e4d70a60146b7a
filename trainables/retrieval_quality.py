"""How well a delivered network retrieves: the figures of a data set's protocol, and the interval of its mAP."""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

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
from tracking.record import METRICS
from trainables.baseline import Baseline
from trainables.data import SweepData, open_data, set_reading_digest
from trainables.delivery import deliver
from trainables.settings import TrialSettings


@dataclass(frozen=True)
class QualityEvaluator:
    """Scores the delivered networks of one sweep.

    Attributes:
        settings: of the sweep: its data, and how descriptors are compared.
        baseline: the dense network, against whose gallery networks are scored too with `gallery = "dense"`.
        device: where descriptors are computed.
    """

    settings: TrialSettings
    baseline: Baseline
    device: torch.device

    def cut_metrics(
        self, network: nn.Module, data: SweepData, batches: Iterable[Batch], whitening: Whitening | None
    ) -> tuple[nn.Module, dict[str, float]]:
        """Deliver a network that channels were just removed from, and score it on the validation queries.

        Args:
            network: becomes part of what is delivered, on `device`, its BatchNorm statistics measured anew.
            data: its training images fit the whitening, its validation queries are scored.
            batches: of training images, to measure the statistics on.
            whitening: None fits one to this network (see `trainables.delivery.shared_whitening`).

        Returns:
            The network as it would be delivered now, and its metrics.
        """
        recalibrate_batchnorm_(network.to(self.device), batches, self.device)
        delivered = deliver(network, self.settings, data, self.device, whitening)
        return delivered, quality_metrics(self.evaluate(delivered, data.select_on))

    def split_metrics(
        self, network: nn.Module, split: Literal["select_on", "report_on"], keep: Path | None = None
    ) -> dict[str, float]:
        """Return a delivered network's metrics on one split; the keys of `report_on` begin with `test_`.

        Args:
            network: is moved to the CPU afterwards.
            split: the validation queries (`select_on`) or the test queries (`report_on`).
            keep: as in `evaluate`.
        """
        data = open_data(self.settings.data)
        queries = data.select_on if split == "select_on" else data.report_on
        metrics = quality_metrics(self.evaluate(network, queries, keep))
        network.cpu()
        if split == "select_on":
            return metrics
        # Metrics that do not depend on the queries, as the size of the descriptor, have no value of their own here.
        return {f"test_{key}": value for key, value in metrics.items() if f"test_{key}" in METRICS}

    def evaluate(self, network: nn.Module, retrieval_set: RetrievalSet, keep: Path | None = None) -> Evaluation:
        """Score a delivered network; with `gallery = "dense"` also against the dense network's gallery.

        Args:
            network: is moved to `device`.
            retrieval_set: queries and gallery.
            keep: where the gallery's descriptors are kept while they are made, so that an interrupted extraction goes
                on; None makes them in memory.
        """
        queries = [(query.path, query.box) for query in retrieval_set.queries]
        queries_QD = self._describe(network, retrieval_set, queries, None)[0]
        gallery = self._describe(network, retrieval_set, _images(retrieval_set), keep)
        evaluation = score(queries_QD, gallery, retrieval_set, self.settings.evaluation.index)
        more = {**evaluation.more, "descriptor_size": float(queries_QD.shape[1])}
        if self.settings.evaluation.gallery == "dense":
            more["map_asymmetric"] = score(queries_QD, self._dense_gallery(retrieval_set), retrieval_set).map
        return Evaluation(evaluation.map, evaluation.aps, more)

    def _dense_gallery(self, retrieval_set: RetrievalSet) -> list[np.ndarray]:
        """Return the dense network's descriptors of the gallery: views of their files, opened once."""
        images = tuple(retrieval_set.images)
        if images not in self._dense_galleries:
            dense = self.baseline.delivered()
            self._dense_galleries[images] = self._describe(
                dense, retrieval_set, _images(retrieval_set), self.baseline.descriptors
            )
        return self._dense_galleries[images]

    @cached_property
    def _dense_galleries(self) -> dict[tuple[Path, ...], list[np.ndarray]]:
        """Images of a gallery → the dense network's descriptors of them, in parts."""
        return {}

    def _describe(
        self, network: nn.Module, retrieval_set: RetrievalSet, images: list[Item], keep: Path | None
    ) -> list[np.ndarray]:
        """Return descriptors of images of a set, in order, in one or several parts."""
        reader, evaluation = open_data(self.settings.data).reader_of(retrieval_set), self.settings.evaluation
        half = evaluation.half_on(self.device)
        describe = describe_with(network.to(self.device), self.device, autocast=half)
        if keep is None:
            return [extract(describe, images, reader, batch_size=evaluation.batch_size)]
        rest: dict[str, JsonValue] = {"image_size": str(self.settings.data.image_size), "autocast": half}
        if (read := set_reading_digest(retrieval_set)) is not None:
            rest["read"] = read
        folder = keep / store_key(weights_digest(network), data_digest(images), rest)
        origin = provenance(device=str(self.device))
        return extract_stored(describe, images, reader, folder, batch_size=evaluation.batch_size, provenance=origin)


def quality_metrics(evaluation: Evaluation) -> dict[str, float]:
    """Return all figures of an evaluation, with the interval of its mAP, under the keys of `tracking.record`."""
    low, high = map_interval(evaluation.aps)
    figures = {"map": evaluation.map, "map_low": low, "map_high": high, **evaluation.more}
    # A protocol that no query has positives for (an Easy without easy images) has no figure.
    return {key: value for key, value in figures.items() if key == "map" or np.isfinite(value)}


def _images(retrieval_set: RetrievalSet) -> list[Item]:
    return [(path, None) for path in retrieval_set.images]
