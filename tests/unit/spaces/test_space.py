import optuna
import pytest
from optuna.trial import FixedTrial

from pruning.groups import PrunableGroup
from spaces.preset import load_preset, preset_names
from spaces.space import HIGHEST_RATIO, Space


def group(name: str, locked: bool = False, width: int = 64, **fields) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, locked=locked, **fields)


def space_of(preset: str, *groups: PrunableGroup, ranking=None, **changes) -> Space:
    return Space(groups, load_preset(preset, **changes), epochs=2, learning_rate=1e-3, ranking=ranking or {})


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


def test_groups_too_narrow_to_lose_a_channel_are_left_alone():
    space = space_of("filters", group("a"), group("narrow", width=8), group("tiny", width=1), group("odd", width=6))
    assert [free.id for free in space.free_groups] == ["a", "odd"]


def test_residual_groups_are_left_alone_when_they_are_to_be_locked():
    groups = (group("a"), group("sum", residual=True))
    assert [free.id for free in space_of("filters", *groups).free_groups] == ["a", "sum"]
    assert [free.id for free in space_of("filters", *groups, residual="locked").free_groups] == ["a"]


def test_stages_share_their_offset():
    space = space_of("filters", group("a"), group("b", stage=1), group("c", stage=1), allocation="stage")
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.5, "offset:stage0": 0.0, "offset:stage1": 0.125}))
    assert schedule.ratios == {"a": 0.5, "b": 0.625, "c": 0.625}


def test_uniform_has_one_ratio_and_no_other_dimension():
    space = space_of("filters", group("a"), group("b", stage=1), allocation="uniform")
    assert space.propose(FixedTrial({"method": "l1", "level": 0.25})).ratios == {"a": 0.25, "b": 0.25}


def test_global_allocation_takes_the_level_of_all_filters_together():
    ranking = {"a": (0.1,) * 48 + (0.9,) * 16, "b": (0.5,) * 64}
    space = space_of("filters", group("a"), group("b"), allocation="global", ranking=ranking)
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.375}))
    assert schedule.ratios == {"a": 0.75, "b": 0.0}


def test_global_allocation_takes_the_whole_level_of_the_groups_that_may_lose_channels():
    ranking = {"a": (0.1,) * 64, "sum": (0.2,) * 64, "b": (0.5,) * 64}
    groups = (group("a"), group("sum", residual=True), group("b"))
    space = space_of("filters", *groups, allocation="global", residual="locked", ranking=ranking)
    assert space.propose(FixedTrial({"method": "l1", "level": 0.375})).ratios == {"a": 0.75, "b": 0.0}


def test_scratch_at_ratio_zero_is_no_other_methods_trial():
    space = space_of("controls", group("a"), methods=("scratch", "l1", "sfp"))
    assert [rung["method"] for rung in space.ladder() if rung["level"] == 0] == ["scratch", "l1"]


def test_a_threshold_may_be_varied_in_place_of_a_share():
    bounds = {"threshold": [0.0, 0.05], "share": None}
    space = space_of("trained_pq", group("a"), sparsity=bounds, quantization={"bits_offset": 0})
    schedule = space.propose(FixedTrial({"method": "trained_pq", "threshold": 0.01, "bits": 5}))
    assert (schedule.sparsity.threshold, schedule.sparsity.share) == (0.01, None)
    assert space.ladder()[0]["threshold"] == 0.025


@pytest.mark.parametrize("allocation", ["uniform", "stage", "group", "global"])
def test_a_sampler_and_the_ladder_know_every_allocation(allocation):
    ranking = {"a": tuple(range(64)), "b": tuple(range(64))}
    space = space_of("filters", group("a"), group("b", stage=1), allocation=allocation, ranking=ranking)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for rung in space.ladder():
        study.enqueue_trial(rung)
    asked = [(trial := study.ask(), space.propose(trial)) for _ in range(len(space.ladder()) + 5)]
    for (trial, _), rung in zip(asked, space.ladder(), strict=False):
        assert trial.params == rung
    assert len({schedule for _, schedule in asked}) == len(asked)


def test_bits_are_a_level_plus_the_groups_offset_between_two_and_eight():
    space = space_of("trained_pq", group("a"), group("b"), group("out", locked=True))
    schedule = space.propose(
        FixedTrial(
            {"method": "trained_pq", "share": 0.5, "bits": 8}
            | {"bits_offset:a": 1, "bits_offset:b": -1, "bits_offset:out": 0}
        )
    )
    assert schedule.quantization.group_bits == {"a": 8, "b": 7, "out": 8}
    assert (schedule.quantization.bits, schedule.sparsity.share) == (8, 0.5)
    assert (schedule.epochs, schedule.ratios) == (0, {})
    assert schedule.total_epochs == space.longest_trial


def test_only_progressive_methods_have_patience():
    space = space_of("filters", group("a"), allocation="uniform")
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5})).patience is None
    assert space.propose(FixedTrial({"method": "fpgm", "level": 0.5})).patience == 5
    never = space_of("filters", group("a"), allocation="uniform", patience=0)
    assert never.propose(FixedTrial({"method": "fpgm", "level": 0.5})).patience is None


def test_an_open_descriptor_is_said_in_the_schedule():
    space = space_of("filters", group("a"), allocation="uniform", descriptor="open")
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5})).open_descriptor


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_proposes_its_ladder_and_more(name):
    space = space_of(name, group("a"), group("b", stage=1), group("out", locked=True))
    assert space.ladder()
    assert all(space.propose(FixedTrial(rung)).total_epochs <= space.longest_trial for rung in space.ladder())
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    schedules = [space.propose(study.ask()) for _ in range(20)]
    assert {schedule.method for schedule in schedules} <= set(space.preset.methods)
    assert max(schedule.total_epochs for schedule in schedules) == space.longest_trial


def test_a_section_of_a_preset_is_replaced_entry_by_entry():
    preset = load_preset("trained_pq", quantization={"bits": [5, 5]})
    assert preset.quantization.bits == (5, 5)
    assert preset.quantization.huffman
    with pytest.raises(ValueError, match=r"(?s)quantization\.bits.*less than or equal to 8"):
        load_preset("trained_pq", quantization={"bits": [2, 9]})
    with pytest.raises(ValueError, match="lower bound must come first"):
        load_preset("trained_pq", quantization={"bits": [6, 4]})


def test_a_method_that_codes_weights_needs_bits():
    with pytest.raises(ValueError, match="'trained_pq' needs"):
        load_preset("filters", methods=("trained_pq",))
    with pytest.raises(ValueError, match="sparsity needs quantization"):
        load_preset("filters", sparsity={"share": [0.0, 0.5]})
