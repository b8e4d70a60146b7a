"""A former sweep's front as first points, on the same network and on another."""

from dataclasses import replace

import pytest

from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from search.warm_start import FormerSweep, points_of_front, read_former, warm_start_from
from spaces.preset import load_preset
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space
from tracking.record import TrialRecord

OBJECTIVES = ("map", "speedup")


def group(name: str, width: int, stage: int) -> PrunableGroup:
    return PrunableGroup(name, members=(name,), norms=(), norm_starts=(), width=width, locked=False, resolution=stage)


HERE = (group("a", 64, 1), group("b", 64, 2))
THERE = (group("x", 128, 1), group("y", 128, 2), group("z", 256, 3))
SPACE = Space(groups=HERE, preset=load_preset("filters"), epochs=2, learning_rate=0.1)


def record(number: int, ratios: dict[str, float], quality: float, speedup: float, method: str = "plfp") -> TrialRecord:
    schedule = Schedule(method=method, ratios=ratios, epochs=2, learning_rate=0.1)
    return TrialRecord(
        number=number, status="finished", schedule=schedule, metrics={"map": quality, "speedup": speedup}
    )


def test_members_of_the_front_come_group_by_group_on_the_same_network():
    records = [
        record(0, {"a": 0.5, "b": 0.625}, 0.8, 2.0),
        record(1, {"a": 0.25, "b": 0.25}, 0.7, 1.5),  # dominated
        record(2, {"a": 0.25, "b": 0.375}, 0.9, 1.4),
    ]
    warm = points_of_front(records, HERE, SPACE, objectives=OBJECTIVES)
    ratios = [dict(SPACE.propose(ScriptedSampler(point)).ratios) for point in warm.points]
    assert sorted(ratio["b"] for ratio in ratios) == [0.375, 0.625]
    assert sorted(warm.mapped) == ["trial 0: group by group", "trial 2: group by group"]


def test_another_network_is_mapped_stage_by_stage_and_says_so():
    warm = points_of_front([record(4, {"x": 0.25, "y": 0.5, "z": 0.5}, 0.8, 2.0)], THERE, SPACE, objectives=OBJECTIVES)
    (point,) = warm.points
    assert dict(SPACE.propose(ScriptedSampler(point)).ratios) == {"a": 0.25, "b": 0.5}
    assert "stage 1 (0.25 removed) → stage 1; stage 3 (0.50 removed) → stage 2" in warm.mapped[0]
    assert "no stage of this network is as deep" in warm.dropped[0]


def test_no_more_are_taken_than_asked_and_these_lie_apart_in_cost():
    records = [record(n, {"a": n / 16, "b": n / 16}, 1 - 0.01 * n, 1 + 0.1 * n) for n in range(2, 14)]
    warm = points_of_front(records, HERE, SPACE, objectives=OBJECTIVES, most=3)
    numbers = [int(line.split(":")[0].removeprefix("trial ")) for line in warm.mapped]
    assert len(numbers) == 3
    assert {2, 13} <= set(numbers)


def test_a_method_that_is_not_here_is_named_as_dropped():
    space = Space(groups=HERE, preset=load_preset("filters", methods=["l1"]), epochs=2, learning_rate=0.1)
    warm = points_of_front([record(7, {"a": 0.5, "b": 0.5}, 0.8, 2.0)], HERE, space, objectives=OBJECTIVES)
    assert "method 'plfp' is not in this space: 'l1' in its place" in warm.dropped[0]
    assert warm.dropped[0].startswith("trial 7: ")


def test_a_sweep_without_finished_trials_is_refused():
    failed = TrialRecord(number=0, status="failed", message="went wrong")
    with pytest.raises(ValueError, match="no finished trial"):
        points_of_front([failed], HERE, SPACE, objectives=OBJECTIVES)


def test_a_front_of_which_nothing_is_left_is_refused():
    locked = PrunableGroup("a", members=("a",), norms=(), norm_starts=(), width=64, locked=True)
    space = Space(groups=(locked,), preset=load_preset("filters"), epochs=2, learning_rate=0.1)
    with pytest.raises(ValueError, match=r"of the former front \(1 trials\) nothing is left in this space"):
        points_of_front([record(0, {"a": 0.5, "b": 0.5}, 0.8, 2.0)], HERE, space, objectives=OBJECTIVES)


def test_a_folder_without_a_sweep_is_refused(tmp_path):
    with pytest.raises(ValueError, match="holds no sweep"):
        read_former(tmp_path)


def test_a_refusal_names_the_former_sweeps_folder(tmp_path):
    former = FormerSweep(tmp_path, OBJECTIVES, HERE, records=())
    with pytest.raises(ValueError, match=f"warm start from {tmp_path}: nothing to start from"):
        warm_start_from(former, SPACE)


def test_a_former_front_keeps_its_ratios_in_a_space_that_a_map_gave_a_tilt(tmp_path):
    former = FormerSweep(tmp_path, OBJECTIVES, HERE, (record(0, {"a": 0.5, "b": 0.625}, 0.8, 2.0),))
    mapped = replace(SPACE, sensitivity={"a": 0.5, "b": -0.5})
    (point,) = warm_start_from(former, mapped).points
    assert dict(mapped.propose(ScriptedSampler(point)).ratios) == {"a": 0.5, "b": 0.625}
