"""Batches of a few classes with a few images each, so that every image has positives and negatives in its batch."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from torch import nn

from retrieval.datasets.base import Indices
from retrieval.training.loop import Batch, Batches


@dataclass(frozen=True)
class ClassBatches:
    """Batches of `classes_per_batch` × `images_per_class` images of `plain`'s training set.

    `plain.steps` None means as many batches as hold the images of the set. Fewer classes are in a batch where the set
    has no more; a class with fewer images than asked repeats some, and one with a single image is left out.

    Source: Hermans et al., "In Defense of the Triplet Loss for Person Re-Identification", arXiv 1703.07737 (PK
    batches). Differs from the paper: the classes go round in random order, those too few for a last batch left out of
    the round, instead of being drawn anew for each batch.

    Attributes:
        plain: plain random batches: their training set, reader, seed and steps.
        classes_per_batch: P.
        images_per_class: K.

    Raises:
        ValueError: the set has fewer than two classes of two images.
    """

    plain: Batches
    classes_per_batch: int = 16
    images_per_class: int = 4

    def __post_init__(self) -> None:
        if len(self._members()) < 2:
            raise ValueError("the training set has fewer than two classes of two images: batch-hard triplets need them")

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        size = self._width(self._members()) * self.images_per_class
        return self.plain.steps or max(1, len(self.plain.training_set.images) // size)

    def epoch(self, epoch: int, network: nn.Module | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch with labels of classes, the same for the same seed and epoch."""
        rng = np.random.default_rng((self.plain.seed, epoch))
        members = self._members()
        width = self._width(members)
        waiting: list[int] = []
        for _ in range(self.steps_per_epoch):
            if len(waiting) < width:
                waiting = rng.permutation(len(members)).tolist()
            few, waiting = waiting[:width], waiting[width:]
            yield self.plain.batch(np.concatenate([self._draw(members[i], rng) for i in few]))

    def _width(self, members: list[Indices]) -> int:
        """Return the number of classes in a batch."""
        return min(self.classes_per_batch, len(members))

    def _draw(self, members: Indices, rng: np.random.Generator) -> Indices:
        return rng.choice(members, self.images_per_class, replace=len(members) < self.images_per_class)

    def _members(self) -> list[Indices]:
        """Return the images of each class that has at least two."""
        labels_N = self.plain.training_set.labels
        by_class = np.split(np.argsort(labels_N, kind="stable"), np.cumsum(np.bincount(labels_N))[:-1])
        return [members for members in by_class if len(members) > 1]
