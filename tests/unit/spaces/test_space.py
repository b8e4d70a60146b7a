import optuna
import pytest
from optuna.trial import FixedTrial

from pruning.groups import PrunableGroup
from spaces.preset import load_preset, preset_names
from spaces.space import HIGHEST_RATIO, Space


def group(name: str, locked: bool = False) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=64, locked=locked)


@pytest.fixture
def space() -> Space:
    groups = (group("a"), group("b"), group("out", locked=True))
    return Space(groups, load_preset("filters"), epochs=2, learning_rate=1e-3)


def test_a_ratio_is_the_level_plus_the_groups_offset(space):
    schedule = space.propose(
        FixedTrial({"method": "plfp", "level": 0.5, "offset:a": 0.1, "offset:b": -0.125, "decay": 0.25})
    )
    assert schedule.ratios == {"a": 0.6, "b": 0.375}
    assert schedule.decay == 0.25
    assert (schedule.epochs, schedule.learning_rate) == (2, 1e-3)


def test_ratios_are_clipped_into_their_range(space):
    low = space.propose(FixedTrial({"method": "l1", "level": 0.0, "offset:a": -0.15, "offset:b": 0.0}))
    high = space.propose(FixedTrial({"method": "l1", "level": 0.9, "offset:a": 0.15, "offset:b": 0.0}))
    assert low.ratios["a"] == 0.0
    assert high.ratios["a"] == HIGHEST_RATIO


def test_only_methods_that_decay_have_that_dimension(space):
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5, "offset:a": 0.0, "offset:b": 0.0})).decay is None
    with pytest.raises(ValueError, match="decay"):
        space.propose(FixedTrial({"method": "plfp", "level": 0.5, "offset:a": 0.0, "offset:b": 0.0}))


def test_the_ladder_has_every_method_at_every_rung_and_the_dense_shape_once(space):
    schedules = [space.propose(FixedTrial(rung)) for rung in space.ladder()]
    rungs = [(schedule.method, schedule.ratios["a"]) for schedule in schedules]
    assert rungs[0] == ("plfp", 0.0)
    assert sorted(rungs[1:]) == sorted((m, r) for m in ("plfp", "l1", "fpgm") for r in (0.25, 0.5, 0.75))
    assert all(schedule.ratios["a"] == schedule.ratios["b"] for schedule in schedules)
    assert {(s.ratios["a"], s.decay) for s in schedules if s.method == "plfp"} == {
        (0.0, 0.01),
        (0.25, 0.01),
        (0.5, 0.01),
        (0.75, 0.3),
    }


def test_a_real_sampler_proposes_valid_schedules_and_never_touches_a_locked_group(space):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    schedules = [space.propose(study.ask()) for _ in range(50)]
    assert all(set(schedule.ratios) == {"a", "b"} for schedule in schedules)
    assert {schedule.method for schedule in schedules} == {"plfp", "l1", "fpgm"}


def test_a_preset_takes_changes_and_refuses_nonsense():
    assert load_preset("filters", methods=("l1",)).methods == ("l1",)
    with pytest.raises(ValueError, match="unknown preset 'filter'"):
        load_preset("filter")
    with pytest.raises(ValueError, match=r"unknown method 'plpf'.*'plfp'"):
        load_preset("filters", methods=("plpf",))
    with pytest.raises(ValueError, match="lower bound must come first"):
        load_preset("filters", level=(0.5, 0.1))
    with pytest.raises(ValueError, match="less than 1"):
        load_preset("filters", level=(0.5, 1.0))


def test_every_preset_that_comes_along_loads():
    assert preset_names()
    assert all(load_preset(name).methods for name in preset_names())
