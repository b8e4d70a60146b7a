"""The regression against its formulas, written slowly."""

import math

import numpy as np
import pytest

from search.study.ehvi.gaussian_process import Kernel, _Posterior, fit


def covariance_slowly(kernel: Kernel, one_F, other_F) -> float:
    r = math.sqrt(sum(((a - b) / scale) ** 2 for a, b, scale in zip(one_F, other_F, kernel.scales_F, strict=True)))
    matern = (1 + math.sqrt(5) * r + 5 / 3 * r * r) * math.exp(-math.sqrt(5) * r)
    trend = sum((1 - one_F[place]) ** 2 * (1 - other_F[place]) ** 2 for place in kernel.trend_T)
    return kernel.signal * matern + kernel.slope * trend


def drawn(points: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    features_NF = rng.random((points, 3))
    return features_NF, 0.7 - features_NF @ [0.1, 0.2, 0.0] + 0.01 * rng.standard_normal(points)


def test_predictions_are_those_of_the_book():
    features_NF, targets_N = drawn()
    process, query_F = fit(features_NF, targets_N, trend=[0, 1]), np.array([0.3, 0.6, 0.1])
    kernel = process.kernel
    covariance_NN = np.array([[covariance_slowly(kernel, one, other) for other in features_NF] for one in features_NF])
    inverse_NN = np.linalg.inv(covariance_NN + (kernel.noise + 1e-8) * np.eye(len(features_NF)))
    across_N = np.array([covariance_slowly(kernel, each, query_F) for each in features_NF])
    standard_N = (targets_N - targets_N.mean()) / targets_N.std()
    variance = covariance_slowly(kernel, query_F, query_F) - across_N @ inverse_NN @ across_N
    predicted = process.predict(query_F[None])
    assert predicted.mean_C[0] == pytest.approx(targets_N.mean() + targets_N.std() * across_N @ inverse_NN @ standard_N)
    assert predicted.deviation_C[0] == pytest.approx(targets_N.std() * math.sqrt(variance), rel=1e-4)


def test_the_gradient_is_that_of_the_density():
    features_NF, targets_N = drawn()
    posterior = _Posterior(features_NF, (targets_N - targets_N.mean()) / targets_N.std(), np.array([1, 2]))
    logs = posterior.medians + 0.1
    steps = 1e-5 * np.eye(len(logs))
    slow = [(posterior._loss(logs + step)[0] - posterior._loss(logs - step)[0]) / 2e-5 for step in steps]
    assert posterior._loss(logs)[1] == pytest.approx(slow, abs=1e-4)


def test_a_believed_point_leaves_the_mean_as_it_is_and_nothing_to_be_learned_there():
    process = fit(*drawn())
    there = np.array([[0.9, 0.1, 0.5]])
    believing = process.believing(there)
    elsewhere = np.array([[0.2, 0.2, 0.2], *there])
    assert believing.predict(elsewhere).mean_C == pytest.approx(process.predict(elsewhere).mean_C, abs=1e-4)
    assert believing.predict(there).deviation_C[0] < process.predict(there).deviation_C[0] / 2


@pytest.mark.parametrize("targets", [[0.5], [0.5, 0.5, 0.5]])
def test_equal_targets_and_a_single_one_give_finite_predictions(targets):
    predicted = fit(np.linspace(0, 1, len(targets))[:, None], np.array(targets)).predict(np.array([[0.4], [2.0]]))
    assert predicted.mean_C == pytest.approx([0.5, 0.5])
    assert np.isfinite(predicted.deviation_C).all()
