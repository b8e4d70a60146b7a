import itertools
import math

import pytest

from pruning.widths import kept_count
from spaces.grid import on_grid, ratios_of


@pytest.mark.parametrize("round_to", [1, 4, 8, 16])
def test_a_ratio_on_the_grid_comes_to_its_own_width_again_at_every_width(round_to):
    for width in range(1, 2049):
        for removed in {0, 1 % width, width // 3, width // 2, width - width // 10 - 1, width - 1}:
            ratio = removed / width
            aligned = on_grid(width, ratio, round_to)
            kept = kept_count(width, ratio, round_to)
            assert aligned == (width - kept) / width
            assert kept_count(width, aligned, round_to) == kept
            assert on_grid(width, aligned, round_to) == aligned


@pytest.mark.parametrize("round_to", [1, 4, 8, 16])
def test_no_ratio_on_the_grid_is_above_the_highest_that_is_allowed(round_to):
    for width in range(1, 300):
        for highest in (0.0, 0.3, 0.5, 0.95):
            aligned = on_grid(width, 0.99, round_to, highest)
            assert aligned <= highest
            assert on_grid(width, aligned, round_to, highest) == aligned


@pytest.mark.parametrize(("width", "round_to"), [(64, 8), (60, 8), (6, 8), (2048, 8), (24, 16), (7, 1)])
def test_the_ratios_of_a_width_are_those_that_come_to_it(width, round_to):
    widths = {kept_count(width, removed / width, round_to) for removed in range(width)}
    ends = sorted(ratios_of(width, kept, round_to) for kept in widths)
    assert ends[0][0] == 0.0
    assert ends[-1][1] == 1.0
    assert all(one[1] == other[0] for one, other in itertools.pairwise(ends))
    for kept in widths:
        low, high = ratios_of(width, kept, round_to)
        assert kept_count(width, low, round_to) == kept
        assert kept_count(width, math.nextafter(high, 0) - 1e-6, round_to) == kept


def test_a_width_of_64_in_steps_of_8_keeps_48_from_a_fifth_to_a_third():
    # 64 − 13 = 51, the first that is nearer to 48 than to 56; 64 − 21 = 43, the first nearer to 40
    assert ratios_of(64, 48, 8) == (13 / 64, 21 / 64)
