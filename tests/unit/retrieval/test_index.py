import numpy as np

from retrieval.index import rank


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def test_the_ranking_is_that_of_the_inner_products():
    rng = np.random.default_rng(0)
    queries, database = unit(rng.normal(size=(5, 16))), unit(rng.normal(size=(50, 16)))
    expected = np.argsort(-(queries @ database.T), axis=1, kind="stable")
    assert np.array_equal(rank(queries, database), expected)


def test_equal_scores_rank_by_lowest_index():
    database = np.repeat(unit(np.eye(2)), 6, axis=0)
    assert rank(unit(np.array([[1.0, 0.2]])), database)[0].tolist() == list(range(12))


def test_only_the_best_are_kept_when_asked():
    database = unit(np.random.default_rng(1).normal(size=(9, 4)))
    assert rank(database, database, count=3).shape == (9, 3)
    assert rank(database, database, count=30).shape == (9, 9)
