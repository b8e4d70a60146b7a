import math
from decimal import Decimal

import numpy as np
import pytest

from retrieval.evaluation.metrics import positives_within, recall_at


def test_recall_by_hand():
    ranks_QN = np.array([[4, 3, 2, 1, 0], [0, 1, 2, 3, 4]])
    assert recall_at(ranks_QN, [[2], [0, 4]], ns=(1, 2, 3)) == {1: 0.5, 2: 0.5, 3: 1.0}


def test_a_query_without_positives_is_a_miss():
    assert recall_at(np.array([[0, 1], [0, 1]]), [[0], []], ns=(1, 2)) == {1: 0.5, 2: 0.5}


def test_with_fewer_results_than_asked_the_last_value_holds():
    assert recall_at(np.array([[3, 1, -1], [2, 0, 1]]), [[1], [4]]) == {1: 0.0, 5: 0.5, 10: 0.5, 20: 0.5}


def test_recall_over_no_queries_is_nan():
    assert all(math.isnan(value) for value in recall_at(np.empty((0, 3), dtype=np.int64), []).values())


def test_places_at_25_metres_count_and_those_beyond_do_not():
    database = np.array([[0.0, 24.0], [0.0, 25.0], [0.0, 26.0], [15.0, 20.0], [15.01, 20.0]])
    assert [found.tolist() for found in positives_within(database, np.zeros((1, 2)))] == [[0, 1, 3]]
    assert positives_within(database, np.zeros((1, 2)), metres=26)[0].tolist() == [0, 1, 2, 3, 4]


def test_coordinates_of_centimetres_are_compared_as_if_exact():
    """Doubles alone would put three in four of these places at 25.00 m outside."""
    rng = np.random.default_rng(0)
    hundredth = Decimal("0.01")
    for _ in range(300):
        shift = int(rng.integers(0, 10**7)) * hundredth
        east, north = Decimal("585001.23") + shift, Decimal("4477001.07") + shift
        for step_east, step_north in ((Decimal("8.80"), Decimal("23.40")), (Decimal("13.44"), Decimal("-21.08"))):
            at_25 = (float(east + step_east), float(north + step_north))
            beyond = (float(east + step_east + hundredth), float(north + step_north))
            query = (float(east), float(north))
            assert positives_within(np.array([at_25, beyond]), np.array([query]))[0].tolist() == [0]


def test_the_places_found_are_sorted_int64_and_the_same_as_by_all_distances():
    rng = np.random.default_rng(5)
    database, queries = rng.uniform(0, 200, (300, 2)), rng.uniform(0, 200, (20, 2))
    found = positives_within(database, queries)
    for query, indices in zip(queries, found, strict=True):
        assert indices.dtype == np.int64
        assert indices.tolist() == np.flatnonzero(((database - query) ** 2).sum(axis=1) <= 625).tolist()


def test_an_empty_database_or_no_queries_find_nothing():
    assert [each.size for each in positives_within(np.empty((0, 2)), np.zeros((2, 2)))] == [0, 0]
    assert positives_within(np.zeros((2, 2)), np.empty((0, 2))) == []
    assert positives_within([], []) == []


@pytest.mark.parametrize("wrong", [np.zeros((3, 3)), np.zeros(4), np.array([[0.0, np.nan]])])
def test_what_is_no_pair_of_finite_metres_is_refused(wrong):
    with pytest.raises(ValueError, match="pairs of finite metres"):
        positives_within(wrong, np.zeros((1, 2)))


@pytest.mark.parametrize("metres", [-1, math.nan])
def test_a_radius_below_nought_is_refused(metres):
    with pytest.raises(ValueError, match="at least 0"):
        positives_within(np.zeros((1, 2)), np.zeros((1, 2)), metres)
