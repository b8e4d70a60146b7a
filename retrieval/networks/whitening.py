"""Whitening: a linear map of descriptors, fitted to training images and appended to a network.

Letters: N images, D descriptor size, K size after whitening, P pairs.
"""

import logging
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.datasets.base import Indices, TrainingSet
from retrieval.descriptors.extract import Describe, extract
from retrieval.images import ImageReader

log = logging.getLogger(__name__)

WhiteningKind = Literal["pca", "lw"]

_SMALLEST_SHARE = 1e-8  # of the largest variance, that a direction is taken to have at least
_FIRST_RIDGE = 1e-10


class Whitening(nn.Module):
    """A whitening layer: descriptors N×D → ``projection · (descriptor − mean)``, of unit length, N×K.

    Differs from cirtorch's ``whitenapply``: divided by the length itself, not by the length plus 1e-6.
    """

    mean_D: Tensor
    projection_KD: Tensor

    def __init__(self, mean_D: Tensor, projection_KD: Tensor) -> None:
        super().__init__()
        if projection_KD.ndim != 2 or mean_D.shape != projection_KD.shape[1:]:
            raise ValueError(
                f"mean and projection have shapes {tuple(mean_D.shape)} and {tuple(projection_KD.shape)}; "
                "D and K × D are right"
            )
        self.register_buffer("mean_D", mean_D.float())
        self.register_buffer("projection_KD", projection_KD.float())

    def forward(self, descriptors_ND: Tensor) -> Tensor:
        """Return whitened unit descriptors N×K of N×D."""
        return F.normalize(F.linear(descriptors_ND - self.mean_D, self.projection_KD), dim=1)


class Whitened(nn.Module):
    """A network followed by a whitening: images N×3×H×W → unit descriptors N×K."""

    def __init__(self, network: nn.Module, whitening: Whitening) -> None:
        super().__init__()
        self.network = network
        self.whitening = whitening

    def forward(self, images_NCHW: Tensor) -> Tensor:
        """Return unit descriptors N×K of images N×3×H×W, normalised by `retrieval.images.normalise`."""
        return self.whitening(self.network(images_NCHW))


def fit_pca(descriptors_ND: np.ndarray, size: int | None = None) -> Whitening:
    """Fit PCA whitening: mean 0, then unit variance along the `size` directions of largest variance, largest first.

    ``P = diag(λ)^(−1/2) Vᵀ``, λ and V eigenvalues and vectors of the covariance (over N, not N − 1), in float64.

    Args:
        descriptors_ND: of training images.
        size: K; None keeps all D.

    Raises:
        ValueError: not more images than K, K not in [1, D], or values that are not finite.

    Source: Jégou, Chum, "Negative Evidences and Co-occurences in Image Retrieval: the Benefit of PCA and Whitening",
    ECCV 2012, in the form of Radenović's code (cirtorch).
    Differs from the paper: a variance below 1e-8 of the largest counts as so much, so that a direction that training
    images do not use (a dead channel) is not blown up to noise; the log says how many those are.
    """
    descriptors_ND, size = _checked(descriptors_ND, size)
    mean_D = descriptors_ND.mean(axis=0)
    variances_K, directions_DK = _principal(descriptors_ND - mean_D, size)
    least = _SMALLEST_SHARE * variances_K[0]
    if not least > 0:
        raise ValueError(f"the {len(descriptors_ND)} descriptors are all the same: nothing can be whitened")
    if flat := int((variances_K < least).sum()):
        log.warning("PCA: %d of %d directions have next to no variance and were not whitened fully", flat, size)
    return _whitening(mean_D, directions_DK.T / np.sqrt(np.maximum(variances_K, least))[:, None])


def fit_lw(descriptors_ND: np.ndarray, pairs_P2: Indices, size: int | None = None) -> Whitening:
    """Fit learned whitening (Lw): align matching images first, then take the `size` directions of largest variance.

    With m the mean of the queries and S the mean of ``(q − p)(q − p)ᵀ`` over the pairs, ``W`` is the inverse of the
    Cholesky factor of S, V the eigenvectors of ``W(X − m)(X − m)ᵀWᵀ`` over all of X, largest eigenvalue first, and
    ``P = Vᵀ W``; in float64. An S that is not positive definite gets 1e-10 on its diagonal, ten times as much until
    it is one; the log says how much it was.

    Args:
        descriptors_ND: X, of training images.
        pairs_P2: query and positive of each pair, as rows of `descriptors_ND`.
        size: K; None keeps all D.

    Raises:
        ValueError: no pairs, not more images than K, K not in [1, D], or values that are not finite.

    Source: Mikolajczyk, Matas, "Improving Descriptors for Fast Tree Matching by Optimal Linear Projection", ICCV 2007,
    as Radenović, Tolias, Chum, TPAMI 2019, section 4.3, use it, in the form of their code (cirtorch).
    Differs from the paper: the covariance of non-matching pairs is that of all X around m, as in the code.
    """
    descriptors_ND, size = _checked(descriptors_ND, size)
    if not len(pairs_P2):
        raise ValueError("learned whitening of 0 pairs; at least one is needed")
    queries_PD, positives_PD = descriptors_ND[pairs_P2[:, 0]], descriptors_ND[pairs_P2[:, 1]]
    mean_D = queries_PD.mean(axis=0)
    differences_PD = queries_PD - positives_PD
    root_DD = _cholesky(differences_PD.T @ differences_PD / len(differences_PD))
    whitener_DD = np.linalg.inv(root_DD)
    aligned_ND = (descriptors_ND - mean_D) @ whitener_DD.T
    _, directions_DK = _largest(aligned_ND.T @ aligned_ND, size)
    return _whitening(mean_D, directions_DK.T @ whitener_DD)


def fit_whitening(
    describe: Describe,
    training_set: TrainingSet,
    reader: ImageReader,
    *,
    kind: WhiteningKind,
    size: int | None,
    images: int,
    seed: int,
) -> Whitening:
    """Fit the whitening of a network's descriptors to a sample of training images; no other image is read.

    Args:
        describe: the network, multi-scale or not, as it will stand before the whitening.
        training_set: the images to sample from, and their pairs or classes.
        reader: how images are read.
        kind: "pca", or "lw" over the set's pairs; where it names none, over images of one class.
        size: K; None keeps the descriptor's size.
        images: how many to describe at most: all where the set has no more.
        seed: of the sample, which is the same for the same seed.

    Raises:
        ValueError: not more images than K, fewer than 2, or, for "lw", no two images of one class.
        UnreadableImagesError: names every image of the sample that could not be read.
    """
    sample = draw_sample(training_set, kind=kind, images=images, seed=seed)
    descriptors_ND = extract(describe, [(training_set.images[i], None) for i in sample.chosen_N], reader)
    return fit_lw(descriptors_ND, sample.pairs_P2, size) if kind == "lw" else fit_pca(descriptors_ND, size)


@dataclass(frozen=True)
class Sample:
    """The training images that a whitening is fitted to.

    Attributes:
        chosen_N: indices of the images, ascending.
        pairs_P2: pairs that match, as places in `chosen_N`; none for "pca".
    """

    chosen_N: Indices
    pairs_P2: Indices


def draw_sample(training_set: TrainingSet, *, kind: WhiteningKind, images: int, seed: int) -> Sample:
    """Draw the training images that a whitening is fitted to; the arguments are those of `fit_whitening`.

    Raises:
        ValueError: fewer than 2 images are asked for, or, for "lw", no two images are of one class.
    """
    if images < 2:
        raise ValueError(f"whitening is to be fitted to {images} images; at least 2 are needed")
    rng = np.random.default_rng(seed)
    if kind == "lw":
        chosen_N, rows = np.unique(_sample_pairs(training_set, images, rng), return_inverse=True)
        return Sample(chosen_N, rows.reshape(-1, 2))
    count = len(training_set.images)
    chosen_N = np.sort(rng.choice(count, min(images, count), replace=False))
    return Sample(chosen_N, np.empty((0, 2), dtype=np.int64))


def _sample_pairs(training_set: TrainingSet, images: int, rng: np.random.Generator) -> Indices:
    """Return as many pairs in random order as name no more than `images` different images."""
    pairs_P2 = training_set.pairs_P2
    if pairs_P2 is None:
        pairs_P2 = _pairs_of_classes(training_set.labels, rng)
    shuffled_P2 = rng.permutation(pairs_P2)
    _, first_seen = np.unique(shuffled_P2, return_index=True)
    new = np.zeros(shuffled_P2.size, dtype=np.int64)
    new[first_seen] = 1
    return shuffled_P2[new.cumsum()[1::2] <= images]


def _pairs_of_classes(labels_N: Indices, rng: np.random.Generator) -> Indices:
    """Pair every image with another one of its class, P×2: its neighbour in a ring of random order."""
    order_N = rng.permutation(len(labels_N))
    order_N = order_N[np.argsort(labels_N[order_N], kind="stable")]
    rings = np.split(order_N, np.flatnonzero(np.diff(labels_N[order_N])) + 1)
    pairs = [np.stack([ring, np.roll(ring, -1)], axis=1) for ring in rings if len(ring) > 1]
    if not pairs:
        raise ValueError(f"no two of the {len(labels_N)} training images show the same; learned whitening needs pairs")
    return np.concatenate(pairs)


def _checked(descriptors_ND: np.ndarray, size: int | None) -> tuple[NDArray[np.float64], int]:
    """Return the descriptors in float64, and K."""
    count, dimensions = descriptors_ND.shape
    size = dimensions if size is None else size
    if not 1 <= size <= dimensions:
        raise ValueError(f"whitening to {size} dimensions from {dimensions}; 1 to {dimensions} is right")
    if count <= size:
        raise ValueError(
            f"whitening to {size} dimensions from {count} images; it needs more images than dimensions: "
            "fit it to more, or ask for a smaller size"
        )
    if not np.isfinite(descriptors_ND).all():
        raise ValueError("descriptors to whiten hold values that are not finite: has the training diverged?")
    return descriptors_ND.astype(np.float64), size


def _principal(centred_ND: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the `count` largest variances, descending, and their directions as columns."""
    images, dimensions = centred_ND.shape
    if dimensions <= images:
        return _largest(centred_ND.T @ centred_ND / images, count)
    # NetVLAD's D × D would take gigabytes; products of images with each other have the same eigenvalues.
    variances_K, combinations_NK = _largest(centred_ND @ centred_ND.T / images, count)
    directions_DK = centred_ND.T @ combinations_NK
    # A direction without variance consists of rounding errors; the lower bound avoids a division by zero.
    return variances_K, directions_DK / np.maximum(np.linalg.norm(directions_DK, axis=0), np.finfo(float).tiny)


def _largest(symmetric_DD: NDArray[np.float64], count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the `count` largest eigenvalues, descending, and their eigenvectors as columns."""
    values_D, vectors_DD = np.linalg.eigh(symmetric_DD)
    return values_D[::-1][:count], vectors_DD[:, ::-1][:, :count]


def _cholesky(covariance_DD: np.ndarray) -> np.ndarray:
    ridge = 0.0
    while True:
        try:
            root_DD = np.linalg.cholesky(covariance_DD + ridge * np.eye(len(covariance_DD)))
        except np.linalg.LinAlgError:
            ridge = 10 * ridge or _FIRST_RIDGE
            continue
        if ridge:
            log.warning("learned whitening: too few different pairs for full rank, %.0e added to each variance", ridge)
        return root_DD


def _whitening(mean_D: NDArray[np.float64], projection_KD: NDArray[np.float64]) -> Whitening:
    return Whitening(torch.from_numpy(mean_D), torch.from_numpy(np.ascontiguousarray(projection_KD)))
