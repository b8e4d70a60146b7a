"""Readings of a sensitivity map against numbers worked out by hand."""

import math

import pytest
from pydantic import ValidationError

from tracking.sensitivity import (
    CutPoint,
    GroupSensitivity,
    SensitivityMap,
    SensitivitySettings,
    read_sensitivity,
)

WIDTH = 64  # so that 0.25, 0.5 and 0.75 leave 48, 32 and 16


def group(name: str, qualities: dict[int, float], saved_a_channel: int = 1) -> GroupSensitivity:
    """A group of 64 channels: kept channels → quality; each channel that goes saves as many multiply-adds."""
    points = [
        CutPoint(kept=kept, quality=quality, macs_saved=saved_a_channel * (WIDTH - kept))
        for kept, quality in qualities.items()
    ]
    return GroupSensitivity(group=name, width=WIDTH, points=tuple(points))


def make_map(*groups: GroupSensitivity, **changes) -> SensitivityMap:
    fields = {
        "network": "tiny",
        "method": "l1",
        "quality": "map",
        "dense": 0.8,
        "dense_macs": 1000,
        "ratios": (0.25, 0.5, 0.75),
        "round_to": 8,
        "groups": groups,
    }
    return SensitivityMap(**{**fields, **changes})


def test_what_seems_to_be_gained_by_removing_more_is_not_believed():
    lucky = group("a", {48: 0.82, 32: 0.7, 16: 0.75})
    assert lucky.monotone(0.8) == (0.8, 0.7, 0.7)
    assert make_map(lucky).monotone() == {"a": (0.8, 0.7, 0.7)}


def test_the_raw_values_stay_as_they_were_measured():
    lucky = make_map(group("a", {48: 0.82, 32: 0.7, 16: 0.75}))
    assert [point.quality for point in lucky.groups[0].points] == [0.82, 0.7, 0.75]


def test_a_network_that_gives_no_quality_counts_as_finding_nothing_from_there_on():
    assert group("a", {48: 0.7, 32: math.nan, 16: 0.6}).monotone(0.8) == (0.7, 0.0, 0.0)


def test_ranks_order_groups_by_operations_saved_for_the_quality_lost():
    # Saved 16 + 32 + 48 = 96 each, twice that by c. Lost: a .125 + .25 + .375 = .75, b .25 + .5 + .75 = 1.5, c 1.5.
    # Gains: a 128, b 64, c 128: a and c share places 1 and 2 of 0..2, so 1.5 / 2 − .5 = .25.
    found = make_map(
        group("a", {48: 0.625, 32: 0.5, 16: 0.375}),
        group("b", {48: 0.5, 32: 0.25, 16: 0.0}),
        group("c", {48: 0.5, 32: 0.25, 16: 0.0}, saved_a_channel=2),
        dense=0.75,
    ).ranks()
    assert found == {"a": 0.25, "b": -0.5, "c": 0.25}


def test_groups_without_a_loss_share_the_top_and_one_that_saves_nothing_is_last():
    found = make_map(
        group("lossless", {32: 0.8}),
        group("gains", {32: 0.9}),
        group("costly", {32: 0.1}),
        group("useless", {32: 0.8}, saved_a_channel=0),
    ).ranks()
    # Places 0 useless, 1 costly, 2 and 3 shared: 2.5 / 3 − .5 = 1/3.
    assert found == pytest.approx({"lossless": 1 / 3, "gains": 1 / 3, "costly": 1 / 3 - 0.5, "useless": -0.5})


def test_a_group_too_narrow_to_be_cut_ranks_in_the_middle_and_moves_no_other():
    narrow = GroupSensitivity(group="narrow", width=8, points=())
    found = make_map(group("a", {32: 0.7}), narrow, group("b", {32: 0.2})).ranks()
    assert found == {"a": 0.5, "narrow": 0.0, "b": -0.5}


def test_the_only_group_ranks_in_the_middle():
    assert make_map(group("a", {32: 0.7})).ranks() == {"a": 0.0}


def test_bounds_lie_where_the_curve_passes_the_share_to_be_kept():
    # Half of .8 is .4: between .6 at .5 and .2 at .75 that is half way, .625.
    found = make_map(group("a", {48: 0.7, 32: 0.6, 16: 0.2})).highest(0.5)
    assert found == pytest.approx({"a": 0.625})


def test_a_bound_is_never_below_the_smallest_ratio_measured():
    assert make_map(group("a", {48: 0.1, 32: 0.6})).highest(0.5) == {"a": 0.25}


def test_a_group_that_keeps_enough_everywhere_and_one_without_points_have_no_bound():
    narrow = GroupSensitivity(group="narrow", width=8, points=())
    assert make_map(group("a", {48: 0.7, 16: 0.4}), narrow).highest(0.5) == {}


def test_to_keep_everything_a_group_may_go_as_far_as_it_loses_nothing():
    assert make_map(group("a", {48: 0.8, 32: 0.6})).highest(1.0) == {"a": 0.25}


def test_a_share_to_be_kept_above_one_is_refused():
    with pytest.raises(ValueError, match=r"keep is 1\.5: .* in \[0, 1\]"):
        make_map(group("a", {32: 0.7})).highest(1.5)


def macs_of_two_layers(ratios) -> float:
    """1000 · (1 − a) · (1 − b): b's savings shrink as a is cut."""
    return 1000 * (1 - ratios["a"]) * (1 - ratios["b"])


def test_greedy_takes_the_step_that_loses_least_for_what_it_saves():
    two = make_map(group("a", {48: 0.78, 32: 0.74}), group("b", {48: 0.75, 32: 0.68}))
    # From 1000. a .25: 250 for .02 = 12500; a .5: 500 for .06 = 8333; b .25: 250 for .05 = 5000; b .5: 500 for .12.
    # → a .25, 750 left (÷1.33). a .5: 250 for .04 = 6250; b .25: 187.5 for .05 = 3750; b .5: 375 for .12 = 3125.
    # → a .5, 500 left (÷2). b .25: 125 for .05 = 2500; b .5: 250 for .12 = 2083.
    # → b .25, 375 left (÷2.67), then b .5, 250 left (÷4).
    assert two.greedy(macs_of_two_layers, [4, 1.3, 2]) == [
        {"a": 0.25, "b": 0.0},
        {"a": 0.5, "b": 0.0},
        {"a": 0.5, "b": 0.5},
    ]


def test_greedy_looks_beyond_a_steep_step_to_a_flat_one():
    # a .25: 250 for .06 = 4167; b .25: 250 for .1 = 2500, but b .5: 500 for the same .1 = 5000.
    steep = make_map(group("a", {48: 0.74}), group("b", {48: 0.7, 32: 0.7}))
    assert steep.greedy(macs_of_two_layers, [1.5]) == [{"a": 0.0, "b": 0.5}]


def test_greedy_begins_with_what_costs_nothing():
    free = make_map(group("a", {48: 0.79}), group("b", {48: 0.8, 32: 0.81}))
    assert free.greedy(macs_of_two_layers, [1.2]) == [{"a": 0.0, "b": 0.5}]


def test_greedy_leaves_out_what_cannot_be_reached_and_what_was_reached_before():
    small = make_map(group("a", {32: 0.7}), group("b", {48: 0.75}))
    # a .5 passes 1.5 and 2 at once; then b .25, ÷2.67; nothing is left for 3 and 4.
    assert small.greedy(macs_of_two_layers, [1.5, 2, 2.5, 3, 4]) == [{"a": 0.5, "b": 0.0}, {"a": 0.5, "b": 0.25}]


def test_a_step_that_saves_nothing_is_never_taken():
    assert make_map(group("a", {32: 0.8})).greedy(lambda ratios: 1000.0, [1.5]) == []


def test_a_ratio_finds_the_point_of_the_width_that_it_came_to():
    narrow = GroupSensitivity(group="a", width=16, points=(CutPoint(kept=8, quality=0.5, macs_saved=9),))
    assert [narrow.point_at(ratio, 8) for ratio in (0.25, 0.5, 0.75)] == [None, narrow.points[0], narrow.points[0]]


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "sensitivity.json").write_text('{"network": "tiny"}')
    with pytest.raises(ValueError, match=r"sensitivity\.json is not a sensitivity map: method: Field required"):
        read_sensitivity(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"quality": "speedup"}, "'speedup' is no quality"),
        ({"ratios": (0.5, 0.25)}, "ascending order"),
        ({"groups": ()}, "at least 1 item"),
        ({"dense": math.nan}, "finite number"),
        ({"groups": (group("a", {32: 0.5}), group("a", {32: 0.6}))}, r"groups \['a'\] occur more than once"),
    ],
)
def test_an_impossible_map_is_refused(changes, message):
    with pytest.raises(ValidationError, match=message):
        make_map(**{"groups": (group("b", {32: 0.5}),), **changes})


def test_points_that_do_not_get_narrower_are_refused():
    with pytest.raises(ValidationError, match=r"\[64, 48, 48\]"):
        GroupSensitivity(
            group="a", width=64, points=tuple(CutPoint(kept=48, quality=q, macs_saved=1) for q in (0.5, 0.6))
        )


@pytest.mark.parametrize("changes", [{"ratios": []}, {"ratios": [0.5, 0.25]}, {"keep": 1.1}, {"targets": [1.0]}])
def test_settings_out_of_range_are_refused(changes):
    with pytest.raises(ValidationError, match=next(iter(changes))):
        SensitivitySettings(**changes)
