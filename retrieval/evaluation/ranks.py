"""Ranks of the images that a query's ground truth names: all that any of the metrics needs.

A ranking is never needed whole. The rank of image j is the number of images nearer than j, and of those as near with a
lower index; its junk-free rank is that less the junk before it.

Letters: N database images, K best ranks kept, T images that matter to one query.
"""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Indices = NDArray[np.int64]

NOT_FOUND = -1
"""The rank of an image that a truncated ranking does not hold; faiss writes it where it found too few."""


@dataclass(frozen=True, eq=False)
class Hits:
    """Ranks of one query's positives.

    Attributes:
        positions: sorted 0-based ranks, junk taken out, of the positives in the ranking.
        total: how many positives the query has, in the ranking or not.
    """

    positions: Indices
    total: int


@dataclass(frozen=True, eq=False)
class Ranked:
    """Ranks, in one query's ranking, of all images that its ground truth names; each protocol reads them.

    Attributes:
        images_T: database indices, sorted and unique.
        ranks_T: their 0-based ranks, junk counted; `NOT_FOUND` where a truncated ranking does not hold them.
    """

    images_T: Indices
    ranks_T: Indices

    def hits(self, positives: Collection[int], junk: Collection[int] = ()) -> Hits:
        """Return the positives' ranks without the junk, both among `images_T`; a positive that is junk is junk."""
        positives_P, junk_J = as_indices(positives), as_indices(junk)
        ranks_P = np.sort(self._ranks_of(np.setdiff1d(positives_P, junk_J, assume_unique=True)))
        before_P = np.searchsorted(np.sort(self._ranks_of(junk_J)), ranks_P)
        return Hits(positions=ranks_P - before_P, total=positives_P.size)

    def _ranks_of(self, images: Indices) -> Indices:
        ranks = self.ranks_T[np.searchsorted(self.images_T, images)]
        return ranks[ranks != NOT_FOUND]


def as_indices(images: Collection[int]) -> Indices:
    """Return a list, set or array of image indices as sorted, unique int64.

    Raises:
        ValueError: the values are no indices, as a boolean mask.
    """
    listed = np.asarray(images if isinstance(images, np.ndarray) else list(images))
    if listed.size and (listed.dtype.kind not in "iuf" or np.any(listed != np.floor(listed))):
        raise ValueError(f"image indices are {listed.dtype}, as {listed.flat[0]}; whole numbers are right")
    return np.unique(listed.astype(np.int64))


def ranked_in_list(ranking_K: np.ndarray, images_T: Indices) -> Ranked:
    """Read the ranks off database indices, best first, truncated or not; entries below 0 are no images."""
    ranking_K = np.asarray(ranking_K)
    ranking_K = ranking_K[ranking_K >= 0]
    at = np.flatnonzero(np.isin(ranking_K, images_T))
    ranks_T = np.full(images_T.size, NOT_FOUND, dtype=np.int64)
    ranks_T[np.searchsorted(images_T, ranking_K[at])] = at
    return Ranked(images_T, ranks_T)


def ranked_by_distance(distance_N: np.ndarray, images_T: Indices) -> Ranked:
    """Count the ranks from the distances to all images, least first, equals by lowest index; NaN comes last.

    Sorting the bare values takes a fraction of the time of sorting indices by them, and a count does the rest.
    """
    distance_T = distance_N[images_T]
    sorted_N = np.sort(distance_N)
    ranks_T = np.searchsorted(sorted_N, distance_T)
    equals_T = np.searchsorted(sorted_N, distance_T, side="right") - ranks_T
    for t in np.flatnonzero(equals_T > 1):
        before = distance_N[: images_T[t]]
        ranks_T[t] += np.count_nonzero(np.isnan(before) if np.isnan(distance_T[t]) else before == distance_T[t])
    return Ranked(images_T, ranks_T.astype(np.int64, copy=False))


def nearest(distance_N: np.ndarray, count: int) -> Indices:
    """Return the `count` nearest images, as `np.argsort(distance_N, kind="stable")[:count]` would; NaN comes last."""
    if count >= distance_N.size:
        return np.argsort(distance_N, kind="stable")
    bound = np.partition(distance_N, count)[count]
    if np.isnan(bound):
        return np.argsort(distance_N, kind="stable")[:count]
    within = np.flatnonzero(distance_N <= bound)
    return within[np.argsort(distance_N[within], kind="stable")[:count]]


def best_of_each(distance_N: np.ndarray, size: int) -> tuple[np.ndarray, Indices]:
    """Return, for groups of `size` consecutive images, the least distance of each and the image that has it."""
    distance_GS = distance_N.reshape(-1, size)
    distance_GS = np.where(np.isnan(distance_GS), np.inf, distance_GS)
    best_G = distance_GS.argmin(axis=1)
    groups_G = np.arange(len(distance_GS))
    return distance_GS[groups_G, best_G], groups_G * size + best_G
