import logging

import numpy as np
import pytest
import torch
from PIL import Image

from retrieval.datasets.base import TrainingSet
from retrieval.descriptors.extract import extract
from retrieval.images import ImageReader
from retrieval.networks.whitening import Whitened, Whitening, _pairs_of_classes, fit_lw, fit_pca, fit_whitening


def descriptors(count: int, size: int, seed: int = 0) -> np.ndarray:
    """Unit vectors, as float32 as a network's, with very unequal variances."""
    rng = np.random.default_rng(seed)
    found = rng.normal(size=(count, size)) * np.linspace(1, 0.1, size) + rng.normal(size=size)
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def pairs(count: int, number: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, count, (number, 2))


def plain_lw(X, qidxs, pidxs):
    """The steps one after the other, one descriptor a column, the covariances as sums over single vectors."""
    X = X.T.astype(np.float64)
    m = sum(X[:, q] for q in qidxs) / len(qidxs)
    S = np.zeros((len(X), len(X)))
    for q, p in zip(qidxs, pidxs, strict=True):
        S += np.outer(X[:, q] - X[:, p], X[:, q] - X[:, p]) / len(qidxs)
    P = np.linalg.inv(np.linalg.cholesky(S))
    D = np.zeros_like(S)
    for i in range(X.shape[1]):
        x = P @ (X[:, i] - m)
        D += np.outer(x, x)
    values, vectors = np.linalg.eig(D)
    return m, vectors[:, np.argsort(-values)].T @ P


def same_rows(found_KD, expected_KD):
    """Equal row for row but for the sign, which an eigenvector leaves open."""
    signs = np.sign((found_KD * expected_KD).sum(axis=1, keepdims=True))
    return np.allclose(found_KD * signs, expected_KD, rtol=1e-4, atol=1e-3)


def test_pca_whitening_by_hand():
    # Variances 2 and 1/2 along the axes: the first is divided by √2, the second by √½.
    whitening = fit_pca(np.array([[2, 0], [-2, 0], [0, 1], [0, -1]]) + np.array([5, 7]))
    assert whitening.mean_D.tolist() == [5, 7]
    assert whitening.projection_KD.abs().numpy() == pytest.approx(np.diag([0.707107, 1.414214]), abs=1e-6)
    # (2, 1) around the mean is one deviation in each.
    assert whitening(torch.tensor([[7.0, 8.0]])).abs()[0].tolist() == pytest.approx([0.707107, 0.707107], abs=1e-6)


def test_learned_whitening_by_hand():
    # Differences (0.2, 0) and (0, 0.4): S = diag(0.02, 0.08), W = diag(7.0711, 3.5355). m = (0.5, 0.5), so that
    # W (X − m) = (3.5355, −1.7678), (2.1213, −1.7678), (−3.5355, 1.7678), (−3.5355, 0.3536), and the sum of their
    # outer products is (42, −17.5; −17.5, 9.5): eigenvalues 49.631 and 1.869, vectors (0.9167, −0.3997) and
    # (0.3997, 0.9167). P = Vᵀ W = (6.4818, −1.4132; 2.8264, 3.2409).
    whitening = fit_lw(np.array([[1, 0], [0.8, 0], [0, 1], [0, 0.6]]), np.array([[0, 1], [2, 3]]))
    assert whitening.mean_D.tolist() == [0.5, 0.5]
    assert same_rows(whitening.projection_KD.numpy(), np.array([[6.4818, -1.4132], [2.8264, 3.2409]]))


def test_learned_whitening_equals_the_plain_loop():
    found, chosen = descriptors(200, 12), pairs(200, 90)
    m, P = plain_lw(found, *chosen.T)
    whitening = fit_lw(found, chosen, 7)
    assert np.allclose(whitening.mean_D, m, atol=1e-6)
    assert same_rows(whitening.projection_KD.numpy(), P[:7])
    plain_KN = P[:7] @ (found.T - m[:, None])
    plain_KN /= np.linalg.norm(plain_KN, axis=0) + 1e-6
    products = whitening(torch.from_numpy(found)).numpy() @ whitening(torch.from_numpy(found)).numpy().T
    assert np.allclose(products, plain_KN.T @ plain_KN, atol=1e-4)


def test_after_pca_every_direction_varies_alike_and_the_largest_come_first():
    found = descriptors(500, 8)
    whitening = fit_pca(found, 5)
    projected = (found - whitening.mean_D.numpy()) @ whitening.projection_KD.numpy().T
    assert np.allclose(projected.T @ projected / 500, np.eye(5), atol=1e-3)
    lengths = whitening.projection_KD.norm(dim=1)
    assert (lengths.diff() > 0).all()  # less variance, more stretch


def test_pca_of_fewer_images_than_dimensions_is_that_of_the_whole_covariance():
    X = descriptors(20, 60)
    found = fit_pca(X, 12)
    centred = X.astype(np.float64) - X.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(centred.T @ centred / 20)
    expected = (vectors[:, ::-1] / np.sqrt(np.maximum(values[::-1], 1e-300)))[:, :12].T
    # A direction and its opposite are the same.
    signs = np.sign((found.projection_KD.numpy() * expected).sum(axis=1, keepdims=True))
    np.testing.assert_allclose(found.projection_KD.numpy(), signs * expected, rtol=2e-4, atol=2e-4)


def test_after_learned_whitening_matching_images_differ_alike_in_every_direction():
    found, chosen = descriptors(200, 8), pairs(200, 90)
    differences = (found[chosen[:, 0]] - found[chosen[:, 1]]) @ fit_lw(found, chosen).projection_KD.numpy().T
    assert np.allclose(differences.T @ differences / 90, np.eye(8), atol=1e-3)


def test_fewer_pairs_than_dimensions_are_whitened_with_a_word(caplog):
    with caplog.at_level(logging.WARNING):
        whitening = fit_lw(descriptors(40, 16), pairs(40, 5), 8)
    assert torch.isfinite(whitening(torch.from_numpy(descriptors(40, 16)))).all()
    assert "added to each variance" in caplog.text


def test_a_dead_channel_does_not_become_noise(caplog):
    found = descriptors(100, 8)
    found[:, 3] = 1e-3
    with caplog.at_level(logging.WARNING):
        whitening = fit_pca(found)
    assert "1 of 8 directions" in caplog.text
    other = descriptors(50, 8, seed=1)
    other[:, 3] = 1e-3 + 1e-9
    moved = whitening(torch.from_numpy(other))
    other[:, 3] = 1e-3
    assert torch.allclose(moved, whitening(torch.from_numpy(other)), atol=1e-4)


@pytest.mark.parametrize(("count", "size"), [(8, None), (5, 5), (3, 7)])
def test_too_few_images_for_the_size_is_one_clear_line(count, size):
    found = descriptors(count, 8)
    for fit in (fit_pca, lambda found, size: fit_lw(found, pairs(count, 9), size)):
        with pytest.raises(ValueError, match=f"from {count} images; it needs more images than dimensions"):
            fit(found, size)


def test_what_cannot_be_whitened_is_refused():
    found = descriptors(20, 4)
    with pytest.raises(ValueError, match="to 5 dimensions from 4"):
        fit_pca(found, 5)
    with pytest.raises(ValueError, match="0 pairs"):
        fit_lw(found, pairs(20, 0))
    with pytest.raises(ValueError, match="all the same"):
        fit_pca(np.ones((20, 4)))
    found[3, 2] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        fit_lw(found, pairs(20, 9))
    with pytest.raises(ValueError, match="K × D"):
        Whitening(torch.zeros(3), torch.zeros(4, 4))


def test_a_whitened_network_is_the_network_and_then_the_whitening_and_its_state_fits_another():
    torch.manual_seed(0)
    whitening = fit_pca(descriptors(50, 3), 2)
    network = Whitened(torch.nn.Flatten(), whitening)
    images = torch.rand(4, 3, 1, 1)
    assert torch.equal(network(images), whitening(images.flatten(1)))
    assert torch.allclose(network(images).norm(dim=1), torch.ones(4))
    other = Whitened(torch.nn.Flatten(), Whitening(torch.zeros(3), torch.zeros(2, 3)))
    other.load_state_dict(network.state_dict())
    assert torch.equal(other(images), network(images))


class RecordingReader(ImageReader):
    def __init__(self) -> None:
        super().__init__(None)
        self.seen = []

    def read(self, path, box=None):
        self.seen.append(path)
        return super().read(path, box)


@pytest.fixture(scope="module")
def training_set(tmp_path_factory) -> TrainingSet:
    """Twelve classes of five images, one of one image, and test images in the same folder."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    paths = [folder / f"train{i:02d}.png" for i in range(61)]
    for path in (*paths, *(folder / f"test{i}.png" for i in range(5))):
        Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8)).save(path)
    labels = np.append(np.arange(60) // 5, 12)
    return TrainingSet(tuple(paths), labels, tuple(map(str, range(13))))


def describe(images_NCHW: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(images_NCHW.flatten(1)[:, ::8], dim=1).numpy()  # D = 6


@pytest.mark.parametrize("kind", ["pca", "lw"])
def test_only_training_images_are_read_and_no_more_than_asked(training_set, kind):
    for images, most in ((20, 20), (1000, 61)):
        reader = RecordingReader()
        fit_whitening(describe, training_set, reader, kind=kind, size=4, images=images, seed=0)
        assert set(reader.seen) <= set(training_set.images)
        assert most - 2 <= len(reader.seen) == len(set(reader.seen)) <= most


@pytest.mark.parametrize("kind", ["pca", "lw"])
def test_the_sample_is_the_seeds(training_set, kind):
    def fitted(seed):
        return fit_whitening(describe, training_set, ImageReader(None), kind=kind, size=4, images=20, seed=seed)

    assert torch.equal(fitted(1).projection_KD, fitted(1).projection_KD)
    assert not torch.allclose(fitted(1).mean_D, fitted(2).mean_D)


def test_learned_whitening_takes_the_pairs_that_the_set_names(training_set):
    named = TrainingSet(training_set.images, training_set.labels, training_set.classes, pairs_P2=pairs(30, 40))
    reader = RecordingReader()
    found = fit_whitening(describe, named, reader, kind="lw", size=4, images=100, seed=0)
    assert set(reader.seen) == {named.images[i] for i in np.unique(named.pairs_P2)}
    described = extract(describe, [(path, None) for path in named.images], ImageReader(None))
    used, rows = np.unique(named.pairs_P2, return_inverse=True)
    assert same_rows(found.projection_KD.numpy(), fit_lw(described[used], rows.reshape(-1, 2), 4).projection_KD.numpy())


def test_pairs_of_classes_show_the_same(training_set):
    found = _pairs_of_classes(training_set.labels, np.random.default_rng(0))
    assert (training_set.labels[found[:, 0]] == training_set.labels[found[:, 1]]).all()
    assert (found[:, 0] != found[:, 1]).all()
    assert np.array_equal(np.sort(found[:, 0]), np.arange(60))  # each once, but for the one without company


def test_a_set_without_two_images_of_a_class_cannot_be_learned_from(training_set):
    lonely = TrainingSet(training_set.images[:3], np.arange(3), ("a", "b", "c"))
    with pytest.raises(ValueError, match="no two of the 3 training images"):
        fit_whitening(describe, lonely, ImageReader(None), kind="lw", size=2, images=10, seed=0)
    with pytest.raises(ValueError, match="fitted to 1 images"):
        fit_whitening(describe, training_set, ImageReader(None), kind="pca", size=2, images=1, seed=0)
