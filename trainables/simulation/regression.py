"""Kernel regression through noisy points in many dimensions, with the error of leaving each point out.

Letters: N points, F features, T targets.
"""

from dataclasses import dataclass
from itertools import product

import numpy as np

# The values that are tried: widths of the Gaussian in units of the features, shares of the linear part, noise / signal.
_SCALES, _LINEAR, _NOISES = (0.7, 1.5, 3.0, 6.0), (0.1, 1.0, 10.0), (1e-3, 1e-2, 3e-2, 1e-1, 3e-1)


@dataclass(frozen=True)
class Regression:
    """Kernel ridge regression: the mean of a Gaussian process whose kernel is a Gaussian plus a linear one.

    Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, section 2.2 and equation 5.12, which gives
    the prediction of each point from the others. Width, share and noise are those with the least such error, summed
    over targets: for a few hundred points a marginal likelihood is not needed.

    Attributes:
        features_NF: of the points.
        weights_NT: of the points in a prediction.
        mean_T: of the targets.
        scale: width of the Gaussian.
        linear: share of the linear part.
        residuals_NT: target minus prediction of each point, studentised, so that they are as large as the noise.
        left_out_NT: prediction of each point from the others.
    """

    features_NF: np.ndarray
    weights_NT: np.ndarray
    mean_T: np.ndarray
    scale: float
    linear: float
    residuals_NT: np.ndarray
    left_out_NT: np.ndarray

    def __call__(self, features_NF: np.ndarray) -> np.ndarray:
        """Return predictions N×T."""
        return self.mean_T + _kernel(features_NF, self.features_NF, self.scale, self.linear) @ self.weights_NT


def fit(features_NF: np.ndarray, targets_NT: np.ndarray) -> Regression:
    """Fit all targets with the same kernel.

    Args:
        features_NF: of the points.
        targets_NT: of the points.

    Raises:
        ValueError: fewer than three points.
    """
    if len(features_NF) < 3:
        raise ValueError(f"{len(features_NF)} points; at least 3 are right")
    tried = (_fit(features_NF, targets_NT, *choice) for choice in product(_SCALES, _LINEAR, _NOISES))
    return min(tried, key=lambda regression: float(((regression.left_out_NT - targets_NT) ** 2).sum()))


def _fit(features_NF: np.ndarray, targets_NT: np.ndarray, scale: float, linear: float, noise: float) -> Regression:
    mean_T = targets_NT.mean(axis=0)
    kernel_NN = _kernel(features_NF, features_NF, scale, linear)
    inverse_NN = np.linalg.inv(kernel_NN + noise * np.eye(len(kernel_NN)))
    weights_NT = inverse_NN @ (targets_NT - mean_T)
    diagonal_N1 = np.diag(inverse_NN)[:, None]
    return Regression(
        features_NF=features_NF,
        weights_NT=weights_NT,
        mean_T=mean_T,
        scale=scale,
        linear=linear,
        # noise · inverse is 1 − hat matrix: residual / sqrt(1 − its leverage).
        residuals_NT=np.sqrt(noise / diagonal_N1) * weights_NT,
        left_out_NT=targets_NT - weights_NT / diagonal_N1,
    )


def _kernel(first_NF: np.ndarray, second_MF: np.ndarray, scale: float, linear: float) -> np.ndarray:
    squared_NM = ((first_NF[:, None] - second_MF[None]) ** 2).sum(axis=2)
    return np.exp(-squared_NM / (2 * scale**2)) + linear * first_NF @ second_MF.T
