import math
import time
from itertools import product

import numpy as np
import pytest

from retrieval.evaluation.significance import compare, map_interval, sign_flip_p_value


def test_the_interval_is_about_two_standard_errors_each_way():
    aps = np.random.default_rng(0).uniform(size=400)
    low, high = map_interval(aps)
    error = aps.std() / math.sqrt(aps.size)
    assert low == pytest.approx(aps.mean() - 1.96 * error, abs=0.3 * error)
    assert high == pytest.approx(aps.mean() + 1.96 * error, abs=0.3 * error)


def test_queries_without_positives_do_not_matter():
    aps = np.random.default_rng(0).uniform(size=50)
    assert map_interval(np.append(aps, np.nan)) == map_interval(aps)


def test_no_queries_give_no_interval():
    assert all(math.isnan(end) for end in map_interval(np.array([np.nan])))


def test_a_small_gain_on_every_query_is_certain_though_the_two_intervals_overlap():
    first = np.random.default_rng(1).uniform(0.1, 0.9, size=60)
    second = first + np.random.default_rng(2).uniform(0.005, 0.015, size=60)
    assert map_interval(first)[1] > map_interval(second)[0]
    found = compare(first, second)
    assert 0.005 < found.low < found.gain < found.high < 0.015
    assert found.p_value == 1 / 1001


def test_two_alike_systems_are_not_told_apart():
    rng = np.random.default_rng(3)
    first = rng.uniform(size=80)
    found = compare(first, first + rng.normal(0, 0.05, size=80))
    assert found.low < 0 < found.high
    assert found.p_value > 0.05


def test_equal_systems_have_a_p_value_of_one():
    aps = np.random.default_rng(4).uniform(size=30)
    found = compare(aps, aps)
    assert (found.gain, found.low, found.high, found.p_value) == (0.0, 0.0, 0.0, 1.0)


def test_swapping_the_systems_turns_the_gain_and_keeps_the_p_value():
    rng = np.random.default_rng(5)
    first, second = rng.uniform(size=40), rng.uniform(size=40)
    forth, back = compare(first, second), compare(second, first)
    assert forth.gain == -back.gain
    assert forth.p_value == back.p_value
    assert (forth.low, forth.high) == pytest.approx((-back.high, -back.low), abs=0.01)


def test_the_p_value_is_near_that_of_all_sign_assignments():
    differences = np.array([0.3, 0.1, -0.05, 0.2, 0.15, -0.1, 0.25, 0.05])
    totals = [abs(np.dot(signs, differences)) for signs in product((1, -1), repeat=8)]
    exact = np.mean(np.array(totals) >= abs(differences.sum()) - 1e-12)
    assert exact == 22 / 256  # eleven sets of signs to turn sum to 0 or less, and their opposites
    assert sign_flip_p_value(differences, resamples=100_000) == pytest.approx(exact, abs=0.003)


def test_the_p_value_of_one_difference_is_one():
    assert sign_flip_p_value(np.array([0.1])) == 1.0


def test_a_query_that_either_system_could_not_be_scored_on_is_left_out():
    rng = np.random.default_rng(6)
    first, second = rng.uniform(size=20), rng.uniform(size=20)
    found = compare(np.append(first, [np.nan, 0.5]), np.append(second, [0.5, np.nan]))
    assert found == compare(first, second)
    assert found.queries == 20


def test_without_a_common_query_all_is_nan():
    found = compare(np.array([np.nan, 0.1]), np.array([0.2, np.nan]))
    assert found.queries == 0
    assert all(math.isnan(value) for value in (found.gain, found.low, found.high, found.p_value))


def test_systems_scored_on_other_queries_are_refused():
    with pytest.raises(ValueError, match=r"\(3,\) and \(4,\)"):
        compare(np.zeros(3), np.zeros(4))


def test_a_thousand_resamples_of_five_hundred_queries_take_little_time():
    aps = np.random.default_rng(0).uniform(size=500)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        map_interval(aps)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.05


def test_lists_do_as_well_as_arrays():
    first, second = [0.1, 0.4, 0.2, 0.9], [0.2, 0.5, 0.4, 0.8]
    assert map_interval(first) == map_interval(np.array(first))
    assert compare(first, second) == compare(np.array(first), np.array(second))
