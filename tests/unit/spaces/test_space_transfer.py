import optuna
import pytest
from optuna.trial import FixedTrial

from pruning.graph.groups import PrunableGroup
from spaces.preset import load_preset
from spaces.space import Space
from spaces.space_transfer import project, project_resolutions, project_schedule

WIDTHS = (64, 64, 128, 128, 256, 256, 512, 512, 24, 16)
SENSITIVITY = {f"g{index}": index / 9 - 0.5 for index in range(10)}


def group(name: str, width: int = 64, **fields) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, **{"locked": False, **fields})


def build_space(*groups: PrunableGroup, preset: str = "filters", **changes) -> Space:
    names = {field: changes.pop(field) for field in ("sensitivity", "highest", "ranking") if field in changes}
    return Space(groups, load_preset(preset, **changes), epochs=3, learning_rate=1e-3, **names)


GROUPS = tuple(group(f"g{index}", width, resolution=index // 3) for index, width in enumerate(WIDTHS))


@pytest.mark.parametrize("sensitivity", [{}, SENSITIVITY], ids=["no map", "map"])
@pytest.mark.parametrize("allocation", ["uniform", "stage", "group", "independent"])
def test_a_proposal_projected_into_its_own_space_is_proposed_again(allocation, sensitivity):
    space = build_space(*GROUPS, allocation=allocation, sensitivity=sensitivity, highest={"g4": 0.6})
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    for _ in range(40):
        schedule = space.propose(study.ask())
        projected = project_schedule(space, schedule)
        assert space.propose(FixedTrial(projected.params)) == schedule
        assert not projected.dropped


def test_a_last_stage_is_projected_along():
    space = build_space(*GROUPS, preset="filters_pq", sensitivity=SENSITIVITY)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=2))
    for _ in range(10):
        schedule = space.propose(study.ask())
        projected = project_schedule(space, schedule)
        assert space.propose(FixedTrial(projected.params)).ratios == schedule.ratios
        assert not [line for line in projected.dropped if "sparsity" in line or "quantization" in line]


def test_the_fit_is_by_hand_what_it_should_be():
    space = build_space(group("a", 512), group("b", 512), sensitivity={"a": 0.5, "b": -0.5}, offset=0.0)
    params = project(space, {"a": 0.75, "b": 0.25}, "l1").params
    assert params["level"] == pytest.approx(0.5, abs=0.01)
    assert params["tilt"] == pytest.approx(0.5, abs=0.02)
    assert space.propose(FixedTrial(params)).ratios == {"a": 0.75, "b": 0.25}


def test_what_offsets_cannot_reach_is_clipped_and_said():
    space = build_space(group("a"), group("b"), offset=0.125)
    projected = project(space, {"a": 0.875, "b": 0.0}, "l1")
    assert space.propose(FixedTrial(projected.params)).ratios["a"] < 0.875
    assert any(line.startswith("group 'a': 0.62 removed in place of 0.88") for line in projected.dropped)


def test_of_several_allocations_the_nearest_is_taken():
    space = build_space(group("a"), group("b"), allocation=["uniform", "independent"])
    assert project(space, {"a": 0.75, "b": 0.0}, "l1").params["allocation"] == "independent"
    assert project(space, {"a": 0.5, "b": 0.5}, "l1").params["allocation"] == "uniform"


def test_what_a_space_does_not_have_is_named():
    groups = (group("a"), group("out", locked=True, descriptor=True))
    space = build_space(*groups, methods=("fpgm", "l1"), offset=0.0)
    projected = project(space, {"a": 0.5, "out": 0.5, "gone": 0.25}, "plfp", decay=0.3)
    assert projected.params["method"] == "fpgm"
    assert projected.dropped == (
        "method 'plfp' is not in this space: 'fpgm' in its place",
        "group 'out' (0.50 removed) keeps all here: it fixes the descriptor's size",
        "group 'gone' (0.25 removed) is none of this network",
        "decay 0.3: not in this proposal",
    )


@pytest.mark.parametrize("allocation", ["group", "independent"])
def test_without_a_decay_the_papers_is_taken(allocation):
    space = build_space(group("a"), group("b"), allocation=allocation)
    assert project(space, {"a": 0.75, "b": 0.75}, "plfp").params["decay"] == 0.3
    assert project(space, {"a": 0.5, "b": 0.5}, "plfp").params["decay"] == 0.01


def test_a_decay_out_of_range_is_moved_and_said():
    projected = project(build_space(group("a"), offset=0.0, decay=[0.0, 0.2]), {"a": 0.5}, "plfp", decay=0.3)
    assert projected.params["decay"] == 0.2
    assert projected.dropped == ("decay 0.3: 0.2 here",)


def test_a_global_allocation_takes_the_share_of_all_that_goes():
    ranking = {"a": (0.1,) * 64, "b": (0.5,) * 64}
    space = build_space(group("a"), group("b"), allocation="global", ranking=ranking)
    assert project(space, {"a": 0.75, "b": 0.25}, "l1").params["level"] == 0.5


def test_another_networks_stages_are_matched_by_their_relative_depth():
    other = [
        group("x", 64, resolution=0),
        group("y", 192, resolution=2),
        group("z", 64, resolution=2),
        group("w", 64, resolution=4),
    ]
    schedule = build_space(*other, allocation="independent").propose(
        FixedTrial({"method": "l1", "ratio:x": 0.25, "ratio:y": 0.5, "ratio:z": 0.0, "ratio:w": 0.75})
    )
    space = build_space(group("a", 512, resolution=0), group("b", 512, resolution=3))
    projected = project_resolutions(space, schedule, other)
    assert projected.mapped == ("stage 0 (0.25 removed) → stage 0", "stage 4 (0.75 removed) → stage 3")
    assert projected.dropped[-1] == "stage 2 (0.38 removed): no stage of this network is as deep"
    three = build_space(group("a", 512), group("b", 512, resolution=1), group("c", 512, resolution=2))
    ratios = three.propose(FixedTrial(project_resolutions(three, schedule, other).params)).ratios
    assert ratios["b"] == pytest.approx(0.375, abs=0.02)  # (192 · 0.5 + 64 · 0) / 256
