"""The parts of a sweep, built once: what is final before anything trains, and what a measurement changes."""

from pathlib import Path

import pytest

from pruning.schedule import Schedule
from search.build import build_problem, build_searcher, lines_without_a_map, measured_problem, measures_a_map
from search.config import SweepConfig, load_config
from search.context import SweepContext
from tracking.sensitivity import CutPoint, GroupSensitivity, SensitivityMap
from trainables.baseline import Baseline
from trainables.pruned_shape import cost_model


@pytest.fixture
def config(tiny_sweep: Path) -> SweepConfig:
    return load_config(tiny_sweep)


def changed(tiny_sweep: Path, *replaced: tuple[str, str]) -> SweepConfig:
    text = tiny_sweep.read_text()
    for old, new in replaced:
        text = text.replace(old, new)
    tiny_sweep.write_text(text)
    return load_config(tiny_sweep)


def map_of(space) -> SensitivityMap:
    """Of every free group: half of its channels cost the more mAP the later it comes."""
    groups = [
        GroupSensitivity(
            group=group.id,
            width=group.width,
            points=(CutPoint(kept=group.width // 2, quality=0.5 / (1 + index), macs_saved=1000),),
        )
        for index, group in enumerate(space.free_groups)
    ]
    return SensitivityMap(
        network="mini_resnet",
        method="l1",
        quality="map",
        dense=0.5,
        dense_macs=10**7,
        ratios=(0.5,),
        round_to=8,
        groups=tuple(groups),
    )


def test_costs_are_those_of_the_trained_network_before_it_is_trained(config, tiny_baseline: Baseline):
    problem = build_problem(config)
    trained = cost_model(tiny_baseline, problem.space.groups)
    for ratio in (0.0, 0.5, 0.75):
        ratios = {group.id: ratio for group in problem.space.free_groups}
        schedule = Schedule(method="l1", ratios=ratios, epochs=1, learning_rate=0.1)
        assert problem.costs.metrics(schedule) == trained.metrics(schedule)


def test_a_trained_network_alone_changes_nothing(config, tiny_baseline: Baseline):
    problem = build_problem(config)
    assert measured_problem(config, problem, tiny_baseline, None) is problem


def test_a_map_gives_the_space_a_tilt_and_bounds_and_leaves_the_costs(config):
    problem = build_problem(config)
    measured = measured_problem(config, problem, None, map_of(problem.space))
    assert set(measured.space.sensitivity) == {group.id for group in problem.space.free_groups}
    assert measured.space.highest
    assert measured.costs is problem.costs


def test_a_global_allocation_ranks_the_trained_filters_once_they_are_there(tiny_sweep, tiny_baseline: Baseline):
    config = changed(tiny_sweep, ('preset = "filters"', 'preset = "filters"\nallocation = "global"'))
    problem = build_problem(config)
    measured = measured_problem(config, problem, tiny_baseline, None)
    assert problem.space.ranking.keys() == measured.space.ranking.keys()
    assert problem.space.ranking != measured.space.ranking


def test_limits_that_the_maps_bounds_put_out_of_reach_are_refused(tiny_sweep):
    config = changed(
        tiny_sweep, ("[sensitivity]", "[sensitivity]\nkeep = 1.0"), ("[search]", "[limits]\nmax_macs = 4e6\n\n[search]")
    )
    problem = build_problem(config)
    with pytest.raises(ValueError, match="exclude every network"):
        measured_problem(config, problem, None, map_of(problem.space))


def test_the_searcher_tries_the_former_front_and_the_maps_points(config, tmp_path):
    problem = build_problem(config)
    sensitivity = map_of(problem.space)
    measured = measured_problem(config, problem, None, sensitivity)
    warm = measured.space.point({"method": "l1", "level": 0.65})
    searcher = build_searcher(SweepContext(config, tmp_path, measured, 4, sensitivity, (warm,)))
    assert len([searcher.suggest(name) for name in "abcd"]) == 4
    assert measures_a_map(config, problem.space) is False
    assert lines_without_a_map(config, problem.space) == []
