import numpy as np
import pytest

from tracking.farthest_first import farthest_first, middle


def on_a_line(*points: float) -> np.ndarray:
    return np.array(points, dtype=np.float64)[:, None]


def test_each_next_point_is_the_farthest_from_all_before_it():
    # From 0 the farthest is 10; then 4 is 4 away from the nearest taken one, 9 and 1 only 1.
    assert farthest_first(on_a_line(0, 1, 4, 9, 10), [0], 5) == [0, 4, 2, 1, 3]


def test_of_equally_far_points_the_lower_index_comes_first():
    assert farthest_first(on_a_line(5, 0, 10, 0), [0], 3) == [0, 1, 2]


def test_points_that_are_equal_are_all_taken_and_none_twice():
    assert farthest_first(np.zeros((4, 2)), [2], 4) == [2, 0, 1, 3]


def test_several_starts_come_first_in_their_order_and_count_as_taken():
    assert farthest_first(on_a_line(0, 1, 4, 9, 10), [4, 0], 3) == [4, 0, 2]


@pytest.mark.parametrize(("count", "expected"), [(0, []), (1, [1]), (2, [1, 0]), (9, [1, 0, 2])])
def test_as_many_as_wanted_or_as_there_are(count, expected):
    assert farthest_first(on_a_line(0, 5, 4), [1, 0], count) == expected


def test_any_first_few_lie_as_far_apart_as_the_last_of_them_lies_from_the_rest():
    """What makes it an epsilon-net: the smallest distance among those taken is that of the last one taken."""
    points_NK = np.random.default_rng(0).random((60, 3))
    order = farthest_first(points_NK, [7], 60)
    assert sorted(order) == list(range(60))
    for count in (2, 5, 20):
        taken, rest = points_NK[order[:count]], points_NK[order[count:]]
        apart = np.linalg.norm(taken[:, None] - taken[None], axis=2)[~np.eye(count, dtype=bool)].min()
        assert np.linalg.norm(rest[:, None] - taken[None], axis=2).min(axis=1).max() <= apart


def test_the_middle_is_that_of_the_range_not_of_the_points():
    assert middle(on_a_line(0, 1, 2, 6, 10)) == 3
    assert middle(on_a_line(4, 6, 0, 10)) == 0
    assert middle(np.zeros((3, 2))) == 0
