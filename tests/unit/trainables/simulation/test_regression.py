"""The regression against its slow definition: leaving each point out for real."""

import numpy as np
import pytest

from trainables.simulation.regression import _fit, fit

RNG = np.random.default_rng(0)
FEATURES_NF = RNG.uniform(-1, 1, (60, 4))
SIGNAL_N = np.sin(2 * FEATURES_NF[:, 0]) + FEATURES_NF[:, 1] * FEATURES_NF[:, 2]


def test_what_a_point_would_be_without_it_is_what_a_fit_without_it_predicts():
    targets_N2 = np.stack([SIGNAL_N, SIGNAL_N**2], axis=1)
    # Centred, since the mean is the one thing that the quick way does not take the point out of.
    targets_N2 -= targets_N2.mean(axis=0)
    whole = _fit(FEATURES_NF, targets_N2, 1.5, 1.0, 0.03)
    for left_out in (0, 17, 59):
        others = np.arange(60) != left_out
        kernel = _fit(FEATURES_NF[others], targets_N2[others], 1.5, 1.0, 0.03)
        shifted = targets_N2[others]
        slow = kernel(FEATURES_NF[left_out : left_out + 1])[0]
        # Its own mean is not quite zero; the difference that this makes is of that order.
        assert whole.left_out_NT[left_out] == pytest.approx(slow, abs=3 * abs(shifted.mean(axis=0)).max())


def test_a_smooth_function_is_found_where_there_is_little_noise():
    found = fit(FEATURES_NF, SIGNAL_N[:, None])
    new_NF = np.random.default_rng(1).uniform(-0.8, 0.8, (200, 4))
    expected_N = np.sin(2 * new_NF[:, 0]) + new_NF[:, 1] * new_NF[:, 2]
    assert np.abs(found(new_NF)[:, 0] - expected_N).mean() < 0.05


def test_residuals_are_as_large_as_the_noise():
    rng = np.random.default_rng(2)
    features_NF = rng.uniform(-1, 1, (300, 3))
    noise_N = rng.normal(0, 0.2, 300)
    found = fit(features_NF, (features_NF[:, 0] ** 2 - features_NF[:, 1] + noise_N)[:, None])
    assert found.residuals_NT.std() == pytest.approx(0.2, rel=0.2)


def test_two_points_are_too_few():
    with pytest.raises(ValueError, match="2 points"):
        fit(FEATURES_NF[:2], SIGNAL_N[:2, None])
