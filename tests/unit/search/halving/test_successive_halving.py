"""The halving rule on cases worked out by hand, and what is left of it when the driver dies."""

import math
import pickle
import time
from pathlib import Path

import numpy as np
import pytest

from search.halving.nondominated_ranks import NondominatedRanks
from search.halving.successive_halving import SuccessiveHalving, newest_is_among_the_best


def rungs(
    folder: Path, epochs: int = 9, grace: int = 1, reduction: int = 3, brackets: int = 1, signs=(1, 1)
) -> SuccessiveHalving:
    path = folder / "rungs.jsonl"
    return SuccessiveHalving(path, epochs=epochs, grace=grace, reduction=reduction, brackets=brackets, signs=signs)


def answers(asked: SuccessiveHalving, *values: tuple[float, ...], epoch: int = 1) -> list[bool]:
    """What trials 0, 1, 2 … with these values are told, one after the other."""
    return [asked.decide(number, epoch, reported) for number, reported in enumerate(values)]


@pytest.mark.parametrize(
    ("epochs", "grace", "reduction", "expected"),
    [
        (9, 1, 3, (1, 3)),
        (10, 1, 3, (1, 3, 9)),
        (27, 2, 3, (2, 6, 18)),
        (9, 2, 2, (2, 4, 8)),
        (2, 1, 4, (1,)),
        (1, 1, 2, ()),
    ],
)
def test_rungs_stand_below_the_last_epoch(tmp_path, epochs, grace, reduction, expected):
    assert rungs(tmp_path, epochs, grace, reduction).rungs == expected


def test_the_first_to_arrive_goes_on(tmp_path):
    assert answers(rungs(tmp_path), (0.1, 1.0)) == [True]


def test_what_is_less_accurate_and_no_faster_stops(tmp_path):
    assert answers(rungs(tmp_path), (0.8, 2.0), (0.7, 2.0), (0.7, 1.5)) == [True, False, False]


def test_the_accurate_end_is_never_stopped_for_being_slow_nor_the_fast_end_for_being_less_accurate(tmp_path):
    # Each newcomer is slower and better than all before, or faster and worse: an end of the front every time.
    slower = [(0.80, 2.0), (0.82, 1.8), (0.84, 1.5), (0.86, 1.2), (0.88, 1.0)]
    faster = [(0.60, 2.5), (0.40, 3.0), (0.20, 4.0), (0.05, 6.0)]
    assert answers(rungs(tmp_path), *slower, *faster) == [True] * 9


def test_of_a_crowded_front_those_that_spread_it_go_on(tmp_path):
    # All on one front, at logarithms of the cost 0, 1.39, 1.25, .69. Third: two places (2/3 of three), for the ends.
    # Fourth: three places (2/3 of four); after the ends it is .69 from both, trial 2 only .13 from the fast one.
    # Fifth: four places; beside the fourth, trial 2 is .13 away and the fifth, at .64, only .05.
    front = [(0.80, 1.0), (0.40, 4.0), (0.45, 3.5), (0.60, 2.0), (0.62, 1.9)]
    assert answers(rungs(tmp_path), *front) == [True, True, False, True, False]


def test_a_rung_keeps_one_in_reduction_when_the_rest_is_dominated(tmp_path):
    # All equally fast, so the front is the one best.
    qualities = [0.50, 0.40, 0.30, 0.45, 0.35, 0.20, 0.48, 0.10, 0.49]
    asked = rungs(tmp_path)
    assert answers(asked, *((quality, 2.0) for quality in qualities)) == [
        True,  # the first
        False,  # 2 of 2, one place
        False,  # 3 of 3, one place
        False,  # 2 of 4, one place
        False,
        False,
        True,  # 2 of 7, two places
        False,
        True,  # 2 of 9, three places
    ]


def test_equal_cost_is_judged_by_quality_but_another_cost_is_not(tmp_path):
    asked = rungs(tmp_path)
    assert answers(asked, (0.8, 2.0), (0.5, 2.0), (0.5, 2.1)) == [True, False, True]


def test_a_cost_that_is_better_low_counts_the_other_way(tmp_path):
    # size_bytes: trial 1 is smaller and worse, trial 2 larger and worse.
    assert answers(rungs(tmp_path, signs=(1, -1)), (0.8, 4e6), (0.7, 2e6), (0.7, 5e6)) == [True, True, False]


def test_three_objectives_have_three_ends(tmp_path):
    reports = [(0.8, 2.0, 2.0), (0.5, 4.0, 1.0), (0.5, 1.0, 4.0), (0.4, 1.9, 1.9)]
    assert answers(rungs(tmp_path, signs=(1, 1, 1)), *reports) == [True, True, True, False]


@pytest.mark.parametrize("quality", [math.nan, math.inf, -math.inf])
def test_a_quality_that_is_no_finite_number_stops_and_is_compared_with_nobody(tmp_path, quality):
    asked = rungs(tmp_path)
    assert answers(asked, (quality, 9.0), (0.1, 1.0)) == [False, True]
    assert rungs(tmp_path).stopped(0)


def test_between_the_rungs_everybody_goes_on(tmp_path):
    asked = rungs(tmp_path)
    assert answers(asked, (0.8, 2.0), (0.1, 1.0)) == [True, False]
    assert asked.decide(0, 2, (0.0, 2.0))
    assert asked.decide(2, 9, (0.8, 2.0))


def test_a_stopped_trial_stays_stopped_at_any_epoch(tmp_path):
    asked = rungs(tmp_path)
    answers(asked, (0.8, 2.0), (0.1, 1.0))
    assert asked.stopped(1)
    assert not asked.stopped(0)
    assert not asked.decide(1, 2, (0.99, 9.0))


def test_a_rung_passed_while_nobody_listened_is_answered_at_the_next_report(tmp_path):
    asked = rungs(tmp_path)
    assert asked.decide(0, 3, (0.8, 2.0))
    assert not asked.decide(1, 4, (0.7, 1.0))
    assert asked.decide(0, 4, (0.1, 2.0))


def test_the_same_question_is_answered_the_same_whatever_came_between(tmp_path):
    asked = rungs(tmp_path)
    assert asked.decide(0, 1, (0.5, 2.0))
    answers(asked, *[(0.9, 2.0 + step) for step in range(6)])
    assert asked.decide(0, 1, (0.0, 1.0))
    assert len((tmp_path / "rungs.jsonl").read_text().splitlines()) == 6


def test_another_driver_decides_as_the_killed_one_would_have(tmp_path):
    generator = np.random.default_rng(0)
    reports = [(float(quality), float(cost)) for quality, cost in generator.uniform(1, 5, (40, 2))]
    (tmp_path / "one").mkdir()
    (tmp_path / "many").mkdir()
    without = answers(rungs(tmp_path / "one"), *reports)
    killed = [rungs(tmp_path / "many").decide(number, 1, values) for number, values in enumerate(reports)]
    assert killed == without
    assert [rungs(tmp_path / "many").stopped(number) for number in range(40)] == [not go_on for go_on in without]
    assert 10 < sum(without) < 30


def test_a_torn_last_line_is_cut_off_and_decided_afresh(tmp_path):
    answers(rungs(tmp_path), (0.8, 2.0), (0.1, 1.0))
    path = tmp_path / "rungs.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole[:-9])
    again = rungs(tmp_path)
    assert not again.stopped(1)
    assert not again.decide(1, 1, (0.1, 1.0))
    assert path.read_bytes() == whole


def test_a_damaged_line_is_named(tmp_path):
    answers(rungs(tmp_path), (0.8, 2.0), (0.1, 1.0))
    path = tmp_path / "rungs.jsonl"
    path.write_text(path.read_text().replace('"number":1', '"numbers":1'))
    with pytest.raises(ValueError, match=r"rungs\.jsonl, line 2 is no decision"):
        rungs(tmp_path).stopped(0)


def test_a_decision_that_cannot_be_saved_is_not_made(tmp_path):
    asked = rungs(tmp_path)
    assert asked.decide(0, 1, (0.5, 2.0))
    path = tmp_path / "rungs.jsonl"
    saved = path.read_bytes()
    path.unlink()
    path.mkdir()
    with pytest.raises(IsADirectoryError):
        asked.decide(1, 1, (0.9, 3.0))
    path.rmdir()
    path.write_bytes(saved)
    # Had trial 1 been remembered, trial 2 would be dominated.
    assert asked.decide(2, 1, (0.8, 2.5))


def test_rungs_travel_and_read_the_file_where_they_arrive(tmp_path):
    asked = rungs(tmp_path)
    answers(asked, (0.8, 2.0), (0.1, 1.0))
    assert pickle.loads(pickle.dumps(asked)).stopped(1)


def test_brackets_share_the_trials_as_hyperband_does(tmp_path):
    # Rungs at 1, 3: bracket 0 halves twice, 3² / 3 = 3 shares; bracket 1 once, 3 / 2 = 1.5 shares.
    asked = rungs(tmp_path, brackets=2)
    dealt = [asked.bracket(number) for number in range(90)]
    assert dealt.count(0) == pytest.approx(60, abs=1)
    assert dealt == [rungs(tmp_path, brackets=2).bracket(number) for number in range(90)]


def test_a_later_bracket_is_judged_later_and_against_all(tmp_path):
    asked = rungs(tmp_path, brackets=2)
    late = next(number for number in range(9) if asked.bracket(number) == 1)
    early = next(number for number in range(9) if asked.bracket(number) == 0)
    assert asked.decide(early, 1, (0.8, 2.0))
    assert asked.decide(late, 1, (0.1, 1.0))
    assert asked.decide(early, 3, (0.8, 2.0))
    assert not asked.decide(late, 3, (0.1, 1.0))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"grace": 0}, "grace 0, reduction 3: at least 1 and 2"),
        ({"reduction": 1}, "grace 1, reduction 1"),
        ({"brackets": 3}, r"brackets 3: .* rungs at \[1, 3\]; 1 to 2 is right"),
        ({"brackets": 0}, "brackets 0"),
        ({"signs": (1,)}, r"signs \[1\]"),
        ({"signs": (1, 0)}, r"signs \[1, 0\]"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path, wrong, said):
    with pytest.raises(ValueError, match=said):
        rungs(tmp_path, **wrong)


@pytest.mark.parametrize("values", [(0.8,), (0.8, 2.0, 2.0), (0.8, 0.0), (0.8, -1.0), (0.8, math.nan)])
def test_values_that_are_no_quality_and_costs_are_refused(tmp_path, values):
    with pytest.raises(ValueError, match="right"):
        rungs(tmp_path).decide(0, 1, values)


def test_a_decision_among_two_thousand_takes_milliseconds():
    generator = np.random.default_rng(0)
    fronts = NondominatedRanks(2)
    # As a search leaves them: along a front, with noise.
    costs_N = generator.uniform(0, 2, 2000)
    qualities_N = 0.9 - 0.1 * np.exp(costs_N) + generator.normal(0, 0.01, 2000)
    points_N2 = np.stack([qualities_N, costs_N], axis=1)
    for point_2 in points_N2[:1900]:
        fronts.add(point_2)
    began = time.process_time()
    for point_2 in points_N2[1900:]:
        fronts.add(point_2)
        newest_is_among_the_best(fronts, reduction=3)
    assert (time.process_time() - began) / 100 < 0.005


def test_decisions_from_before_there_were_versions_stand_and_newer_ones_are_refused(tmp_path):
    answers(rungs(tmp_path), (0.8, 2.0), (0.1, 1.0))
    path = tmp_path / "rungs.jsonl"
    versioned = path.read_text()
    path.write_text(versioned.replace(',"format_version":1', ""))
    assert "format_version" not in path.read_text()
    assert rungs(tmp_path).stopped(1)
    path.write_text(versioned.replace('"format_version":1', '"format_version":2'))
    with pytest.raises(ValueError, match=r"rungs\.jsonl, line 1 is a decision of format version 2"):
        rungs(tmp_path).stopped(1)
