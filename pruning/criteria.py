"""Which filters a layer can spare: pure functions on one row a channel.

Letters: O filters, D the length of one, K removed, N neighbours, A rows whose neighbour was just removed.
"""

import zlib

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pruning.distances import checked_filters, pairwise_distances

# Two redundancies this close are a tie (the tolerances of the authors' `isclose`).
_TIE_RTOL, _TIE_ATOL = 1e-5, 1e-8
# Totals are kept up to date by subtraction: below this share of what a filter began with, a difference is rounding.
_ROUNDING = 1e-12


def l1_scores(filters_OD: Tensor) -> Tensor:
    """Score each filter by Σ|W_i|; O, float64, higher = keep.

    Li et al., "Pruning Filters for Efficient ConvNets", ICLR 2017, section 3.1.
    Differs from the paper: nothing.

    Raises:
        ValueError: `filters_OD` is not a finite, non-empty O×D matrix.
    """
    return checked_filters(filters_OD).double().abs().sum(dim=1)


def l2_scores(filters_OD: Tensor) -> Tensor:
    """Score each filter by ‖W_i‖₂; O, float64, higher = keep.

    He et al., "Soft Filter Pruning for Accelerating Deep CNNs", IJCAI 2018, equation 2 with p = 2.
    Differs from the paper: nothing.

    Raises:
        ValueError: `filters_OD` is not a finite, non-empty O×D matrix.
    """
    return checked_filters(filters_OD).double().norm(dim=1)


def local_scores(filters_OD: Tensor, neighbours: int = 1) -> Tensor:
    """Score each filter by its mean distance to its nearest neighbours, all filters alive; O, float64, higher = keep.

    Wang et al., BAFD (IEEE T-Cybernetics 2021), equation 4, with the sign turned round: its H(W_i) is the
    negative of this. It ranks filters across layers (see `pruning.allocation`); within one layer
    `plfp_removal_order` looks again after every removal, and that is what PLFP removes by.
    Differs from the paper: with fewer than `neighbours` others, all of them are the neighbours; a lone filter
    scores 0.

    Raises:
        ValueError: `neighbours` is below 1 or `filters_OD` is not a finite, non-empty O×D matrix.
    """
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    distances_OO = pairwise_distances(filters_OD)
    nearest_ON = distances_OO.sort(dim=1).values[:, 1 : neighbours + 1]
    return nearest_ON.mean(dim=1) if nearest_ON.shape[1] else distances_OO.sum(dim=1)


def random_removal_order(filters_OD: Tensor, count: int) -> Tensor:
    """Choose `count` filters at random; K indices, int64, first removed first.

    The draw is a function of the filters: the same weights give the same choice on every machine, and two
    layers, or two trainings, give different ones.

    Raises:
        ValueError: `count` is outside [0, O], or `filters_OD` is not a finite, non-empty O×D matrix.
    """
    _check_count(count, len(checked_filters(filters_OD)))
    seed = zlib.crc32(filters_OD.detach().double().cpu().contiguous().numpy().tobytes())
    return torch.from_numpy(np.random.default_rng(seed).permutation(len(filters_OD))[:count]).to(filters_OD.device)


def fpgm_scores(filters_OD: Tensor) -> Tensor:
    """Score each filter by its total distance to all others, Σ_j ‖W_i − W_j‖₂; O, float64, higher = keep.

    He et al., "Filter Pruning via Geometric Median", CVPR 2019, equations 4 to 9; on raw weights, so that a
    filter and its negative are far apart.
    Differs from the paper: nothing.

    Raises:
        ValueError: `filters_OD` is not a finite, non-empty O×D matrix.
    """
    return pairwise_distances(filters_OD).sum(dim=1)


def plfp_removal_order(filters_OD: Tensor, count: int, neighbours: int = 1) -> Tensor:
    """Choose `count` filters that their neighbours can replace; K indices, int64, first removed first.

    Greedy, forward: remove the filter with the smallest mean distance to its `neighbours` nearest filters
    still alive, look again among those that remain, repeat. Filters whose means are as good as equal to the
    smallest (rtol 1e-5, atol 1e-8) tie: the one with the smallest total distance to all filters still alive
    goes, then the lowest index. With one neighbour a tie always exists: both ends of the closest pair.
    Once `neighbours` ≥ alive − 1, all others are neighbours, and the total distance decides alone.

    Wang et al., "Progressive Local Filter Pruning", IEEE TMM 2023; the criterion as its authors state it in
    BAFD (IEEE T-Cybernetics 2021), equations 4 to 7 and Algorithm 1.
    Differs from the paper: totals that differ by rounding alone (1e-12) count as equal.

    Runs on the CPU. Costs O²·(D + log O) time and at its peak about 30·O² bytes beside the float64 filters.

    Raises:
        ValueError: `count` is outside [0, O], `neighbours` is below 1, or `filters_OD` is not a finite, non-empty O×D
            matrix.
    """
    width = len(checked_filters(filters_OD))
    _check_count(count, width)
    if neighbours < 1:
        raise ValueError(f"neighbours must be at least 1, got {neighbours}")
    survivors = _Survivors(pairwise_distances(filters_OD.cpu()).numpy(), neighbours)
    removed = [survivors.remove_most_redundant() for _ in range(count)]
    return torch.tensor(removed, dtype=torch.long, device=filters_OD.device)


def _check_count(count: int, width: int) -> None:
    if not 0 <= count <= width:
        raise ValueError(f"cannot remove {count} of {width} filters; count must be in [0, {width}]")


class _Survivors:
    """The filters still alive, their total distances, and the mean distance of each to its nearest ones.

    Every filter walks once along its own list of the others, nearest first: a removed neighbour is replaced
    by the next one alive, so all walks together cost O². Dead filters carry infinite means and totals.
    """

    def __init__(self, distances_OO: NDArray[np.float64], neighbours: int) -> None:
        width = len(distances_OO)
        self._neighbours = min(neighbours, width)
        self._distances_OO = distances_OO
        self._totals_O = distances_OO.sum(axis=1)
        self._rounding_O = _ROUNDING * self._totals_O
        self._alive_O = np.ones(width, dtype=bool)
        self._alive_count = width
        self._walk_OO = _others_nearest_first(distances_OO)
        self._near_ON = self._walk_OO[:, : self._neighbours].copy()
        self._step_O = np.full(width, self._neighbours)
        self._means_O = np.take_along_axis(distances_OO, self._near_ON, axis=1).mean(axis=1)

    def remove_most_redundant(self) -> int:
        local = self._neighbours < self._alive_count - 1
        candidates = self._most_redundant() if local else np.flatnonzero(self._alive_O)
        victim = self._nearest_to_all(candidates)
        self._bury(victim)
        if self._neighbours < self._alive_count - 1:
            self._replace_neighbour(victim)
        return victim

    def _most_redundant(self) -> NDArray[np.intp]:
        smallest = self._means_O.min()
        return np.flatnonzero(self._means_O <= smallest + _TIE_ATOL + _TIE_RTOL * smallest)

    def _nearest_to_all(self, candidates: NDArray[np.intp]) -> int:
        totals = self._totals_O[candidates]
        return int(candidates[np.argmax(totals <= totals.min() + self._rounding_O[candidates])])

    def _bury(self, victim: int) -> None:
        self._alive_O[victim] = False
        self._alive_count -= 1
        self._totals_O -= self._distances_OO[victim]
        self._totals_O[victim] = np.inf
        self._means_O[victim] = np.inf
        self._near_ON[victim] = -1

    def _replace_neighbour(self, victim: int) -> None:
        rows_A, slots_A = np.nonzero(self._near_ON == victim)
        self._near_ON[rows_A, slots_A] = self._next_alive(rows_A)
        near_AN = self._near_ON[rows_A]
        self._means_O[rows_A] = self._distances_OO[rows_A[:, None], near_AN].mean(axis=1)

    def _next_alive(self, rows_A: NDArray[np.intp]) -> NDArray[np.intp]:
        """Walk each row on to its next neighbour alive; one exists, for more are alive than a row holds."""
        next_A = self._walk_OO[rows_A, self._step_O[rows_A]]
        self._step_O[rows_A] += 1
        lost = np.flatnonzero(~self._alive_O[next_A])
        while len(lost):
            rows = rows_A[lost]
            next_A[lost] = self._walk_OO[rows, self._step_O[rows]]
            self._step_O[rows] += 1
            lost = lost[~self._alive_O[next_A[lost]]]
        return next_A


def _others_nearest_first(distances_OO: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return each row's other filters by distance; its own index comes last, where no walk arrives."""
    apart_OO = distances_OO.copy()
    np.fill_diagonal(apart_OO, np.inf)
    return np.argsort(apart_OO, axis=1)
