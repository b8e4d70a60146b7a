"""Expected hypervolume improvement of proposals whose quality is uncertain and whose costs are known, in log form.

Emmerich, Giannakoglou and Naujoks, "Single- and Multiobjective Evolutionary Optimization Assisted by Gaussian Random
Field Metamodels", IEEE Transactions on Evolutionary Computation, 2006, define it as the expectation, under the model,
of what a point adds to the hypervolume of a front. With known costs c it is an expectation over the quality q alone:

    E[improvement] = ∫ over the costs t between reference and c of E[(q − h(t))⁺] dt

where h(t) is the best quality on the front at costs no worse than t. h is constant on cells, and for a normal q the
expectation is σ · (φ(z) + z Φ(z)) with z = (μ − h) / σ, the expected improvement of one objective. So the integral is a
sum, and exact. Its logarithm is taken as in Ament et al., "Unexpected Improvements to Expected Improvement for Bayesian
Optimization", NeurIPS 2023: far below the front the expectation underflows to 0, and all such proposals would be level.

Differs from the papers: costs are no random variables. A measured cost (the speed) is given as a few weighted values
(`search.study.ehvi.outcomes`), over which the expectation is a weighted mean.

All objectives are maximised. Letters: S members of the front, K costs (1 or 2), C candidates, I and J cells along each
cost.
"""

import math
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import erfcx, log_ndtr

from search.study.ehvi.gaussian_process import Floats, Prediction

_LOG_SQRT_2PI = 0.5 * math.log(2 * math.pi)
# Below this z Φ(z) and φ(z) cancel, and the expectation is taken from its tail: equation 9 of Ament et al.
_TAIL = -1.0
# From here on the tail cancels too, and the expectation is φ(z) / z² but for a share of 3 / z².
_FAR_TAIL = -1e4


@dataclass(frozen=True)
class Front:
    """The best quality at every cost.

    Attributes:
        edges: ascending ends of the cells along each of two costs, from the reference on; a cost that is missing has
            the one cell [0, 1].
        levels_IJ: best quality of a member whose costs are no worse than those in the cell, at least the reference's.
    """

    edges: tuple[Floats, Floats]
    levels_IJ: Floats

    @classmethod
    def of(cls, qualities_S: Floats, costs_SK: Floats, reference_M: Floats) -> Self:
        """Return the front of points; those that are not above the reference are left out.

        Args:
            qualities_S: of the points.
            costs_SK: of the points.
            reference_M: quality and costs that the hypervolume is measured from.
        """
        above_S = (qualities_S > reference_M[0]) & (costs_SK > reference_M[1:]).all(axis=1)
        costs_S2 = _two_costs(costs_SK[above_S])
        low_2 = _two_costs(reference_M[None, 1:], missing=0.0)[0]
        # The last cell of each cost is open: no member reaches it.
        edges = tuple(np.unique(np.append(costs_S2[:, axis], low_2[axis])) for axis in (0, 1))
        levels_IJ = np.full((len(edges[0]), len(edges[1])), reference_M[0])
        for quality, cost_2 in zip(qualities_S[above_S], costs_S2, strict=True):
            rows, columns = (np.searchsorted(edges[axis], cost_2[axis]) for axis in (0, 1))
            levels_IJ[:rows, :columns] = np.maximum(levels_IJ[:rows, :columns], quality)
        return cls((edges[0], edges[1]), levels_IJ)

    def log_improvement(self, quality: Prediction, costs_CK: Floats) -> Floats:
        """Return the logarithm of the expected improvement of each candidate; −∞ where a cost misses the reference.

        Args:
            quality: of the candidates, as predicted.
            costs_CK: of the candidates.
        """
        costs_C2 = _two_costs(costs_CK)
        rows_CI, columns_CJ = (_overlaps(self.edges[axis], costs_C2[:, axis]) for axis in (0, 1))
        levels, where_IJ = np.unique(self.levels_IJ, return_inverse=True)
        where_IJ = where_IJ.reshape(self.levels_IJ.shape)
        logs_CL = log_expected_improvement(quality.mean_C[:, None], quality.deviation_C[:, None], levels[None, :])
        # The cell that the candidate itself lies in has the lowest level, and the largest logarithm, of all that count.
        largest_C = logs_CL[np.arange(len(logs_CL)), where_IJ[_cell(rows_CI), _cell(columns_CJ)]]
        shares_CL = np.exp(np.minimum(logs_CL - largest_C[:, None], 0.0))
        sums_C = np.zeros(len(costs_CK))
        for row, where_J in enumerate(where_IJ):
            sums_C += rows_CI[:, row] * np.einsum("cj,cj->c", columns_CJ, shares_CL[:, where_J])
        with np.errstate(divide="ignore"):
            return largest_C + np.log(sums_C)


def log_expected_improvement(mean: Floats, deviation: Floats, level: Floats) -> Floats:
    """Return log E[(q − level)⁺] for normal q, exact also where the expectation underflows.

    Args:
        mean: of q.
        deviation: of q, above 0.
        level: that is to be surpassed; all three are broadcast.
    """
    z = (mean - level) / deviation
    near, tail = np.maximum(z, _TAIL), np.clip(z, _FAR_TAIL, _TAIL)
    log_near = np.log(np.exp(_log_density(near)) + near * np.exp(log_ndtr(near)))
    # Φ(z) / φ(z) = √(π/2) erfcx(−z / √2)
    log_tail = np.log1p(math.sqrt(math.pi / 2) * tail * erfcx(-tail / math.sqrt(2)))
    log_beyond = np.where(z > _FAR_TAIL, log_tail, -2 * np.log(np.maximum(-z, 1.0)))
    improvement: Floats = np.log(deviation) + np.where(z > _TAIL, log_near, _log_density(z) + log_beyond)
    return improvement


def _log_density(z: Floats) -> Floats:
    return -0.5 * z**2 - _LOG_SQRT_2PI


def _two_costs(costs_CK: Floats, missing: float = 1.0) -> Floats:
    """Return two costs a row; where there is one, the other is `missing`."""
    if costs_CK.shape[1] == 2:
        return costs_CK
    return np.hstack([costs_CK, np.full((len(costs_CK), 1), missing)])


def _overlaps(edges_I: Floats, costs_C: Floats) -> Floats:
    """Return how much of each cell lies below each cost, C×I; the last cell has no end."""
    ends_I = np.append(edges_I[1:], np.inf)
    return np.clip(np.minimum(costs_C[:, None], ends_I) - edges_I, 0.0, None)


def _cell(overlaps_CI: Floats) -> NDArray[np.intp]:
    """Return the last cell that each candidate reaches into; the first where it reaches into none."""
    return np.maximum((overlaps_CI > 0).sum(axis=1) - 1, 0)
