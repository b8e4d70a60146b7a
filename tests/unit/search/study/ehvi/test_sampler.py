"""The sampler over a real journal: what it proposes, whatever becomes of its trials."""

import itertools
import json
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from search.study.ehvi.goal import Goal
from search.study.ehvi.sampler import EhviSampler
from search.study.journal import open_study
from spaces.preset import load_preset
from spaces.space import Space
from tracking.limits import Limits


def space_of(count: int = 4, preset: str = "filters", **changes) -> Space:
    groups = tuple(
        PrunableGroup(f"g{n}", members=(f"g{n}",), norms=(), norm_starts=(), width=64, locked=False)
        for n in range(count)
    )
    return Space(groups=groups, preset=load_preset(preset, **changes), epochs=4, learning_rate=0.1)


def kept(schedule: Schedule) -> float:
    return 1 - sum(schedule.ratios.values()) / max(len(schedule.ratios), 1)


def costs(schedule: Schedule) -> dict[str, float]:
    share, bits = kept(schedule) ** 2, schedule.quantization.bits if schedule.quantization else 32
    return {"macs": 1e6 * share, "mac_ratio": 1 / share, "compression": 32 / bits / share}


def outcome(schedule: Schedule, objectives: tuple[str, ...]) -> list[float]:
    """Groups lose the more the lower their number; the speed is that of the multiply-adds, but for an overhead."""
    weights = itertools.count(len(schedule.ratios), -1)
    lost = sum(weight * ratio**2 for weight, ratio in zip(weights, schedule.ratios.values(), strict=False))
    ratio = costs(schedule)["mac_ratio"]
    metrics = {"map": 0.8 - 0.25 * lost / max(len(schedule.ratios), 1), "speedup": 1 / (0.1 + 0.9 / ratio)}
    return [({**costs(schedule), **metrics})[key] for key in objectives]


def study_in(folder: Path, goal: Goal, seed: int = 0) -> optuna.Study:
    folder.mkdir(exist_ok=True)
    study = open_study(folder / "journal.log", goal.objectives)
    study.sampler = EhviSampler(goal, seed)
    return study


def ask(study: optuna.Study, goal: Goal, state: TrialState | None = TrialState.COMPLETE) -> Schedule:
    """Ask for a trial and tell what became of it; None leaves it running."""
    trial = study.ask()
    schedule = goal.space.propose(trial)
    if state is not None:
        study.tell(trial, outcome(schedule, goal.objectives) if state is TrialState.COMPLETE else None, state)
    return schedule


TWO = ("map", "speedup")


def test_a_restarted_driver_proposes_the_same(tmp_path):
    goal = Goal(space_of(), costs, TWO, dense={"map": 0.8})
    study = study_in(tmp_path / "one", goal)
    for _ in range(6):
        ask(study, goal)
    whole = [ask(study, goal) for _ in range(3)]
    again = study_in(tmp_path / "two", goal)
    for _ in range(6):
        ask(again, goal)
    restarted = [ask(study_in(tmp_path / "two", goal), goal) for _ in range(3)]
    assert whole == restarted
    assert whole != [ask(study_in(tmp_path / "other", goal, seed=1), goal) for _ in range(3)]


def test_many_slots_get_different_trials_that_differ_in_cost(tmp_path):
    goal = Goal(space_of(), costs, TWO, dense={"map": 0.8})
    study = study_in(tmp_path, goal)
    for _ in range(4):
        ask(study, goal)
    running = [ask(study, goal, None) for _ in range(20)]
    assert len(set(running)) == 20
    assert len({round(costs(each)["mac_ratio"], 1) for each in running}) >= 8


def test_it_finds_more_than_chance_and_spends_nothing_below_the_reference(tmp_path):
    goal = Goal(space_of(methods=["l1"]), costs, TWO, dense={"map": 0.8}, reference={"map": 0.7})
    study = study_in(tmp_path, goal)
    asked = [ask(study, goal) for _ in range(16)]
    later = [outcome(each, TWO) for each in asked[6:]]
    assert min(quality for quality, _ in later) > 0.66
    # What equal ratios of all groups reach at the reference.
    assert max(speed for quality, speed in later if quality >= 0.7) > 2.2


@pytest.mark.parametrize(
    "goal",
    [
        Goal(space_of(), costs, ("map", "speedup", "compression"), dense={"map": 0.8}),
        Goal(space_of(), costs, ("map", "macs"), Limits(max_macs=4e5)),
        Goal(space_of(preset="filters_pq"), costs, ("map", "mac_ratio", "compression"), dense={"map": 0.8}),
        Goal(space_of(50, allocation="independent"), costs, TWO, dense={"map": 0.8}),
        Goal(space_of(allocation="uniform", level=0.5, decay=0.3), costs, TWO),
    ],
    ids=["three", "limit", "coded", "fifty free ratios", "choices alone"],
)
def test_every_kind_of_search_goes_on_whatever_becomes_of_its_trials(tmp_path, goal):
    study = study_in(tmp_path, goal)
    ends = [TrialState.FAIL, TrialState.COMPLETE, None, TrialState.PRUNED, TrialState.COMPLETE, TrialState.COMPLETE]
    asked = [ask(study, goal, state) for state in ends]
    choices = 3 if goal.space.preset.allocation == ("uniform",) else len(ends)
    assert len(set(asked)) == choices
    assert all(goal.limits.explain(costs(each)) is None for each in asked)


def test_without_any_value_it_still_proposes_something_new(tmp_path):
    goal = Goal(space_of(), costs, TWO)
    study = study_in(tmp_path, goal)
    assert len({ask(study, goal, TrialState.FAIL) for _ in range(5)}) == 5


def test_a_limit_on_the_measured_speed_is_learned(tmp_path):
    limits = Limits(min_speedup=3.0)
    goal = Goal(space_of(methods=["l1"]), costs, ("map", "mac_ratio"), limits, dense={"map": 0.8})
    study = study_in(tmp_path, goal)
    inside = []
    for _ in range(14):
        trial = study.ask()
        schedule = goal.space.propose(trial)
        speedup = outcome(schedule, TWO)[1]
        trial.set_constraint("min_speedup", limits.violations({"speedup": speedup})["min_speedup"])
        inside.append(speedup >= 3.0)
        study.tell(
            trial, outcome(schedule, goal.objectives) if inside[-1] else None, None if inside[-1] else TrialState.PRUNED
        )
    assert sum(inside[6:]) >= 6


def test_every_parameter_is_a_number_that_the_journal_can_hold(tmp_path):
    goal = Goal(space_of(), costs, TWO, dense={"map": 0.8})
    study = study_in(tmp_path, goal)
    for _ in range(3):
        ask(study, goal)
    json.dumps([trial.params for trial in study.trials])
