"""Batches of tuples: a query, its positive and its hardest negatives, mined anew each epoch.

Letters: N images, T tuples, M images of the pool, D descriptor size.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import nn

from retrieval.datasets.base import Indices
from retrieval.descriptors.extract import describe_with, extract
from retrieval.training.loop import Batch, Batches
from retrieval.training.mining import check_pool, draw_pairs, draw_pool, hardest_negatives, pairs_available

_RANKED_AT_ONCE = 256  # queries whose similarities to the whole pool are held at a time


@dataclass(frozen=True)
class TupleBatches:
    """Random tuples of the images of `plain`, as many in a batch as `plain.batch_size` says.

    Each epoch draws up to `queries` pairs that match and a `pool` of random images, describes both with the network as
    it is, and gives each query the `negatives` hardest of the pool (see `retrieval.training.mining`). `plain.steps`
    None means once through the tuples. The labels of a batch are the targets that
    `retrieval.training.losses.tuple_targets` describes.

    Source: Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2018, and its code.
    Differs from it: images of equal size pass the network together, not one by one
    (`retrieval.training.loop.train_epoch`).

    Attributes:
        plain: plain random batches: their training set, reader, batch size, seed and steps.
        negatives: of a tuple.
        queries: tuples mined an epoch, at most.
        pool: images that negatives are mined among, an epoch.

    Raises:
        ValueError: the set has no two images of a class.
    """

    plain: Batches
    negatives: int = 5
    queries: int = 2000
    pool: int = 20_000

    def __post_init__(self) -> None:
        if not pairs_available(self.plain.training_set):
            raise ValueError("the training set has no two images of a class: tuples need pairs that match")

    def check_negatives(self) -> None:
        """Check that every query finds a negative in whatever pool is drawn.

        Raises:
            ValueError: a pool may hold nothing but images of a query's own class, or of its place.
        """
        check_pool(self.plain.training_set, self.pool)

    @property
    def size(self) -> int:
        """Tuples in a batch."""
        return min(self.plain.batch_size, self.queries, pairs_available(self.plain.training_set))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.plain.steps or min(self.queries, pairs_available(self.plain.training_set)) // self.size

    def epoch(self, epoch: int, network: nn.Module) -> Iterator[Batch]:
        """Return the batches of one epoch, the same for the same weights and seed; leaves the network in eval mode."""
        rng = np.random.default_rng((self.plain.seed, epoch))
        needed = min(self.queries, self.steps_per_epoch * self.size)
        tuples = self._mine(network, needed, rng)
        passes = math.ceil(self.steps_per_epoch * self.size / len(tuples))
        order = np.concatenate([rng.permutation(len(tuples)) for _ in range(passes)])
        steps = range(0, self.steps_per_epoch * self.size, self.size)
        return (self._batch([tuples[i] for i in order[start : start + self.size]]) for start in steps)

    def _mine(self, network: nn.Module, count: int, rng: np.random.Generator) -> list[Indices]:
        """Mine up to `count` tuples, each the indices of query, positive and negatives."""
        training_set = self.plain.training_set
        pairs_T2 = draw_pairs(training_set, count, rng)
        pool_M = draw_pool(training_set, self.pool, rng)
        queries_TD, pool_MD = self._describe(network, pairs_T2[:, 0]), self._describe(network, pool_M)
        tuples = []
        for start in range(0, len(pairs_T2), _RANKED_AT_ONCE):
            some = slice(start, start + _RANKED_AT_ONCE)
            similarities = queries_TD[some] @ pool_MD.T
            negatives = hardest_negatives(training_set, pairs_T2[some], pool_M, similarities, self.negatives)
            tuples += [np.concatenate(both) for both in zip(pairs_T2[some], negatives, strict=True)]
        return tuples

    def _describe(self, network: nn.Module, chosen_N: Indices) -> np.ndarray:
        images = [(self.plain.training_set.images[i], None) for i in chosen_N]
        describe = describe_with(network, next(network.parameters()).device)
        return extract(describe, images, self.plain.reader)

    def _batch(self, tuples: list[Indices]) -> Batch:
        targets = [np.array([-1, 1] + [0] * (len(each) - 2), dtype=np.int64) for each in tuples]
        return self.plain.batch(np.concatenate(tuples), np.concatenate(targets))
