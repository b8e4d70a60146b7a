import numpy as np
import pytest

from tracking.pareto import hypervolume, pareto_front


def _slow_front(points: np.ndarray) -> list[bool]:
    """The definition, pair by pair."""
    marks = []
    for i, point in enumerate(points):
        alive = not np.isnan(point).any()
        for j, other in enumerate(points):
            if np.isnan(other).any():
                continue
            dominates = all(other >= point) and any(other > point)
            repeats = all(other == point) and j < i
            alive = alive and not dominates and not repeats
        marks.append(alive)
    return marks


@pytest.mark.parametrize("objectives", [1, 2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_front_is_the_definition_pair_by_pair(seed, objectives):
    rng = np.random.default_rng(seed)
    points_NM = rng.integers(0, 5, (40, objectives)).astype(float)  # few values: many ties and duplicates
    points_NM[rng.random(points_NM.shape) < 0.05] = np.nan
    assert pareto_front(points_NM).tolist() == _slow_front(points_NM)


def test_of_equal_points_the_first_is_kept():
    assert pareto_front(np.array([[0, 0], [1, 2], [1, 2], [2, 1]])).tolist() == [False, True, False, True]


def test_a_point_with_nan_neither_is_on_the_front_nor_keeps_others_off():
    assert pareto_front(np.array([[np.nan, 9], [1, 1]])).tolist() == [False, True]


def test_no_points_have_no_front_and_no_volume():
    assert pareto_front(np.empty((0, 2))).tolist() == []
    assert hypervolume(np.empty((0, 2)), np.zeros(2)) == 0


def test_the_area_of_a_staircase_is_the_sum_of_its_steps():
    # Steps from the left: 1 wide 3 high, 1 wide 2 high, 2 wide 1 high.
    points = np.array([[1, 3], [2, 2], [4, 1]])
    assert hypervolume(points, np.zeros(2)) == 3 + 2 + 2


def test_the_reference_moves_the_corner():
    assert hypervolume(np.array([[3.0, 0.5], [2.0, 0.8]]), np.array([1.0, 0.0])) == pytest.approx(0.8 + 0.5)


def test_the_volume_of_two_boxes_counts_what_they_share_once():
    # 2·2·1 and 1·1·3 share 1·1·1.
    assert hypervolume(np.array([[2, 2, 1], [1, 1, 3]]), np.zeros(3)) == 4 + 3 - 1


def test_points_not_above_the_reference_add_nothing():
    points = np.array([[1, 1], [5, 0], [-1, 7], [np.nan, 9]])
    assert hypervolume(points, np.zeros(2)) == 1


@pytest.mark.parametrize("objectives", [2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_the_hypervolume_is_the_count_of_dominated_cells(seed, objectives):
    points_NM = np.random.default_rng(seed).integers(-2, 9, (15, objectives))
    grid = np.stack(np.meshgrid(*[np.arange(9) + 0.5] * objectives), axis=-1).reshape(-1, 1, objectives)
    cells = (grid < points_NM).all(axis=-1).any(axis=-1).sum()
    # A point below zero in one objective still covers no cell, as cells start at zero.
    assert hypervolume(points_NM, np.zeros(objectives)) == cells


def test_the_volume_agrees_with_random_darts():
    rng = np.random.default_rng(0)
    points_NM = rng.random((30, 3))
    darts = rng.random((20_000, 1, 3))
    share = (darts < points_NM).all(axis=-1).any(axis=-1).mean()
    assert hypervolume(points_NM, np.zeros(3)) == pytest.approx(share, abs=0.015)


@pytest.mark.parametrize(
    ("points", "reference", "message"),
    [
        (np.zeros(3), np.zeros(3), "shape"),
        (np.zeros((2, 0)), np.zeros(0), "shape"),
        (np.zeros((2, 4)), np.zeros(4), "4 objectives"),
        (np.zeros((2, 2)), np.zeros(3), "2 finite numbers"),
        (np.zeros((2, 2)), np.array([0, np.nan]), "2 finite numbers"),
        (np.array([[1, 1], [np.inf, 1]]), np.zeros(2), "point 1"),
    ],
)
def test_what_has_no_volume_is_refused(points, reference, message):
    with pytest.raises(ValueError, match=message):
        hypervolume(points, reference)
