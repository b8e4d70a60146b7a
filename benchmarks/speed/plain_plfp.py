"""BAFD's Algorithm 1 as a plain loop: what `plfp_removal_order` must equal, and is timed against."""

import numpy as np
from numpy.typing import NDArray

_RTOL, _ATOL = 1e-5, 1e-8  # of a tie between two redundancies


def plain_removal_order(filters_OD: NDArray[np.float64], count: int, neighbours: int) -> list[int]:
    """Remove the most redundant filter, look at all distances among the others again, repeat.

    Letters: O filters, D the length of one, A filters alive.
    """
    alive = list(range(len(filters_OD)))
    removed = []
    for _ in range(count):
        rows_AD = filters_OD[alive]
        distances_AA = np.stack([np.linalg.norm(rows_AD - row, axis=1) for row in rows_AD])
        totals_A = distances_AA.sum(axis=1)
        candidates = list(range(len(alive)))
        if neighbours < len(alive) - 1:
            means_A = np.sort(distances_AA, axis=1)[:, 1 : neighbours + 1].mean(axis=1)
            least = means_A.min()
            candidates = [i for i in candidates if means_A[i] <= least + _ATOL + _RTOL * least]
        victim = min(candidates, key=lambda i: (totals_A[i], alive[i]))
        removed.append(alive.pop(victim))
    return removed
