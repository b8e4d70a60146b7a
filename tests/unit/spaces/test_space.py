import optuna
import pytest
from optuna.trial import FixedTrial

from pruning.graph.groups import PrunableGroup
from spaces.preset import load_preset, preset_names
from spaces.space import HIGHEST_RATIO, Space


def group(name: str, locked: bool = False, width: int = 64, **fields) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, locked=locked, **fields)


def build_space(preset: str, *groups: PrunableGroup, ranking=None, sensitivity=None, highest=None, **changes) -> Space:
    return Space(
        groups,
        load_preset(preset, **changes),
        epochs=2,
        learning_rate=1e-3,
        ranking=ranking or {},
        sensitivity=sensitivity or {},
        highest=highest or {},
    )


@pytest.fixture
def space() -> Space:
    groups = (group("a"), group("b"), group("out", locked=True))
    return Space(groups, load_preset("filters"), epochs=2, learning_rate=1e-3)


def test_a_ratio_is_the_level_plus_the_groups_offset(space):
    schedule = space.propose(
        FixedTrial({"method": "plfp", "level": 0.5, "offset:a": 0.1, "offset:b": -0.125, "decay": 0.25})
    )
    assert schedule.ratios == {"a": 0.625, "b": 0.375}  # 0.6 of 64 leaves 26 channels, and 24 is nearest
    assert schedule.decay == 0.25
    assert (schedule.epochs, schedule.learning_rate) == (2, 1e-3)


def test_ratios_are_clipped_into_their_range(space):
    low = space.propose(FixedTrial({"method": "l1", "level": 0.0, "offset:a": -0.15, "offset:b": 0.0}))
    high = space.propose(FixedTrial({"method": "l1", "level": 0.9, "offset:a": 0.15, "offset:b": 0.0}))
    assert low.ratios["a"] == 0.0
    assert high.ratios["a"] == 56 / 64 < HIGHEST_RATIO  # at least one multiple of 8 stays


def test_only_methods_that_decay_have_that_dimension(space):
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5, "offset:a": 0.0, "offset:b": 0.0})).decay is None
    with pytest.raises(ValueError, match="decay"):
        space.propose(FixedTrial({"method": "plfp", "level": 0.5, "offset:a": 0.0, "offset:b": 0.0}))


def test_the_ladder_spans_the_front_with_one_method_and_then_tries_the_others_in_the_middle(space):
    schedules = [space.propose(FixedTrial(rung)) for rung in space.ladder()]
    assert [(schedule.method, schedule.ratios["a"]) for schedule in schedules] == [
        ("plfp", 0.0),
        ("plfp", 0.5),
        ("plfp", 0.75),
        ("plfp", 0.25),
        ("l1", 0.5),
        ("fpgm", 0.5),
    ]
    assert all(schedule.ratios["a"] == schedule.ratios["b"] for schedule in schedules)
    assert [schedule.decay for schedule in schedules[:4]] == [0.01, 0.01, 0.3, 0.01]


def test_rungs_outside_the_level_are_moved_to_its_ends():
    space = build_space("filters", group("a", width=512), methods=("l1",), level=(0.6, 0.7), offset=0.0)
    assert [rung["level"] for rung in space.ladder()] == [0.6, 0.7]


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
    space = build_space("filters", group("a"), group("narrow", width=8), group("tiny", width=1), group("odd", width=6))
    assert [free.id for free in space.free_groups] == ["a", "odd"]


def test_residual_groups_are_left_alone_when_they_are_to_be_locked():
    groups = (group("a"), group("sum", residual=True))
    assert [free.id for free in build_space("filters", *groups).free_groups] == ["a", "sum"]
    assert [free.id for free in build_space("filters", *groups, residual="locked").free_groups] == ["a"]


def test_stages_share_their_offset():
    space = build_space("filters", group("a"), group("b", resolution=1), group("c", resolution=1), allocation="stage")
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.5, "offset:stage0": 0.0, "offset:stage1": 0.125}))
    assert schedule.ratios == {"a": 0.5, "b": 0.625, "c": 0.625}


def test_uniform_has_one_ratio_and_no_other_dimension():
    space = build_space("filters", group("a"), group("b", resolution=1), allocation="uniform")
    assert space.propose(FixedTrial({"method": "l1", "level": 0.25})).ratios == {"a": 0.25, "b": 0.25}


def test_global_allocation_takes_the_level_of_all_filters_together():
    ranking = {"a": (0.1,) * 48 + (0.9,) * 16, "b": (0.5,) * 64}
    space = build_space("filters", group("a"), group("b"), allocation="global", ranking=ranking)
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.375}))
    assert schedule.ratios == {"a": 0.75, "b": 0.0}


def test_global_allocation_without_a_ranking_is_refused():
    space = build_space("filters", group("a"), allocation="global")
    with pytest.raises(ValueError, match="needs a ranking"):
        space.propose(FixedTrial({"method": "l1", "level": 0.375}))


def test_global_allocation_takes_the_whole_level_of_the_groups_that_may_lose_channels():
    ranking = {"a": (0.1,) * 64, "sum": (0.2,) * 64, "b": (0.5,) * 64}
    groups = (group("a"), group("sum", residual=True), group("b"))
    space = build_space("filters", *groups, allocation="global", residual="locked", ranking=ranking)
    assert space.propose(FixedTrial({"method": "l1", "level": 0.375})).ratios == {"a": 0.75, "b": 0.0}


def test_scratch_at_ratio_zero_is_no_other_methods_trial():
    space = build_space("controls", group("a"), methods=("scratch", "l1", "sfp"))
    assert [rung["method"] for rung in space.grid(2) if rung["level"] == 0] == ["scratch", "l1"]


def test_a_threshold_may_be_varied_in_place_of_a_share():
    bounds = {"threshold": [0.0, 0.05], "share": None}
    space = build_space("trained_pq", group("a"), sparsity=bounds, quantization={"bits_offset": 0})
    schedule = space.propose(FixedTrial({"method": "trained_pq", "threshold": 0.01, "bits": 5}))
    assert (schedule.sparsity.threshold, schedule.sparsity.share) == (0.01, None)
    assert space.ladder()[0]["threshold"] == 0.025


@pytest.mark.parametrize("allocation", ["uniform", "stage", "group", "independent", "global"])
def test_a_sampler_and_the_ladder_know_every_allocation(allocation):
    groups, sensitivity = (group("a", width=512), group("b", resolution=1, width=512)), {"a": 0.5, "b": -0.5}
    ranking = {"a": tuple(range(512)), "b": tuple(range(512))}
    space = build_space("filters", *groups, allocation=allocation, ranking=ranking, sensitivity=sensitivity)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    for rung in space.ladder():
        study.enqueue_trial(rung)
    asked = [(trial := study.ask(), space.propose(trial)) for _ in range(len(space.ladder()) + 5)]
    for (trial, _), rung in zip(asked, space.ladder(), strict=False):
        assert trial.params == rung
    assert len({schedule for _, schedule in asked}) == len(asked)


def test_bits_are_a_level_plus_the_groups_offset_between_two_and_eight():
    space = build_space("trained_pq", group("a"), group("b"), group("out", locked=True))
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
    space = build_space("filters", group("a"), allocation="uniform")
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5})).patience is None
    assert space.propose(FixedTrial({"method": "fpgm", "level": 0.5})).patience == 5
    never = build_space("filters", group("a"), allocation="uniform", patience=0)
    assert never.propose(FixedTrial({"method": "fpgm", "level": 0.5})).patience is None


def test_an_open_descriptor_is_said_in_the_schedule():
    space = build_space("filters", group("a"), allocation="uniform", descriptor="open")
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5})).open_descriptor


@pytest.mark.parametrize("name", preset_names())
def test_every_preset_proposes_its_ladder_and_more(name):
    space = build_space(name, group("a"), group("b", resolution=1), group("out", locked=True))
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


def test_the_tilt_takes_more_from_groups_that_can_spare_it():
    sensitivity = {"a": 0.5, "b": -0.5, "c": 0.0}
    space = build_space("filters", group("a"), group("b"), group("c"), sensitivity=sensitivity, offset=0.0)
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.5, "tilt": 0.5}))
    assert schedule.ratios == {"a": 0.75, "b": 0.25, "c": 0.5}
    assert space.ladder()[1] == {"method": "plfp", "level": 0.5, "tilt": 0.0, "decay": 0.01}


def test_stages_are_tilted_by_the_mean_of_their_groups():
    groups = (group("a"), group("b", resolution=1), group("c", resolution=1))
    space = build_space("filters", *groups, allocation="stage", sensitivity={"a": -0.5, "b": 0.5, "c": 0.0})
    offsets = {"offset:stage0": 0.0, "offset:stage1": 0.0}
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.5, "tilt": 1.0, **offsets}))
    assert schedule.ratios == {"a": 0.0, "b": 0.75, "c": 0.75}


@pytest.mark.parametrize(
    ("changes", "sensitivity"),
    [({"tilt": 0.0}, {"a": 0.5, "b": -0.5}), ({}, {}), ({"allocation": "uniform"}, {"a": 0.5, "b": -0.5})],
)
def test_without_a_map_or_a_range_no_tilt_is_proposed(changes, sensitivity):
    space = build_space("filters", group("a"), group("b"), sensitivity=sensitivity, **changes)
    assert all("tilt" not in rung for rung in space.ladder())


def test_a_tilt_of_one_number_tilts_without_being_a_dimension():
    space = build_space("filters", group("a"), group("b"), sensitivity={"a": 0.5, "b": -0.5}, tilt=0.5, offset=0.0)
    assert space.propose(FixedTrial({"method": "l1", "level": 0.5})).ratios == {"a": 0.75, "b": 0.25}


def test_no_group_is_given_more_than_its_highest_ratio():
    space = build_space("filters", group("a"), group("b"), highest={"a": 0.45})
    schedule = space.propose(FixedTrial({"method": "l1", "level": 0.9, "offset:a": 0.0, "offset:b": 0.0}))
    assert schedule.ratios == {"a": 24 / 64, "b": 56 / 64}  # half would be nearest, but lies above


def test_a_group_that_can_spare_nothing_is_left_alone():
    space = build_space("filters", group("a"), group("b"), highest={"a": 0.05})
    assert [free.id for free in space.free_groups] == ["b"]
    assert space.why_whole(space.groups[0]) == "it is so sensitive that it can spare nothing"


def test_independent_ratios_are_free_of_each_other_and_of_any_level():
    space = build_space("filters", group("a"), group("b"), allocation="independent", highest={"b": 0.5})
    assert space.propose(FixedTrial({"method": "l1", "ratio:a": 0.9, "ratio:b": 0.25})).ratios == {
        "a": 0.875,
        "b": 0.25,
    }
    assert space.ladder()[2] == {"method": "plfp", "ratio:a": 0.75, "ratio:b": 0.5, "decay": 0.3}


def test_several_allocations_are_a_choice_with_dimensions_of_their_own():
    space = build_space("filters", group("a"), group("b"), allocation=["uniform", "independent"])
    assert "ratio:a" not in space.ladder()[0]
    independent = {"method": "l1", "allocation": "independent", "ratio:a": 0.5, "ratio:b": 0.0}
    assert space.propose(FixedTrial(independent)).ratios == {"a": 0.5, "b": 0.0}
    with pytest.raises(ValueError, match="each once"):
        load_preset("filters", allocation=["uniform", "uniform"])


def test_proposals_of_equal_widths_are_the_same_schedule(space):
    first = {"method": "plfp", "level": 0.5, "offset:a": 0.1, "offset:b": 0.0, "decay": 0.104}
    second = {"method": "plfp", "level": 0.49, "offset:a": 0.12, "offset:b": 0.02, "decay": 0.0961}
    assert space.propose(FixedTrial(first)).identity == space.propose(FixedTrial(second)).identity


def test_a_decay_rounded_to_hundredths_stays_within_its_range():
    space = build_space("filters", group("a"), decay=(0.106, 0.994), offset=0.0)
    decays = [
        space.propose(FixedTrial({"method": "plfp", "level": 0.5, "decay": d})).decay for d in (0.106, 0.5, 0.994)
    ]
    assert decays == [0.11, 0.5, 0.99]
    edge = build_space("filters", group("a"), decay=(0.104, 0.996), offset=0.0)
    assert edge.propose(FixedTrial({"method": "plfp", "level": 0.5, "decay": 0.996})).decay == 0.996


def test_neighbours_epochs_and_learning_rate_may_be_ranges():
    changes = {"neighbours": [1, 4], "epochs": [3, 9], "learning_rate": [1e-4, 1e-2]}
    space = build_space("filters", group("a"), methods=("plfp", "l1"), offset=0.0, **changes)
    asked = {"level": 0.5, "decay": 0.1, "neighbours": 3, "epochs": 7, "learning_rate": 0.00123456}
    schedule = space.propose(FixedTrial({"method": "plfp", **asked}))
    assert (schedule.neighbours, schedule.epochs, schedule.learning_rate) == (3, 7, 0.0012)
    assert space.propose(FixedTrial({"method": "l1", **asked})).neighbours == 1
    assert space.longest_trial == 9
    assert space.ladder()[0] == {
        "method": "plfp",
        "level": 0.0,
        "decay": 0.01,
        "neighbours": 1,
        "epochs": 9,
        "learning_rate": 1e-3,
    }


def test_what_can_only_be_one_thing_is_no_dimension():
    space = build_space("filters", group("a"), methods=("l1",), level=0.5, offset=0.0)
    assert space.ladder() == [{}]
    assert space.propose(FixedTrial({})).ratios == {"a": 0.5}


def test_a_grid_walks_every_method_along_the_level():
    space = build_space("filters", group("a"), group("b"), methods=("l1", "fpgm"))
    points = [(point["method"], point["level"]) for point in space.grid(3)]
    assert points == [("l1", 0.0), ("l1", 0.45), ("fpgm", 0.45), ("l1", 0.9), ("fpgm", 0.9)]
    with pytest.raises(ValueError, match="grid of 0 steps"):
        space.grid(0)


def test_a_grid_without_channels_to_remove_walks_along_share_and_bits():
    space = build_space("trained_pq", group("a"), quantization={"bits_offset": 0})
    assert space.grid(3) == [{"share": 0.0, "bits": 8}, {"share": 0.45, "bits": 5}, {"share": 0.9, "bits": 2}]


def test_every_group_that_keeps_all_channels_says_why():
    groups = (group("out", locked=True, descriptor=True), group("x", locked=True), group("n", width=8))
    space = build_space("filters", *groups, group("sum", residual=True), group("a"), residual="locked")
    assert [space.why_whole(each) for each in space.groups] == [
        "it fixes the descriptor's size",
        "its channels cannot go one by one",
        "at 8 channels it is too narrow for multiples of 8",
        "several layers add up to it, and space.residual is 'locked'",
        None,
    ]
