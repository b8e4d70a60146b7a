"""What the finished trials of a study say about candidates: quality, costs and whether they lie inside the limits.

A counted cost is known. One that is measured (the speed) is modelled like the quality, by its logarithm, unless a
network of the same shape was measured. A limit on a measured cost is modelled by its violation.

Letters: N finished trials, C candidates, K costs, V values that measured costs may have.
"""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import log_ndtr

from search.study.ehvi.candidates import Candidate
from search.study.ehvi.gaussian_process import Floats, GaussianProcess, Prediction, fit
from tracking.record import METRICS

# Values and weights of Gauss-Hermite quadrature: exact for polynomials of degree 5.
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(3)
# Below every cost that there is, where a logarithm is taken.
_LEAST_COST = 1e-9


@dataclass(frozen=True)
class Observation:
    """A trial that has ended.

    Attributes:
        candidate: what was tried.
        values: of the objectives, in their own units; None where it has none.
        violations: limit → how far outside it lies, see `tracking.limits.Limits.violations`.
    """

    candidate: Candidate
    values: tuple[float, ...] | None
    violations: Mapping[str, float]


class MeasuredCost:
    """A cost that no formula gives.

    Args:
        observations: trials that have values.
        place: of the cost among the objectives.
    """

    def __init__(self, observations: Sequence[Observation], place: int) -> None:
        self._known: dict[frozenset[tuple[str, float]], float] = {}
        for each in observations:
            assert each.values is not None
            self._known.setdefault(each.candidate.shape, math.log(max(each.values[place], _LEAST_COST)))
        logs_N = np.array([self._known[each.candidate.shape] for each in observations])
        self._process = fit(features_of([each.candidate for each in observations]), logs_N)

    def predict(self, candidates: Sequence[Candidate]) -> Prediction:
        """Return the distribution of the cost's logarithm; without spread where the shape was measured."""
        predicted = self._process.predict(features_of(candidates))
        known_C = np.array([self._known.get(each.shape, np.nan) for each in candidates])
        unknown_C = np.isnan(known_C)
        return Prediction(np.where(unknown_C, predicted.mean_C, known_C), np.where(unknown_C, predicted.deviation_C, 0))


@dataclass(frozen=True)
class Outcomes:
    """A model of the outcomes of candidates.

    Attributes:
        quality: of the first objective.
        models: for each further objective its metric key, and its model where it is measured.
        limits: models of the violations of limits on measured costs.
    """

    quality: GaussianProcess
    models: tuple[tuple[str, MeasuredCost | None], ...]
    limits: tuple[GaussianProcess, ...]

    def costs(self, candidates: Sequence[Candidate]) -> tuple[Floats, Floats]:
        """Return the values V×C×K that the costs may have, all maximised, and the weight of each of the V cases."""
        choices = [self._values(key, model, candidates) for key, model in self.models]
        cases = list(itertools.product(*(zip(values_VC, weights_V, strict=True) for values_VC, weights_V in choices)))
        costs_VCK = np.array([np.stack([values_C for values_C, _ in case], axis=1) for case in cases])
        return costs_VCK, np.array([math.prod(float(weight) for _, weight in case) for case in cases])

    def mean_costs(self, candidates: Sequence[Candidate]) -> Floats:
        """Return the costs C×K, as they are or are expected, all maximised."""
        columns = []
        for key, model in self.models:
            if model is None:
                values_C = np.array([each.costs[key] for each in candidates])
            else:
                values_C = np.exp(model.predict(candidates).mean_C)
            columns.append(METRICS[key].sign * values_C)
        return np.stack(columns, axis=1)

    def log_feasible(self, features_CF: Floats) -> Floats:
        """Return the logarithm of the probability that a candidate lies inside the limits on measured costs."""
        logs_C = np.zeros(len(features_CF))
        for process in self.limits:
            violation = process.predict(features_CF)
            logs_C += log_ndtr(-violation.mean_C / violation.deviation_C)
        return logs_C

    def _values(self, key: str, model: MeasuredCost | None, candidates: Sequence[Candidate]) -> tuple[Floats, Floats]:
        sign = METRICS[key].sign
        if model is None:
            return sign * np.array([[each.costs[key] for each in candidates]]), np.ones(1)
        logs = model.predict(candidates)
        values_VC = np.exp(logs.mean_C + _NODES[:, None] * logs.deviation_C)
        return sign * values_VC, _WEIGHTS / _WEIGHTS.sum()


def learn(observations: Sequence[Observation], objectives: Sequence[str], kept_shares: Sequence[int]) -> Outcomes:
    """Fit a model to trials that have ended, at least one of them with values.

    Args:
        observations: of the trials.
        kept_shares: see `search.study.ehvi.features.Features.kept_shares`.
        objectives: metric keys, the quality first.
    """
    valued = [each for each in observations if each.values is not None]
    qualities_N = np.array([each.values[0] for each in valued if each.values is not None])
    counted = valued[0].candidate.costs
    models = tuple(
        (key, None if key in counted else MeasuredCost(valued, place))
        for place, key in enumerate(objectives)
        if place > 0
    )
    measured = sorted({name for each in observations for name in each.violations})
    return Outcomes(
        quality=fit(features_of([each.candidate for each in valued]), qualities_N, kept_shares),
        models=models,
        limits=tuple(_limit(observations, name) for name in measured),
    )


def features_of(candidates: Sequence[Candidate]) -> Floats:
    """Return the features of candidates, a row each."""
    return np.stack([each.features_F for each in candidates])


def _limit(observations: Sequence[Observation], name: str) -> GaussianProcess:
    measured = [each for each in observations if name in each.violations]
    violations_N = np.array([each.violations[name] for each in measured])
    return fit(features_of([each.candidate for each in measured]), violations_N)
