import math

import numpy as np
import pytest

from retrieval.evaluation.metrics import average_precision, evaluate_classic, step, trapezoid
from retrieval.evaluation.ranks import Hits


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
        ([1, 2], [7], [], 0.0),
        ([], [7], [], 0.0),
        ([7, 8], [7, 8], [7], 1 / 2),
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


@pytest.mark.parametrize("kept", [0, 1, 7, 39])
def test_a_truncated_ranking_keeps_all_positives_in_the_denominator(kept):
    rng = np.random.default_rng(kept)
    ranking, positives, junk = rng.permutation(40), set(range(9)), {30, 31, 32}
    expected = evaluator_loop(ranking[:kept].tolist(), positives, junk)
    assert average_precision(ranking[:kept], positives, junk) == pytest.approx(expected, abs=1e-12)


def test_the_padding_of_a_search_that_found_too_few_changes_nothing():
    found = average_precision([4, 2, 9], [2, 9, 11], [4])
    assert average_precision([4, 2, 9, -1, -1], [2, 9, 11], [4]) == found == pytest.approx(2 / 3)


@pytest.mark.parametrize("kind", [list, set, tuple, frozenset, np.array, lambda ids: np.array(ids, dtype=np.int32)])
def test_positives_and_junk_may_be_any_collection(kind):
    assert average_precision(np.array([5, 3, 4], dtype=np.int32), kind([3, 4]), kind([5])) == 1.0


def test_no_positives_at_all_are_nan_and_no_error():
    assert math.isnan(average_precision([3, 1], []))
    assert math.isnan(average_precision([], np.array([])))


def test_a_positive_named_twice_counts_once():
    assert average_precision([3, 1, 2], [3, 3]) == 1.0


def test_steps_are_never_below_trapezoids():
    rng = np.random.default_rng(3)
    for _ in range(50):
        hits = Hits(positions=np.sort(rng.choice(60, 5, replace=False)), total=6)
        assert step(hits) >= trapezoid(hits)


@pytest.mark.parametrize(
    ("position", "trapezoid_expected", "step_expected"), [(0, 1, 1), (1, 1 / 4, 1 / 2), (9, 1 / 20, 1 / 10)]
)
def test_one_positive_at_a_known_place_by_both_rules(position, trapezoid_expected, step_expected):
    hits = Hits(positions=np.array([position]), total=1)
    assert trapezoid(hits) == pytest.approx(trapezoid_expected)
    assert step(hits) == pytest.approx(step_expected)


def test_a_query_without_positives_is_nan_and_left_out_of_the_mean():
    scores = evaluate_classic(
        np.array([[0, 1], [0, 1]]), [{"positives": [], "junk": []}, {"positives": [1], "junk": []}]
    )
    assert math.isnan(scores.aps[0])
    assert scores.map == pytest.approx(1 / 4)


@pytest.mark.parametrize(
    ("ranks", "gnd"),
    [
        (np.array([[0]]), [{"positives": [], "junk": []}]),
        (np.array([[0]]), [{}]),
        (np.empty((0, 5), dtype=np.int64), []),
        (np.empty((1, 0)), [{"positives": np.array([]), "junk": np.array([])}]),
        ([], []),
    ],
)
def test_a_mean_over_no_queries_is_nan(ranks, gnd):
    assert math.isnan(evaluate_classic(ranks, gnd).map)


def test_a_ground_truth_without_junk_has_none():
    assert evaluate_classic([[1, 0]], [{"positives": [0]}]).map == pytest.approx(1 / 4)


def test_as_many_rankings_as_queries_are_demanded():
    with pytest.raises(ValueError, match="longer"):
        evaluate_classic(np.array([[0, 1]]), [{"positives": [0]}, {"positives": [1]}])


@pytest.mark.parametrize("wrong", [np.array([True, False]), [0.5], ["0"]])
def test_what_is_no_list_of_indices_is_refused(wrong):
    with pytest.raises(ValueError, match="whole numbers are right"):
        average_precision([0, 1], wrong)


def test_indices_may_be_whole_numbers_in_floats_as_matlab_writes_them():
    assert average_precision([1, 0], np.array([0.0])) == pytest.approx(1 / 4)
