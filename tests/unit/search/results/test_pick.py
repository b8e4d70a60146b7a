import pytest

from pruning.schedule import Schedule
from search.results.pick import Limit, NothingFitsError, describe, pick
from tracking.front import build_front
from tracking.record import TrialRecord

SCHEDULE = Schedule(method="l1", ratios={"a": 0.5}, epochs=1, learning_rate=0.1)


def front(*trials: tuple[float, float, float]):
    """A front over trials of (map, speedup, size in MB), dense at mAP 0.7."""
    records = [
        TrialRecord(
            number=number,
            status="finished",
            schedule=SCHEDULE,
            metrics={"map": score, "speedup": speedup, "size_bytes": size * 1e6},
        )
        for number, (score, speedup, size) in enumerate(trials)
    ]
    return build_front("s", records, {"map": 0.7}, provenance={})


FRONT = front((0.70, 1.0, 4.0), (0.68, 2.0, 2.0), (0.66, 2.5, 1.5), (0.50, 4.0, 0.5))
MAP = Limit("--min-map", "map", 0.66)


def test_with_a_floor_under_map_the_fastest_is_chosen():
    choice = pick(FRONT, [MAP])
    assert (choice.point.number, choice.runner_up.number) == (2, 1)
    assert choice.why == "the fastest of 3 trials with mAP ≥ 66.0%"


def test_where_a_sweep_was_after_size_the_smallest_is_chosen():
    sizes = [(0.70, 1.0, 1.0), (0.68, 1.0, 8.0), (0.66, 1.0, 4.0)]
    records = [
        TrialRecord(
            number=number,
            status="finished",
            schedule=SCHEDULE,
            metrics={"map": score, "speedup": speedup, "compression": compression},
        )
        for number, (score, speedup, compression) in enumerate(sizes)
    ]
    after_size = build_front("s", records, {"map": 0.7, "compression": 1.0}, objectives=("map", "compression"))
    choice = pick(after_size, [MAP])
    assert (choice.point.number, choice.runner_up.number) == (1, 2)
    assert choice.why == "the smallest of 3 trials with mAP ≥ 66.0%"


def test_of_costs_where_less_is_better_the_least_is_chosen():
    figures = [(0.90, 3e9), (0.85, 1e9), (0.86, 2e9)]
    records = [
        TrialRecord(
            number=number,
            status="finished",
            schedule=SCHEDULE,
            metrics={"map": 0.7, "speedup": 1.0, "recall_at_1": recall, "macs": macs},
        )
        for number, (recall, macs) in enumerate(figures)
    ]
    objectives = ("recall_at_1", "macs")
    after_macs = build_front("s", records, {"map": 0.7, "macs": 4e9}, objectives=objectives, provenance={})
    choice = pick(after_macs, [MAP])
    assert (choice.point.number, choice.runner_up.number) == (1, 2)
    assert choice.why == "the lightest of 3 trials with mAP ≥ 66.0%"
    assert "R@1 85.0%, test R@1 –, GMACs 1.00, speedup ×1.00" in describe(choice.point, objectives)
    assert "most accurate" in pick(after_macs, [Limit("--min-speedup", "speedup", 0.5)]).why


def test_with_a_floor_under_speed_the_most_accurate_is_chosen():
    choice = pick(FRONT, [Limit("--min-speedup", "speedup", 2.2)])
    assert (choice.point.number, choice.runner_up.number) == (2, 3)
    assert "most accurate" in choice.why


def test_a_ceiling_on_size_keeps_larger_ones_out():
    choice = pick(FRONT, [Limit("--max-size-mb", "size_bytes", 1e6, 1e6)])
    assert choice.point.number == 3
    assert choice.runner_up is None


def test_without_limits_map_may_fall_by_five_points():
    assert pick(FRONT, []).point.number == 2


def test_when_nothing_fits_the_limit_that_has_to_move_least_is_named():
    with pytest.raises(NothingFitsError, match=r"loosen --min-speedup to 2\.5 and trial 2 fits"):
        pick(FRONT, [MAP, Limit("--min-speedup", "speedup", 2.6)])
    with pytest.raises(NothingFitsError, match=r"loosen --min-map to 0\.66 and trial 2 fits"):
        pick(FRONT, [Limit("--min-map", "map", 0.67), Limit("--min-speedup", "speedup", 2.5)])
    with pytest.raises(NothingFitsError, match=r"loosen --max-size-mb to 0\.5 and trial 3 fits"):
        pick(FRONT, [Limit("--max-size-mb", "size_bytes", 0.4e6, 1e6)])


def test_the_advice_holds_when_it_is_followed():
    found = front((0.65436, 1.23456, 2.34567))
    for option, metric, value, unit in (
        ("--min-map", "map", 0.9, 1.0),
        ("--min-speedup", "speedup", 3.0, 1.0),
        ("--max-size-mb", "size_bytes", 1e6, 1e6),
    ):
        with pytest.raises(NothingFitsError) as caught:
            pick(found, [Limit(option, metric, value, unit)])
        loosened = float(str(caught.value).split(" to ")[1].split()[0])
        assert pick(found, [Limit(option, metric, loosened * unit, unit)]).point.number == 0


def test_a_limit_that_is_no_number_is_refused():
    with pytest.raises(ValueError, match="--min-map is nan"):
        Limit("--min-map", "map", float("nan"))


def test_a_sweep_without_finished_trials_has_nothing_to_pick():
    with pytest.raises(ValueError, match="no finished trial"):
        pick(front(), [])
