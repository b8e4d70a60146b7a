"""The points that no other dominates, and the hypervolume that they dominate. Everything is maximised.

Letters: N points, M objectives.
"""

import numpy as np


def pareto_front(points_NM: np.ndarray) -> np.ndarray:
    """Mark the points that no other point dominates, all objectives maximised.

    Of equal points only the first is marked. A point with a NaN is neither marked nor does it dominate any.

    Args:
        points_NM: one row a point, one column an objective.

    Returns:
        Booleans of shape N.

    Raises:
        ValueError: the array is not two-dimensional, or has no objective.
    """
    points_NM = _as_points(points_NM)
    at_least_NN = np.ones((len(points_NM), len(points_NM)), dtype=bool)
    for column_N in points_NM.T:
        at_least_NN &= column_N[:, None] >= column_N[None, :]
    earlier_NN = np.triu(np.ones_like(at_least_NN), k=1)
    beaten_N = (at_least_NN & (~at_least_NN.T | earlier_NN)).any(axis=0)
    has_nan_N = np.isnan(points_NM).any(axis=1)
    return ~beaten_N & ~has_nan_N


def hypervolume(points_NM: np.ndarray, reference_M: np.ndarray) -> float:
    """Return the area (M = 2) or volume (M = 3) that the points dominate above the reference, exactly.

    A point that is not above the reference in every objective adds nothing; neither does one with a NaN.

    Args:
        points_NM: one row a point, one column an objective, all maximised.
        reference_M: the corner that the hypervolume is measured from.

    Returns:
        The hypervolume, in the product of the objectives' units; 0.0 for no points.

    Raises:
        ValueError: M is neither 2 nor 3, the reference has another length or is not finite, or a point is
            infinite.
    """
    points_NM, reference_M = _as_points(points_NM), np.asarray(reference_M, dtype=np.float64)
    _check_reference(points_NM, reference_M)
    gains_NM = points_NM[pareto_front(points_NM)] - reference_M
    gains_NM = gains_NM[(gains_NM > 0).all(axis=1)]
    if len(gains_NM) == 0:
        return 0.0
    return _area(gains_NM) if gains_NM.shape[1] == 2 else _volume(gains_NM)


class GrowingFront:
    """A front to which points are added one after the other; dominated ones are dropped.

    Args:
        reference_M: see `hypervolume`.
    """

    def __init__(self, reference_M: np.ndarray) -> None:
        self._reference_M = reference_M
        self._front_NM = np.empty((0, len(reference_M)))

    def add(self, point_M: np.ndarray) -> float:
        """Add a point and return the hypervolume with it."""
        points_NM = np.vstack([self._front_NM, point_M])
        self._front_NM = points_NM[pareto_front(points_NM)]
        return hypervolume(self._front_NM, self._reference_M)


def _area(gains_N2: np.ndarray) -> float:
    """Return the area: sweep the second objective downwards; a strip is as wide as the widest point above its floor."""
    top_down_N2 = gains_N2[np.argsort(-gains_N2[:, 1])]
    widths_N = np.maximum.accumulate(top_down_N2[:, 0])
    return float(_strips(top_down_N2[:, 1]) @ widths_N)


def _volume(gains_N3: np.ndarray) -> float:
    """Return the volume: sweep the third objective downwards; a slab has the area of the points above its floor."""
    top_down_N3 = gains_N3[np.argsort(-gains_N3[:, 2])]
    areas_N = np.array([_area(top_down_N3[: count + 1, :2]) for count in range(len(top_down_N3))])
    return float(_strips(top_down_N3[:, 2]) @ areas_N)


def _strips(heights_N: np.ndarray) -> np.ndarray:
    """Return the distance from each height to the next one below, the last down to zero."""
    return heights_N - np.append(heights_N[1:], 0.0)


def _as_points(points_NM: np.ndarray) -> np.ndarray:
    points_NM = np.asarray(points_NM, dtype=np.float64)
    if points_NM.ndim != 2 or points_NM.shape[1] == 0:
        raise ValueError(f"points have shape {points_NM.shape}; a row a point, a column an objective is right")
    return points_NM


def _check_reference(points_NM: np.ndarray, reference_M: np.ndarray) -> None:
    objectives = points_NM.shape[1]
    if objectives not in (2, 3):
        raise ValueError(f"{objectives} objectives; the hypervolume is exact for 2 and 3 only")
    if reference_M.shape != (objectives,) or not np.isfinite(reference_M).all():
        raise ValueError(f"reference {reference_M.tolist()}; {objectives} finite numbers are right")
    infinite_N = np.isinf(points_NM).any(axis=1)
    if infinite_N.any():
        row = int(np.flatnonzero(infinite_N)[0])
        raise ValueError(f"point {row} is {points_NM[row].tolist()}; an infinite point has no volume")
