from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.base import Images, TrainingSet
from retrieval.training.mining import draw_pairs, draw_pool, hardest_negatives, pairs_available

#          0  1  2  3  4  5  6  7  8
LABELS = [0, 0, 1, 2, 1, 3, 2, 0, 4]


def training_set(labels=LABELS, **known) -> TrainingSet:
    images = Images(Path("set"), [f"{i}.jpg" for i in range(len(labels))])
    classes = tuple(map(str, range(max(labels) + 1)))
    return TrainingSet(images, np.array(labels), classes, **known)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_a_pair_is_an_image_and_another_of_its_class_each_query_once_and_none_that_is_alone():
    some = training_set()
    assert pairs_available(some) == 7
    pairs = draw_pairs(some, 100, rng())
    assert sorted(pairs[:, 0]) == [0, 1, 2, 3, 4, 6, 7]
    assert (some.labels[pairs[:, 0]] == some.labels[pairs[:, 1]]).all()
    assert (pairs[:, 0] != pairs[:, 1]).all()
    assert draw_pairs(some, 3, rng()).shape == (3, 2)


def test_every_other_image_of_the_class_is_drawn_as_positive_about_equally_often():
    pairs = np.concatenate([draw_pairs(training_set(), 100, rng(seed)) for seed in range(300)])
    positives = pairs[pairs[:, 0] == 7, 1]
    assert sorted(set(positives)) == [0, 1]
    assert 100 < np.count_nonzero(positives == 0) < 200


def test_named_pairs_are_drawn_as_they_are_named():
    pairs = np.array([[0, 5], [5, 0], [3, 8]])
    named = training_set(pairs_P2=pairs)
    assert pairs_available(named) == 3
    assert sorted(map(tuple, draw_pairs(named, 9, rng()))) == sorted(map(tuple, pairs))
    two = draw_pairs(named, 2, rng())
    assert len(two) == 2
    assert set(map(tuple, two)) < set(map(tuple, pairs))


def test_the_pool_is_sorted_never_repeats_and_is_at_most_the_set():
    pool = draw_pool(training_set(), 4, rng())
    assert len(set(pool)) == 4
    assert (np.diff(pool) > 0).all()
    assert draw_pool(training_set(), 100, rng()).tolist() == list(range(9))


def hardest(some: TrainingSet, pair: list[int], similarities: list[float], count: int, pool=None) -> list[int]:
    pool = np.arange(len(some.images)) if pool is None else np.array(pool)
    scores = np.array([similarities], dtype=np.float32)
    (found,) = hardest_negatives(some, np.array([pair]), pool, scores, count)
    return found.tolist()


def test_negatives_come_in_falling_similarity_one_a_class_and_never_of_the_querys():
    # Best are the query's own class; then 4 and 2 of one class, 6 and 3 of another, 8, 5.
    similarities = [1.0, 0.99, 0.8, 0.6, 0.9, 0.1, 0.7, 0.98, 0.5]
    assert hardest(training_set(), [0, 1], similarities, 5) == [4, 6, 8, 5]
    assert hardest(training_set(), [0, 1], similarities, 2) == [4, 6]


def test_negatives_are_never_of_the_positives_class():
    similarities = [1.0, 0.99, 0.8, 0.6, 0.9, 0.1, 0.7, 0.98, 0.5]
    assert hardest(training_set(), [0, 2], similarities, 2) == [6, 8]


def test_the_pool_may_be_a_part_of_the_set_and_equal_similarities_rank_in_its_order():
    assert hardest(training_set(), [0, 1], [0.5, 0.5, 0.5], 5, pool=[1, 4, 8]) == [4, 8]


def test_negatives_are_farther_than_the_metres_from_the_query():
    metres = np.zeros((9, 2))
    metres[:, 0] = [0, 5, 24, 26, 25, 18, 15, 3, 400]  # 25 m is still a positive
    similarities = [1.0, 0.99, 0.8, 0.6, 0.9, 0.1, 0.7, 0.98, 0.5]
    assert hardest(training_set(coordinates_N2=metres), [0, 1], similarities, 5) == [3, 8]
    assert hardest(training_set(coordinates_N2=metres, negative_metres=10.0), [0, 1], similarities, 5) == [4, 6, 8, 5]


def test_a_query_without_any_negative_is_a_clear_error():
    with pytest.raises(ValueError, match=r"none of 2 images of the pool can be a negative of 0\.jpg: a larger pool"):
        hardest(training_set(), [0, 1], [0.5, 0.4], 5, pool=[1, 7])
