"""How sure a mAP is: bootstrap intervals over queries. Letters: Q queries, B resamples."""

import numpy as np


def map_interval(
    aps_Q: np.ndarray, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Percentile bootstrap interval of a mAP; queries without positives (NaN) are left out.

    Returns:
        (low, high); (NaN, NaN) when no query is left.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    valid_Q = aps_Q[np.isfinite(aps_Q)]
    if valid_Q.size == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means_B = valid_Q[rng.integers(valid_Q.size, size=(resamples, valid_Q.size))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means_B, (tail, 1 - tail))
    return float(low), float(high)
