"""The expected improvement against the integral that defines it, taken slowly."""

import numpy as np
import pytest

from search.study.ehvi.acquisition import Front, log_expected_improvement
from search.study.ehvi.gaussian_process import Prediction
from tracking.pareto import hypervolume


def expected_slowly(points_NM, reference_M, mean, deviation, costs_K) -> float:
    """The mean over a fine grid of qualities of what the point adds to the hypervolume."""
    z_Z = np.linspace(-6, 6, 3001)
    weights_Z = np.exp(-0.5 * z_Z**2)
    before = hypervolume(points_NM, reference_M)
    gains_Z = [hypervolume(np.vstack([points_NM, [mean + deviation * z, *costs_K]]), reference_M) - before for z in z_Z]
    return float(np.average(gains_Z, weights=weights_Z))


@pytest.mark.parametrize("costs", [1, 2])
def test_the_improvement_is_the_mean_growth_of_the_hypervolume(costs):
    rng = np.random.default_rng(costs)
    qualities_S, costs_SK = rng.random(8), 1 + 3 * rng.random((8, costs))
    reference_M = np.array([0.2] + [1.0] * costs)
    candidates_CK, means_C = 1 + 4 * rng.random((4, costs)), rng.random(4)
    front = Front.of(qualities_S, costs_SK, reference_M)
    logs_C = front.log_improvement(Prediction(means_C, np.full(4, 0.2)), candidates_CK)
    points_NM = np.column_stack([qualities_S, costs_SK])
    for log, mean, costs_K in zip(logs_C, means_C, candidates_CK, strict=True):
        assert np.exp(log) == pytest.approx(expected_slowly(points_NM, reference_M, mean, 0.2, costs_K), rel=2e-3)


def test_a_certain_quality_adds_its_rectangle():
    # Above the reference (0.5, 1) one member, 0.7 at twice the speed; 0.6 at three times adds a strip of 1 by 0.1.
    front = Front.of(np.array([0.7]), np.array([[2.0]]), np.array([0.5, 1.0]))
    logs_C = front.log_improvement(Prediction(np.array([0.6]), np.array([1e-6])), np.array([[3.0]]))
    assert np.exp(logs_C[0]) == pytest.approx(0.1, rel=1e-4)


def test_a_cost_that_misses_the_reference_promises_nothing():
    front = Front.of(np.empty(0), np.empty((0, 1)), np.array([0.5, 1.0]))
    logs_C = front.log_improvement(Prediction(np.full(2, 0.9), np.full(2, 0.1)), np.array([[0.9], [1.1]]))
    assert logs_C[0] == -np.inf
    assert np.isfinite(logs_C[1])


def test_where_the_improvement_underflows_its_logarithm_still_rises_towards_the_front():
    z = np.concatenate([-np.logspace(5, -2, 200), [0.0, 1.0, 30.0]])
    logs = log_expected_improvement(z, np.ones_like(z), np.zeros_like(z))
    assert np.isfinite(logs).all()
    assert (np.diff(logs) > 0).all()
    assert np.exp(logs[-3]) == pytest.approx(1 / np.sqrt(2 * np.pi))
    assert np.exp(logs[-1]) == pytest.approx(30.0)
