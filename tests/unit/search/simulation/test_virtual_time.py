"""Whole sweeps in virtual time: the real searcher and rungs over closed-form trials."""

import itertools
import math
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from optuna.trial import TrialState

from search.halving.successive_halving import SuccessiveHalving
from search.simulation.virtual_time import Simulation, simulate
from search.study.budget import Budget
from search.study.journal import open_study
from search.study.search_spec import SearchSpec
from search.study.searcher import StudySearcher
from tracking.limits import Limits
from tracking.pareto import pareto_front
from trainables.folder import read_records
from trainables.simulation.closed_form import EPOCHS, closed_form

BLACKBOX = closed_form("smooth", 0)
COUNTED = ("parameters", "macs", "size_bytes", "mac_ratio", "compression")


@pytest.fixture
def storage(tmp_path: Path):
    """A folder in memory where there is such a thing: thousands of records, each flushed to the disk, take minutes."""
    memory = Path("/dev/shm")
    with TemporaryDirectory(dir=memory if memory.is_dir() else tmp_path) as folder:
        yield Path(folder)


def counted(schedule) -> dict[str, float]:
    costs = BLACKBOX.costs(schedule)
    return {key: costs[key] for key in COUNTED}


def rungs_in(storage: Path) -> SuccessiveHalving:
    return SuccessiveHalving(storage / "rungs.jsonl", epochs=EPOCHS, grace=1, reduction=3, signs=(1, 1))


def run(
    storage: Path,
    *,
    trials: int,
    slots: int,
    rungs: SuccessiveHalving | None = None,
    limits: Limits | None = None,
    sampler="random",
) -> Simulation:
    limits = limits or Limits()
    searcher = StudySearcher(
        SearchSpec(
            storage=storage,
            space=BLACKBOX.space(),
            objectives=("map", "speedup"),
            budget=Budget(trials=trials),
            concurrent=slots,
            sampler=sampler,
            seed=0,
            max_failures=0,
            costs=counted,
            limits=limits,
            **({} if rungs is None else {"was_stopped": rungs.stopped}),
        )
    )
    return simulate(searcher, rungs, BLACKBOX, slots=slots, storage=storage, limits=limits)


def dominates(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one[0] >= other[0] and one[1] >= other[1] and one != other


@pytest.mark.slow
def test_two_thousand_trials_on_64_slots_complete_and_their_front_is_the_brute_force_one(storage):
    simulation = run(storage, trials=2000, slots=64)
    records = read_records(storage)
    numbers = [each.record.number for each in simulation.ended]
    assert len(numbers) == len(set(numbers)) == len(records) == 2000
    assert sorted(each.record.number for each in simulation.finished) == [record.number for record in records]
    assert simulation.epochs == 2000 * EPOCHS
    assert max(each.running for each in simulation.ended) == 64

    points = [(record.metrics["map"], record.metrics["speedup"]) for record in records]
    brute = {point for point in points if not any(dominates(other, point) for other in points)}
    front = {points[index] for index in np.flatnonzero(pareto_front(np.array(points)))}
    assert front == brute
    study = open_study(storage / "journal.log", ("map", "speedup"))
    assert {tuple(trial.values) for trial in study.best_trials} == brute


def test_time_is_that_of_the_busiest_slots_and_runs_forward(storage):
    simulation = run(storage, trials=40, slots=4)
    times = [each.time_s for each in simulation.ended]
    assert times == sorted(times)
    busy = sum(each.record.metrics["seconds"] for each in simulation.ended)
    longest = max(each.record.metrics["seconds"] for each in simulation.ended)
    assert busy / 4 <= times[-1] <= busy / 4 + longest


def test_epochs_are_counted_as_they_are_trained(storage):
    simulation = run(storage, trials=12, slots=3)
    epochs = [each.epochs for each in simulation.ended]
    assert epochs == sorted(epochs)
    assert epochs[-1] == simulation.epochs == 12 * EPOCHS
    assert epochs[0] >= EPOCHS


def test_one_slot_is_a_plain_loop(storage):
    simulation = run(storage, trials=5, slots=1)
    assert [each.record.number for each in simulation.ended] == [0, 1, 2, 3, 4]
    assert [each.epochs for each in simulation.ended] == [EPOCHS * count for count in range(1, 6)]
    assert simulation.ended[-1].time_s == pytest.approx(
        sum(each.record.metrics["seconds"] for each in simulation.ended)
    )


def test_the_hypervolume_after_each_finished_trial_is_that_of_all_until_then(storage):
    simulation = run(storage, trials=15, slots=2)
    volumes = simulation.hypervolumes(("map", "speedup"), (0.0, 1.0))
    assert len(volumes) == 15
    for count, volume in enumerate(volumes, start=1):
        metrics = [each.record.metrics for each in simulation.finished[:count]]
        assert volume == pytest.approx(area([(each["map"], each["speedup"] - 1) for each in metrics]))


def area(points: list[tuple[float, float]]) -> float:
    """Room above (0, 0), strip by strip."""
    heights = sorted({speed for _, speed in points} | {0.0})
    strips = itertools.pairwise(heights)
    return sum((high - low) * max(quality for quality, speed in points if speed >= high) for low, high in strips)


def test_with_rungs_trials_stop_early_leave_their_curve_and_are_pruned_in_the_study(storage):
    simulation = run(storage, trials=60, slots=4, rungs=rungs_in(storage))
    stopped = [each.record for each in simulation.ended if each.record.status == "stopped"]
    assert len(stopped) + len(simulation.finished) == 60
    assert len(stopped) >= 20
    assert {len(record.curve) for record in stopped} <= {1, 3}
    for record in stopped:
        assert record.curve == BLACKBOX.curve(record.schedule)[: len(record.curve)]
        assert record.metrics["map"] == record.curve[-1].map
    assert simulation.epochs == sum(len(each.record.curve) for each in simulation.ended) < 0.6 * 60 * EPOCHS
    study = open_study(storage / "journal.log", ("map", "speedup"))
    pruned = {trial.number for trial in study.trials if trial.state is TrialState.PRUNED}
    assert pruned >= {record.number for record in stopped}


def test_a_trial_outside_the_limit_on_speed_never_trains_and_does_not_count(storage):
    simulation = run(storage, trials=10, slots=2, limits=Limits(min_speedup=2.0))
    excluded = [each.record for each in simulation.ended if each.record.status == "excluded"]
    assert excluded
    assert all(record.curve == () and record.metrics["speedup"] < 2 for record in excluded)
    assert all("min_speedup 2" in record.message for record in excluded)
    assert len(simulation.finished) == 10
    assert all(each.record.metrics["speedup"] >= 2 for each in simulation.finished)
    assert simulation.epochs == 10 * EPOCHS


def test_a_larger_budget_goes_on_where_a_simulated_sweep_ended(storage):
    first = run(storage, trials=6, slots=2)
    second = run(storage, trials=9, slots=2)
    assert (len(first.finished), len(second.finished)) == (6, 3)
    assert [record.number for record in read_records(storage)] == list(range(9))
    assert math.isclose(second.epochs, 3 * EPOCHS)
