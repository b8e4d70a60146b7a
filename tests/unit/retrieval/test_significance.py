import math

import numpy as np
import pytest

from retrieval.significance import map_interval


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
