"""Confidence interval of a mAP, and a test whether two systems differ. Letters: Q queries, B resamples."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Comparison:
    """A comparison of two systems on the same queries. All figures are NaN when `queries` is 0.

    Attributes:
        gain: mean gain in average precision of the second system over the first.
        low: lower end of its confidence interval.
        high: upper end.
        p_value: how often a gain as large, in either direction, would come by chance if the two were alike.
        queries: how many queries both systems could be scored on.
    """

    gain: float
    low: float
    high: float
    p_value: float
    queries: int


def map_interval(
    aps_Q: np.ndarray, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """Return the percentile bootstrap interval of a mAP; queries without positives (NaN) are left out.

    Args:
        aps_Q: average precision of each query.
        confidence: of the interval, in (0, 1).
        resamples: B.
        seed: of the resampling.

    Returns:
        (low, high); (NaN, NaN) when no query is left.

    Source: Efron and Tibshirani, "An Introduction to the Bootstrap", 1993, section 13.3.
    """
    aps_Q = np.asarray(aps_Q, dtype=np.float64)
    valid_Q = aps_Q[np.isfinite(aps_Q)]
    if valid_Q.size == 0:
        return float("nan"), float("nan")
    rng = np.random.default_rng(seed)
    means_B = valid_Q[rng.integers(valid_Q.size, size=(resamples, valid_Q.size))].mean(axis=1)
    tail = (1 - confidence) / 2
    low, high = np.quantile(means_B, (tail, 1 - tail))
    return float(low), float(high)


def compare(
    first_Q: np.ndarray, second_Q: np.ndarray, *, confidence: float = 0.95, resamples: int = 1000, seed: int = 0
) -> Comparison:
    """Compare two systems' mAP by the average precisions of the same queries, in the same order.

    The interval is the bootstrap's of the differences, the p-value that of the two-sided permutation test: were the
    systems alike, each difference could as well have had the other sign. A query that is NaN for either is left out.

    Source: Smucker, Allan and Carterette, "A comparison of statistical significance tests for information retrieval
    evaluation", CIKM 2007. Differs from the paper: with B random assignments p is (1 + as large) / (1 + B), which is
    never 0 (Phipson and Smyth, 2010).

    Args:
        first_Q: average precisions of the first system.
        second_Q: those of the second.
        confidence: of the interval, in (0, 1).
        resamples: B.
        seed: of the resampling.

    Raises:
        ValueError: the two are not of equal length.
    """
    first_Q, second_Q = np.asarray(first_Q), np.asarray(second_Q)
    if first_Q.shape != second_Q.shape or first_Q.ndim != 1:
        raise ValueError(f"average precisions of shapes {first_Q.shape} and {second_Q.shape}; both need one per query")
    differences_Q = np.subtract(second_Q, first_Q, dtype=np.float64)
    differences_Q = differences_Q[np.isfinite(differences_Q)]
    if differences_Q.size == 0:
        nan = float("nan")
        return Comparison(gain=nan, low=nan, high=nan, p_value=nan, queries=0)
    low, high = map_interval(differences_Q, confidence=confidence, resamples=resamples, seed=seed)
    return Comparison(
        gain=float(differences_Q.mean()),
        low=low,
        high=high,
        p_value=sign_flip_p_value(differences_Q, resamples=resamples, seed=seed),
        queries=differences_Q.size,
    )


def sign_flip_p_value(differences_Q: np.ndarray, *, resamples: int = 1000, seed: int = 0) -> float:
    """Return the two-sided p-value of a mean difference of 0, by random signs; in [1 / (1 + B), 1]."""
    rng = np.random.default_rng(seed)
    flipped_BQ = rng.integers(2, size=(resamples, differences_Q.size), dtype=np.int8)
    # A sum over all less twice the flipped ones is the sum with their signs turned.
    total = differences_Q.sum()
    totals_B = total - 2 * (flipped_BQ @ differences_Q)
    # Summed in another order, an equal total may come out a last digit smaller.
    rounding = 1e-12 * np.abs(differences_Q).sum()
    as_large = np.count_nonzero(np.abs(totals_B) >= abs(total) - rounding)
    return float((1 + as_large) / (1 + resamples))
