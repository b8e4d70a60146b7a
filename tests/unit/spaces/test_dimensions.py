import optuna
import pytest

from pruning.graph.groups import PrunableGroup
from spaces.dimensions import Dimension, dimensions, is_conditional
from spaces.preset import load_preset, preset_names
from spaces.space import Space


def group(name: str, width: int = 64, stage: int = 0) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, locked=False, resolution=stage)


def build_space(preset: str = "filters", **changes) -> Space:
    groups = (group("a"), group("b", 6, stage=1), group("c", 32, stage=1))
    preset_ = load_preset(preset, **changes)
    return Space(groups, preset_, epochs=3, learning_rate=1e-3, sensitivity={"a": 0.5, "b": 0.0, "c": -0.5})


def by_name(space: Space) -> dict[str, Dimension]:
    return {dimension.name: dimension for dimension in dimensions(space)}


@pytest.mark.parametrize("preset", preset_names())
@pytest.mark.parametrize("allocation", ["group", ["stage", "independent", "uniform"]])
def test_dimensions_are_exactly_those_that_trials_are_asked_for(preset, allocation):
    space = build_space(preset, allocation=allocation)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    trials = [(trial := study.ask(), space.propose(trial)) for _ in range(150)]
    asked = {name: value for trial, _ in trials for name, value in trial.distributions.items()}
    found = by_name(space)
    assert set(found) == set(asked)
    for name, dimension in found.items():
        bounds = (getattr(asked[name], "low", None), getattr(asked[name], "high", None))
        assert (dimension.low, dimension.high) == bounds
        assert dimension.choices == getattr(asked[name], "choices", ())
        assert (dimension.condition is None) == all(name in trial.params for trial, _ in trials)


def test_a_dimension_says_when_it_is_there():
    found = by_name(build_space(methods=("plfp", "l1", "fpgm_decay"), allocation=["group", "stage", "independent"]))
    assert found["decay"].condition == "method plfp or fpgm_decay"
    assert found["tilt"].condition == "allocation group or stage"
    assert found["offset:a"].condition == "allocation group"
    assert found["method"].condition is None
    coded = by_name(build_space("filters_pq", methods=("l1", "trained_pq")))
    assert coded["level"].condition == "method l1"


def test_a_dimension_says_what_it_acts_on():
    found = by_name(build_space(allocation=["group", "stage"], learning_rate=[1e-4, 1e-2]))
    assert found["level"].acts_on == "all 3 free groups: share of channels removed"
    assert found["offset:a"].acts_on == "group a: 64 channels, steps of 8"
    assert found["offset:b"].acts_on == "group b: 6 channels, steps of 1"
    assert found["offset:stage1"].acts_on == "stage 1: 38 channels in 2 groups"
    assert found["learning_rate"].log


def test_dimensions_of_a_global_allocation_need_no_ranking():
    assert list(by_name(build_space(allocation="global"))) == ["method", "level", "decay"]


def test_a_space_is_conditional_where_some_trials_lack_a_dimension():
    assert is_conditional(build_space(methods=("plfp", "l1")))
    assert not is_conditional(build_space(methods=("l1", "fpgm")))
    assert not is_conditional(build_space(methods=("plfp",)))
