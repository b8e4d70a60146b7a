"""The closed-form problems are convex, seeded, and costed as a ResNet-18; early epochs tell something."""

import pickle

import numpy as np
import pytest
from optuna.samplers import RandomSampler
from optuna.study import create_study
from scipy.stats import spearmanr

from pruning.frozen_mapping import Ratios
from pruning.schedule import Schedule
from trainables.simulation.closed_form import DENSE_MAP, EPOCHS, FAMILIES, closed_form

every_family = pytest.mark.parametrize("family", FAMILIES)
# Cliffs are no convex loss, and whoever walks into the corner of a method loses less.
every_convex_family = pytest.mark.parametrize("family", [name for name in FAMILIES if name != "interactions"])


def schedule(ratios: dict[str, float], method: str = "l1", decay: float | None = None, round_to: int = 8) -> Schedule:
    return Schedule(method=method, ratios=ratios, decay=decay, epochs=EPOCHS, learning_rate=1e-3, round_to=round_to)


def uniform(problem, ratio: float, **choices) -> Schedule:
    return schedule({group.id: ratio for group in problem.groups}, **choices)


def random_schedules(problem, count: int, allocation: str) -> list[Schedule]:
    study = create_study(sampler=RandomSampler(seed=0))
    space = problem.space(allocation)
    return [space.propose(study.ask()) for _ in range(count)]


@every_family
def test_there_are_twelve_groups_in_four_stages(family):
    groups = closed_form(family, 0).groups
    assert len({group.id for group in groups}) == 12
    assert {(group.resolution, group.width) for group in groups} == {(0, 64), (1, 128), (2, 256), (3, 512)}
    assert sum(group.residual for group in groups) == 4


@every_family
def test_the_dense_network_costs_what_a_resnet18_without_its_classifier_costs(family):
    costs = closed_form(family, 0).costs(schedule({}))
    projection = 512 * 128
    assert costs["parameters"] == 11_176_512 + projection
    assert costs["macs"] == 1_813_561_344 + projection
    assert (costs["mac_ratio"], costs["compression"], costs["speedup"]) == (1, 1, pytest.approx(1))


def test_half_of_two_neighbouring_groups_saves_three_quarters_of_what_lies_between():
    problem = closed_form("smooth", 0)
    dense = problem.costs(schedule({}))["macs"]
    saved = [
        dense - problem.costs(schedule(dict.fromkeys(names, 0.5)))["macs"]
        for names in (["layer3.0.conv1"], ["layer3.0.conv2"], ["layer3.0.conv1", "layer3.0.conv2"])
    ]
    between = 9 * 256 * 256 * 14 * 14
    # Cut alone, each halves what lies between them; together they leave a quarter of it.
    assert saved[2] == saved[0] + saved[1] - between / 4


@every_family
def test_the_same_seed_is_the_same_problem_and_another_is_not(family):
    one, same, other = closed_form(family, 3), closed_form(family, 3), closed_form(family, 4)
    some = uniform(one, 0.5)
    assert one.curve(some) == same.curve(some)
    assert one.costs(some) == same.costs(some)
    # With equal ratios the hidden sensitivities, whose mean is 1, come to the same.
    unequal = schedule({group.id: place / 20 for place, group in enumerate(one.groups)})
    assert one.expected_map(unequal) != other.expected_map(unequal)
    assert one.costs(some)["speedup"] != other.costs(some)["speedup"]


@every_family
def test_a_problem_travels_to_another_process(family):
    problem = closed_form(family, 1)
    some = uniform(problem, 0.5)
    before = problem.curve(some)
    assert pickle.loads(pickle.dumps(problem)).curve(some) == before


@every_convex_family
@pytest.mark.parametrize("seed", range(3))
def test_what_is_lost_is_nothing_at_ratio_0_and_convex_along_any_line_of_ratios(family, seed):
    problem = closed_form(family, seed)
    direction = np.random.default_rng(seed).uniform(0.1, 1, len(problem.groups))
    direction *= 0.9 / direction.max()
    names = [group.id for group in problem.groups]
    lines = [dict(zip(names, map(float, share * direction), strict=True)) for share in np.linspace(0, 1, 20)]
    loads = np.array([problem.load(schedule(ratios, round_to=1)) for ratios in lines])
    assert loads[0] == 0
    assert (np.diff(loads) > 0).all()
    # Whole channels make small steps.
    assert (np.diff(loads, 2) > -2e-3).all()
    assert loads[-1] > 5 * loads[10]


@every_family
def test_the_last_epoch_scatters_around_the_expected_quality(family):
    problem = closed_form(family, 0)
    schedules = random_schedules(problem, 300, "group")
    errors = np.array([problem.curve(each)[-1].map - problem.expected_map(each) for each in schedules])
    assert abs(errors.mean()) < 0.25 * problem.noise
    assert 0.75 * problem.noise < errors.std() < 1.25 * problem.noise


@every_family
def test_a_curve_rises_over_all_epochs_and_slower_the_heavier_the_pruning(family):
    problem = closed_form(family, 0)

    def reached(ratio: float, epoch: int) -> float:
        curves = [problem.curve(uniform(problem, ratio + wiggle)) for wiggle in np.linspace(-0.05, 0.05, 20)]
        assert {tuple(point.epoch for point in curve) for curve in curves} == {tuple(range(1, EPOCHS + 1))}
        return float(np.mean([curve[epoch - 1].map / curve[-1].map for curve in curves]))

    assert reached(0.8, 1) < reached(0.8, 4) < 1
    assert reached(0.8, 1) < reached(0.2, 1) - 0.1


@every_family
@pytest.mark.parametrize("seed", range(3))
def test_early_epochs_tell_something_of_the_last_and_not_all(family, seed):
    problem = closed_form(family, seed)
    schedules = random_schedules(problem, 200, "independent")
    maps = np.array([[point.map for point in problem.curve(each)] for each in schedules])
    first, third = (spearmanr(maps[:, epoch - 1], maps[:, -1])[0] for epoch in (1, 3))
    assert 0.5 < first < 0.95
    assert first < third < 0.999


@every_family
def test_speed_has_a_floor_that_no_pruning_passes(family):
    problem = closed_form(family, 0)
    assert 10 < problem.costs(uniform(problem, 0.95))["speedup"] < 1 / 0.06


@every_family
@pytest.mark.parametrize("seed", range(3))
def test_a_measured_sensitivity_resembles_the_true_one_and_is_not_it(family, seed):
    problem = closed_form(family, seed)
    true, measured = problem.true_sensitivity().ranks(), problem.measured_sensitivity().ranks()
    assert list(true) == [group.id for group in problem.groups]
    assert 0.5 < spearmanr(list(true.values()), list(measured.values()))[0] < 1


def test_methods_and_decay_matter_to_knees_and_not_to_smooth():
    smooth, knees = closed_form("smooth", 0), closed_form("knees", 0)
    some = [
        uniform(smooth, 0.5),
        uniform(smooth, 0.5, method="fpgm"),
        uniform(smooth, 0.5, method="plfp", decay=0.1),
        uniform(smooth, 0.5, method="plfp", decay=0.6),
    ]
    assert len({smooth.load(each) for each in some}) == 1
    loads = [knees.load(each) for each in some]
    assert len(set(loads)) == 4
    assert max(loads) < 1.5 * min(loads)
    assert abs(loads[2] / loads[3] - 1) < 0.2


def cut_by_an_eighth_more(some: Schedule, group: str) -> Schedule:
    return some.model_copy(update={"ratios": Ratios({**some.ratios, group: min(some.ratios[group] + 0.125, 0.95)})})


def kept_quality(problem, schedules: list[Schedule]) -> list[Schedule]:
    """Those that have lost no more than 0.2 of the dense quality."""
    return [each for each in schedules if problem.expected_map(each) > 0.8 * DENSE_MAP]


@pytest.mark.parametrize("seed", range(3))
def test_the_noise_of_noisy_is_as_large_as_what_neighbours_differ_by_and_that_of_knees_is_not(seed):
    noisy, knees = closed_form("noisy", seed), closed_form("knees", seed)
    good = kept_quality(noisy, random_schedules(noisy, 60, "group"))
    pairs = [(each, cut_by_an_eighth_more(each, name)) for each in good for name in list(each.ratios)[::3]]
    differences = np.array([noisy.expected_map(one) - noisy.expected_map(other) for one, other in pairs])
    assert (np.abs(differences) < noisy.noise).mean() > 0.8
    assert noisy.noise > 3 * knees.noise
    # It is no noise that hides all: the whole region is ten times as wide.
    assert 10 * noisy.noise <= 0.2 * DENSE_MAP
    measured = np.array([noisy.curve(one)[-1].map > noisy.curve(other)[-1].map for one, other in pairs])
    told = (measured == (differences > 0))[differences != 0]
    assert 0.4 < told.mean() < 0.75


def test_noisy_is_knees_but_for_its_noise():
    noisy, knees = closed_form("noisy", 2), closed_form("knees", 2)
    for each in random_schedules(knees, 20, "group"):
        assert noisy.expected_map(each) == knees.expected_map(each)
        assert noisy.costs(each) == knees.costs(each)


@pytest.mark.parametrize("seed", range(4))
def test_two_groups_that_interact_lose_together_at_once_what_neither_loses_alone(seed):
    problem = closed_form("interactions", seed)
    method = next(name for name in problem.methods if name != problem.corner_method)

    def load(*names: str) -> float:
        return problem.load(schedule(dict.fromkeys(names, 0.5), method))

    assert len({name for pair in problem.pairs for name in pair}) == 12
    for one, other in problem.pairs:
        assert load(one, other) - load(one) - load(other) == pytest.approx(problem.height)
    strangers = [problem.pairs[0][0], problem.pairs[1][0]]
    assert load(*strangers) == pytest.approx(sum(load(name) for name in strangers))


@pytest.mark.parametrize("seed", range(4))
def test_a_cliff_is_sharper_than_a_step_of_the_narrowest_group(seed):
    problem = closed_form("interactions", seed)
    method = next(name for name in problem.methods if name != problem.corner_method)
    ratios = np.linspace(0, 0.6, 121)
    for pair in problem.pairs:
        loads = [problem.load(schedule(dict.fromkeys(pair, float(ratio)), method, round_to=1)) for ratio in ratios]
        alone = [
            sum(problem.load(schedule({name: float(ratio)}, method, round_to=1)) for name in pair) for ratio in ratios
        ]
        cliff = np.array(loads) - alone
        assert (cliff < 1e-9).mean() > 0.2
        between = ratios[(cliff > 1e-9) & (cliff < problem.height - 1e-9)]
        assert np.ptp(between) < 8 / 64


@pytest.mark.parametrize("seed", range(10))
def test_the_corner_method_wins_in_its_corner_alone(seed):
    problem = closed_form("interactions", seed)
    schedules = random_schedules(problem, 400, "group")
    inside = np.array([problem.in_corner(each) for each in schedules])
    assert 0.01 < inside.mean() < 0.35
    for each in schedules:
        loads = {name: problem.load(each.model_copy(update={"method": name})) for name in problem.methods}
        if len(set(loads.values())) == 1:
            continue  # nothing was removed
        wins = min(loads, key=lambda name: loads[name]) == problem.corner_method
        assert wins == problem.in_corner(each)
        if not wins:
            assert max(loads, key=lambda name: loads[name]) == problem.corner_method


def test_the_corner_belongs_to_another_method_with_another_seed():
    assert {closed_form("interactions", seed).corner_method for seed in range(10)} == {"plfp", "l1", "fpgm"}


def test_an_unknown_family_is_refused_with_the_known_ones():
    with pytest.raises(ValueError, match=r"'smoth'.*smooth, knees"):
        closed_form("smoth", 0)
