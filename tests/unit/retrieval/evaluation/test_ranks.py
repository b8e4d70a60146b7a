import numpy as np
import pytest

from retrieval.evaluation.ranks import NOT_FOUND, as_indices, best_of_each, nearest, ranked_by_distance, ranked_in_list


@pytest.mark.parametrize("values", [2, 7, 10**6])
def test_counting_and_reading_a_sorted_ranking_agree_exactly(values):
    rng = np.random.default_rng(values)
    for _ in range(40):
        distance_N = rng.integers(0, values, 200).astype(np.float32)
        named = rng.permutation(200)[:50]
        positives, junk = set(named[:20].tolist()), set(named[20:].tolist())
        images_T = as_indices(positives | junk)
        counted = ranked_by_distance(distance_N, images_T)
        read = ranked_in_list(np.argsort(distance_N, kind="stable"), images_T)
        assert counted.ranks_T.tolist() == read.ranks_T.tolist()
        assert counted.hits(positives, junk).positions.tolist() == read.hits(positives, junk).positions.tolist()


def test_junk_free_ranks_by_hand():
    hits = ranked_in_list(np.array([9, 4, 8, 5, 1, 7]), as_indices([1, 4, 5, 8, 9, 30])).hits([4, 1, 30], [9, 8])
    # Without 9 and 8: 4, 5, 1, 7. Image 30 is nowhere.
    assert hits.positions.tolist() == [0, 2]
    assert hits.total == 3


def test_what_a_truncated_ranking_lacks_is_not_found():
    assert ranked_in_list(np.array([5, 2, -1]), as_indices([2, 3])).ranks_T.tolist() == [1, NOT_FOUND]


def test_equal_distances_rank_by_lowest_index():
    assert ranked_by_distance(np.array([3.0, 1.0, 1.0, 1.0]), np.array([0, 1, 3])).ranks_T.tolist() == [3, 0, 2]


def test_distances_that_are_nan_come_last_in_the_order_of_their_indices():
    distance_N = np.array([np.nan, 2.0, np.nan, np.inf, 1.0], dtype=np.float32)
    assert ranked_by_distance(distance_N, np.arange(5)).ranks_T.tolist() == [3, 1, 4, 2, 0]
    assert ranked_by_distance(np.full(3, np.nan), np.array([2])).ranks_T.tolist() == [2]


def test_the_distances_given_are_left_as_they_were():
    distance_N = np.array([2.0, np.nan, 1.0])
    ranked_by_distance(distance_N, np.array([0]))
    assert np.array_equal(distance_N, [2.0, np.nan, 1.0], equal_nan=True)


@pytest.mark.parametrize("count", [0, 1, 5, 99, 100, 300])
def test_the_nearest_are_the_front_of_a_stable_sort(count):
    distance_N = np.random.default_rng(0).integers(0, 6, 100).astype(np.float32)
    distance_N[::9] = np.nan
    assert nearest(distance_N, count).tolist() == np.argsort(distance_N, kind="stable")[:count].tolist()


def test_the_best_of_each_group_is_its_nearest_and_of_equals_the_first():
    distance_G, image_G = best_of_each(np.array([3.0, 1.0, 1.0, 5.0, 4.0, 4.0]), 3)
    assert distance_G.tolist() == [1.0, 4.0]
    assert image_G.tolist() == [1, 4]
