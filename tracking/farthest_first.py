"""The order in which places are taken so that the first few lie far apart already."""

from collections.abc import Sequence

import numpy as np


def farthest_first(places_NK: np.ndarray, start: Sequence[int], count: int) -> list[int]:
    """Begin with `start`, then take always the place farthest from all before it: an epsilon-net, greedily built.

    Args:
        places_NK: N places in K dimensions.
        start: indices that come first, in this order, each once; at least one.
        count: how many are wanted; fewer are returned when there are fewer.

    Returns:
        Indices; of equally far places the lower first.
    """
    order = list(start)
    nearest_N = np.full(len(places_NK), np.inf)
    for index in order:
        nearest_N = np.minimum(nearest_N, _distances(places_NK, index))
    while len(order) < min(count, len(places_NK)):
        # What has been taken lies at 0, as its twins do, which are still to come.
        nearest_N[order] = -1.0
        order.append(int(nearest_N.argmax()))
        nearest_N = np.minimum(nearest_N, _distances(places_NK, order[-1]))
    return order[:count]


def middle(places_NK: np.ndarray) -> int:
    """The index of the place nearest to the middle of all, of N ≥ 1; of equally near ones the lower."""
    middle_K = (places_NK.min(axis=0) + places_NK.max(axis=0)) / 2
    return int(np.linalg.norm(places_NK - middle_K, axis=1).argmin())


def _distances(places_NK: np.ndarray, index: int) -> np.ndarray:
    distances_N: np.ndarray = np.linalg.norm(places_NK - places_NK[index], axis=1)
    return distances_N
