"""Mining tuples: random pairs that match, and the hardest images that do not.

Letters: N images, P pairs, Q queries, M images of the pool, D descriptor size.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from retrieval.datasets.base import Indices, TrainingSet


def pairs_available(training_set: TrainingSet) -> int:
    """Return how many queries an epoch can have: the named pairs, or the images that are not alone in their class."""
    if training_set.pairs_P2 is not None:
        return len(training_set.pairs_P2)
    return int(np.count_nonzero(_class_sizes(training_set)[training_set.labels] > 1))


def draw_pairs(training_set: TrainingSet, count: int, rng: np.random.Generator) -> Indices:
    """Draw at most `count` random (query, positive) pairs, P×2, none twice.

    Where the set names no pairs, a pair is an image and a random other one of its class.
    """
    if training_set.pairs_P2 is not None:
        return rng.permutation(training_set.pairs_P2)[:count]
    sizes_C = _class_sizes(training_set)
    queries_P = rng.permutation(np.flatnonzero(sizes_C[training_set.labels] > 1))[:count]
    # Images by class, and where each image stands among them: the positive follows 1 to size − 1 steps later.
    by_class_N = np.argsort(training_set.labels, kind="stable")
    rank_N = np.argsort(by_class_N)
    classes_P = training_set.labels[queries_P]
    first_P = (np.cumsum(sizes_C) - sizes_C)[classes_P]
    steps_P = rng.integers(1, sizes_C[classes_P])
    positives_P = by_class_N[first_P + (rank_N[queries_P] - first_P + steps_P) % sizes_C[classes_P]]
    return np.stack([queries_P, positives_P], axis=1)


def draw_pool(training_set: TrainingSet, size: int, rng: np.random.Generator) -> Indices:
    """Draw `size` random images, or all, to look for negatives among; returns sorted indices."""
    count = len(training_set.images)
    return np.sort(rng.choice(count, min(size, count), replace=False))


def check_pool(training_set: TrainingSet, size: int) -> None:
    """Check that any pool of random images holds a negative for every query.

    Args:
        training_set: classes, pairs and, for places, coordinates.
        size: of the pool.

    Raises:
        ValueError: so many images cannot be the negatives of some query that they may fill a pool.
    """
    drawn = min(size, len(training_set.images))
    pairs_P2 = _possible_pairs(training_set)
    for pair in pairs_P2[_most_excluded(training_set, pairs_P2) >= drawn]:
        excluded = _count_excluded(training_set, pair)
        if excluded >= drawn:
            more = "more classes" if excluded == len(training_set.images) else f"at least {excluded + 1}"
            raise ValueError(
                f"loss.pool is {size}, but {excluded} of {len(training_set.images)} training images cannot be a "
                f"negative of {training_set.images[pair[0]].name} (its class, or too near): {more} would be right"
            )


def _possible_pairs(training_set: TrainingSet) -> Indices:
    """Return the named pairs; without them each query with itself, since its positive is of its class."""
    if training_set.pairs_P2 is not None:
        return training_set.pairs_P2
    queries_P = np.flatnonzero(_class_sizes(training_set)[training_set.labels] > 1)
    return np.stack([queries_P, queries_P], axis=1)


def _most_excluded(training_set: TrainingSet, pairs_P2: Indices) -> Indices:
    """Return, for each pair, at most how many images cannot be a negative: some may be counted twice."""
    labels_P2 = training_set.labels[pairs_P2]
    sizes_P2 = _class_sizes(training_set)[labels_P2]
    most_P = sizes_P2[:, 0] + np.where(labels_P2[:, 0] == labels_P2[:, 1], 0, sizes_P2[:, 1])
    if training_set.coordinates_N2 is None:
        return most_P
    tree = cKDTree(training_set.coordinates_N2)
    queries_P2 = training_set.coordinates_N2[pairs_P2[:, 0]]
    return most_P + tree.query_ball_point(queries_P2, training_set.negative_metres, return_length=True)


def _count_excluded(training_set: TrainingSet, pair: Sequence[int]) -> int:
    everything = np.arange(len(training_set.images))
    of_class_N = np.isin(training_set.labels, training_set.labels[list(pair)])
    return int(np.count_nonzero(of_class_N | _within_metres(training_set, pair[0], everything)))


def hardest_negatives(
    training_set: TrainingSet,
    pairs_Q2: Indices,
    pool_M: Indices,
    similarities_QM: NDArray[np.float32],
    count: int,
) -> list[Indices]:
    """Return, for each pair, up to `count` images of the pool, the query's most similar first.

    Negatives are never of the query's or the positive's class, never within `negative_metres` of the query, and at most
    one is taken from a class; equally similar ones keep the order of the pool. There are fewer than `count` where the
    pool has no more classes.

    Args:
        training_set: classes and, for places, coordinates.
        pairs_Q2: query and positive of each pair, as indices of images.
        pool_M: indices of the pool's images.
        similarities_QM: of each query to each image of the pool.
        count: negatives for each pair, at most.

    Source: Radenović et al., "Fine-tuning CNN Image Retrieval with No Human Annotation", TPAMI 2018, and its code.
    Differs from it: the positive's class and the metres, which sets of places need; fewer negatives where the code
    reads past the end of the pool.

    Raises:
        ValueError: no image of the pool can be a query's negative.
    """
    return [
        _negatives_of(training_set, pair, pool_M, similarities_M, count)
        for pair, similarities_M in zip(pairs_Q2, similarities_QM, strict=True)
    ]


def _negatives_of(
    training_set: TrainingSet, pair: Sequence[int], pool_M: Indices, similarities_M: NDArray[np.float32], count: int
) -> Indices:
    query, positive = pair
    taken = {training_set.labels[query], training_set.labels[positive]}
    too_near_M = _within_metres(training_set, query, pool_M)
    chosen: list[int] = []
    for row in np.argsort(-similarities_M, kind="stable"):
        label = training_set.labels[pool_M[row]]
        if label in taken or too_near_M[row]:
            continue
        chosen.append(pool_M[row])
        taken.add(label)
        if len(chosen) == count:
            break
    if not chosen:
        raise ValueError(
            f"none of {len(pool_M)} images of the pool can be a negative of {training_set.images[query].name}: "
            "a larger pool, or more classes, would be right"
        )
    return np.array(chosen, dtype=np.int64)


def _within_metres(training_set: TrainingSet, query: int, pool_M: Indices) -> NDArray[np.bool_]:
    if training_set.coordinates_N2 is None:
        return np.zeros(len(pool_M), dtype=bool)
    offsets_M2 = training_set.coordinates_N2[pool_M] - training_set.coordinates_N2[query]
    return np.hypot(*offsets_M2.T) <= training_set.negative_metres


def _class_sizes(training_set: TrainingSet) -> Indices:
    return np.bincount(training_set.labels, minlength=len(training_set.classes))
