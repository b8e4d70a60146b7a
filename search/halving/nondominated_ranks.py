"""Nondominated sorting of points that come one by one, and the order that spreads a choice over a front.

Letters: N points, M objectives. Everything is maximised.
"""

import numpy as np

from tracking.farthest_first import farthest_first


class NondominatedRanks:
    """Points in order of arrival, each with its rank: 0 is dominated by none, 1 by points of rank 0 only, and so on.

    Of equal points the earlier one dominates, as in `tracking.pareto`: peeling `pareto_front` off the points again and
    again gives the same ranks. A new point moves only points that it dominates, front after front, so nothing is
    sorted again (Li et al., "Efficient nondomination level update method for steady-state evolutionary multiobjective
    optimization", IEEE Transactions on Cybernetics 2017).

    Args:
        objectives: M.
    """

    def __init__(self, objectives: int) -> None:
        self._points_NM = np.empty((16, objectives))
        self._ranks_N = np.empty(16, dtype=np.int64)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def points(self) -> np.ndarray:
        """All points, N × M, in order of arrival."""
        return self._points_NM[: self._count]

    @property
    def ranks(self) -> np.ndarray:
        """The rank of each point, N."""
        return self._ranks_N[: self._count]

    def add(self, point_M: np.ndarray) -> int:
        """Add a point, finite in every objective, and return its index."""
        above_N = (self.points >= point_M).all(axis=1)
        front = int(self.ranks[above_N].max(initial=-1)) + 1
        index = self._append(point_M, front)
        self._push_down(index)
        return index

    def _append(self, point_M: np.ndarray, front: int) -> int:
        if self._count == len(self._ranks_N):
            self._points_NM = np.concatenate([self._points_NM, np.empty_like(self._points_NM)])
            self._ranks_N = np.concatenate([self._ranks_N, np.empty_like(self._ranks_N)])
        self._points_NM[self._count], self._ranks_N[self._count] = point_M, front
        self._count += 1
        return self._count - 1

    def _push_down(self, index: int) -> None:
        """Move what the new point dominates in its front one front on, and in turn what those points dominate there."""
        moved_N, front = np.array([index]), int(self.ranks[index])
        while len(moved_N):
            peers_N = np.setdiff1d(np.flatnonzero(self.ranks == front), moved_N)
            at_least_NN = (self.points[moved_N, None] >= self.points[None, peers_N]).all(axis=2)
            # Never the new point's equals: they came before it, so they dominate it and are in an earlier front.
            moved_N = peers_N[at_least_NN.any(axis=0)]
            front += 1
            self.ranks[moved_N] = front


def spread_order(points_NM: np.ndarray, count: int) -> list[int]:
    """Choose `count` points of one front, spread over their costs.

    The ends come first, the best point in each objective; then always the point that is farthest, in its costs, from
    those already chosen (an epsilon-net: Salinas et al., "A multi-objective perspective on jointly tuning hardware and
    hyperparameters", 2021). Ties go to the earlier point.

    Differs from the paper: distances are taken between costs alone, because they are exact where the quality of a
    half-trained network is noise; and the ends are chosen first instead of any point.

    Args:
        points_NM: quality, then costs, on scales where equal differences mean the same everywhere (logarithms).
        count: how many are wanted; fewer are returned if there are fewer.

    Returns:
        Indices, the first chosen first.
    """
    ends = dict.fromkeys(int(column_N.argmax()) for column_N in points_NM.T)
    return farthest_first(points_NM[:, 1:], list(ends), count)
