import math

import numpy as np
import pytest

from retrieval.metrics import average_precision, evaluate_classic


def evaluator_loop(ranking, positives, junk):
    """The loop of the Oxford buildings evaluator (protocols: classic), in double precision."""
    old_recall, old_precision, precision_sum, hits, seen = 0.0, 1.0, 0.0, 0, 0
    for item in ranking:
        if item in junk:
            continue
        hits += item in positives
        recall, precision = hits / len(positives), hits / (seen + 1)
        precision_sum += (recall - old_recall) * (old_precision + precision) / 2
        old_recall, old_precision, seen = recall, precision, seen + 1
    return precision_sum


@pytest.mark.parametrize(
    ("ranking", "positives", "junk", "expected"),
    [
        ([7, 1, 2, 3], [7], [], 1.0),
        ([1, 7, 2, 3], [7], [], 1 / 4),
        ([1, 2, 3, 7], [7], [], 1 / 8),
        ([1, 7, 2, 3], [7], [1], 1.0),
        ([7, 1, 8, 2], [7, 8], [], (1 + 1 + 1 / 2 + 2 / 3) / 4),
        ([7, 1], [7, 8], [], 1 / 2),
    ],
)
def test_average_precision_by_hand(ranking, positives, junk, expected):
    assert average_precision(ranking, positives, junk) == pytest.approx(expected)


def test_the_closed_form_equals_the_evaluators_loop():
    rng = np.random.default_rng(0)
    for _ in range(200):
        ranking = rng.permutation(40)
        positives = set(rng.choice(40, rng.integers(1, 12), replace=False).tolist())
        junk = set(rng.choice(40, 6, replace=False).tolist()) - positives
        expected = evaluator_loop(ranking.tolist(), positives, junk)
        assert average_precision(ranking, positives, junk) == pytest.approx(expected, abs=1e-12)


def test_a_query_without_positives_is_nan_and_left_out_of_the_mean():
    scores = evaluate_classic(
        np.array([[0, 1], [0, 1]]), [{"positives": [], "junk": []}, {"positives": [1], "junk": []}]
    )
    assert math.isnan(scores.aps[0])
    assert scores.map == pytest.approx(1 / 4)


def test_a_mean_over_no_queries_is_nan():
    scores = evaluate_classic(np.array([[0]]), [{"positives": [], "junk": []}])
    assert math.isnan(scores.map)


def test_a_positive_named_twice_counts_once():
    assert average_precision([3, 1, 2], [3, 3]) == 1.0
