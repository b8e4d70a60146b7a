import numpy as np
import pytest

from search.halving.nondominated_ranks import NondominatedRanks, spread_order
from tracking.pareto import pareto_front


def peeled(points_NM: np.ndarray) -> np.ndarray:
    """The slow way: take the front off what is left, again and again."""
    fronts_N = np.full(len(points_NM), -1)
    front = 0
    while (left_N := np.flatnonzero(fronts_N < 0)).size:
        fronts_N[left_N[pareto_front(points_NM[left_N])]] = front
        front += 1
    return fronts_N


def sorted_into_fronts(points_NM: np.ndarray) -> NondominatedRanks:
    fronts = NondominatedRanks(points_NM.shape[1])
    for point_M in points_NM:
        fronts.add(point_M)
    return fronts


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_adding_one_by_one_gives_the_fronts_that_peeling_gives(objectives, seed):
    # On a grid, so that there are ties in one objective and in all.
    points_NM = np.random.default_rng(seed).integers(0, 7, (120, objectives)).astype(float)
    assert sorted_into_fronts(points_NM).ranks.tolist() == peeled(points_NM).tolist()


def test_a_newcomer_pushes_what_it_dominates_down_and_what_that_dominates_further():
    fronts = sorted_into_fronts(np.array([[2.0, 2.0], [1.0, 1.0], [0.0, 3.0]]))
    assert fronts.ranks.tolist() == [0, 1, 0]
    fronts.add(np.array([3.0, 2.5]))
    assert fronts.ranks.tolist() == [1, 2, 0, 0]


def test_of_equal_points_the_earlier_stays_in_front():
    assert sorted_into_fronts(np.array([[1.0, 1.0], [1.0, 1.0]])).ranks.tolist() == [0, 1]


def test_the_ends_come_first_then_the_middle_then_the_widest_gaps():
    # After the ends, 0 and 4, the others are 1, 2 and 3 away from the nearest: point 3. Then 1 and 2 are 1 away each:
    # the earlier.
    points_NM = np.array([[0.8, 0.0], [0.7, 1.0], [0.6, 2.0], [0.5, 3.0], [0.4, 8.0]])
    assert spread_order(points_NM, 5) == [0, 4, 3, 1, 2]


def test_no_more_are_chosen_than_wanted_or_than_there_are():
    points_NM = np.array([[0.8, 0.0], [0.7, 1.0], [0.6, 2.0]])
    assert spread_order(points_NM, 1) == [0]
    assert spread_order(points_NM, 7) == [0, 2, 1]


def test_each_of_three_objectives_has_its_end():
    points_NM = np.array([[0.5, 0.1, 0.1], [0.8, 0.0, 0.0], [0.4, 1.0, 0.0], [0.3, 0.0, 1.0]])
    assert spread_order(points_NM, 3) == [1, 2, 3]


def test_the_quality_has_no_part_in_the_distance():
    # The second is far from both ends in quality alone, the third in cost.
    points_NM = np.array([[9.0, 0.0], [5.0, 0.1], [1.0, 0.5], [0.0, 1.0]])
    assert spread_order(points_NM, 3) == [0, 3, 2]
