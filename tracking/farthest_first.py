"""An order of points such that the first few of them already lie far apart.

Letters: N points, K dimensions.
"""

from collections.abc import Sequence

import numpy as np


def farthest_first(points_NK: np.ndarray, start: Sequence[int], count: int) -> list[int]:
    """Begin with `start`, then always take the point farthest from all before it: an epsilon-net, built greedily.

    Args:
        points_NK: coordinates, a row a point.
        start: indices that come first, in this order, each once; at least one.
        count: how many are wanted; fewer are returned when there are fewer.

    Returns:
        Indices; of equally far points the lower index first.
    """
    order = list(start)
    nearest_N = np.full(len(points_NK), np.inf)
    for index in order:
        nearest_N = np.minimum(nearest_N, _distances(points_NK, index))
    while len(order) < min(count, len(points_NK)):
        # Taken points have distance 0, but so have points equal to them, which are still to be taken.
        nearest_N[order] = -1.0
        order.append(int(nearest_N.argmax()))
        nearest_N = np.minimum(nearest_N, _distances(points_NK, order[-1]))
    return order[:count]


def middle(points_NK: np.ndarray) -> int:
    """Return the index of the point nearest to the middle of all (N ≥ 1); of equally near ones the lower."""
    middle_K = (points_NK.min(axis=0) + points_NK.max(axis=0)) / 2
    return int(np.linalg.norm(points_NK - middle_K, axis=1).argmin())


def _distances(points_NK: np.ndarray, index: int) -> np.ndarray:
    distances_N: np.ndarray = np.linalg.norm(points_NK - points_NK[index], axis=1)
    return distances_N
