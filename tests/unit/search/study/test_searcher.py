"""The searcher over a real Optuna journal; this test plays Ray Tune, and kills itself at will."""

import random
from contextlib import suppress
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from search.study.budget import Budget, StagnationSettings
from search.study.constraints import EXCLUSIONS_UNTIL_GIVEN_UP
from search.study.journal import open_study
from search.study.proposals import REPEATS_UNTIL_EXHAUSTED
from search.study.search_spec import SearchSpec
from search.study.searcher import StudySearcher
from spaces.preset import load_preset
from spaces.space import Space
from tracking.limits import Limits
from tracking.record import EpochPoint, TrialRecord
from trainables.folder import TrialFolder

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")
SPACE = Space(groups=GROUPS, preset=load_preset("filters"), epochs=4, learning_rate=0.1)
# Eight widths for both groups alike, one method that draws nothing: 17 different schedules at most.
FEW = load_preset("filters", methods=["l1"], allocation="uniform")
SMALL = Space(groups=GROUPS, preset=FEW, epochs=4, learning_rate=0.1)


def costs(schedule: Schedule) -> dict[str, float]:
    """Of a network whose operations and bytes go with the square of the kept share."""
    kept = 1 - sum(schedule.ratios.values()) / len(schedule.ratios)
    smaller = 1 / kept**2
    return {
        "parameters": 1e5 / smaller,
        "macs": 1e6 / smaller,
        "size_bytes": 4e5 / smaller,
        "mac_ratio": smaller,
        "compression": smaller,
    }


def searcher(storage: Path, trials: int | None = 14, *, space: Space = SPACE, **changes) -> StudySearcher:
    settings = {
        "objectives": ("map", "speedup"),
        "budget": Budget(trials=trials) if trials else None,
        "concurrent": 2,
        "sampler": "tpe",
        "seed": 0,
        "max_failures": 3,
        "costs": costs,
    }
    return StudySearcher(SearchSpec(storage=storage, space=space, **(settings | changes)))


def curve_of(epochs: int) -> tuple[EpochPoint, ...]:
    return tuple(EpochPoint(epoch=epoch, loss=1.0, map=0.1 * epoch, seconds=1.0) for epoch in range(1, epochs + 1))


def leave_record(storage: Path, config: dict, status: str = "finished", **metrics: float) -> None:
    """What a worker leaves of a trial."""
    schedule = Schedule.model_validate_json(config["schedule"])
    level = sum(schedule.ratios.values()) / len(schedule.ratios)
    if status == "finished":
        metrics = {"map": 0.8 - level**2, "speedup": 1 + 2 * level} | metrics
    folder = TrialFolder(storage, config["number"])
    folder.acquire("worker")
    record = TrialRecord(
        number=config["number"],
        status=status,
        message="went wrong",
        schedule=schedule,
        metrics=metrics,
        curve=curve_of(schedule.epochs) if status == "finished" else (),
    )
    folder.finish(record)


def run(search: StudySearcher, storage: Path) -> list[int]:
    """Tune's loop with one worker; returns the numbers in order."""
    numbers = []
    while (config := search.suggest(f"tune-{len(numbers)}")) != Searcher.FINISHED:
        assert config is not None
        leave_record(storage, config)
        search.on_trial_complete(f"tune-{len(numbers)}", {})
        numbers.append(config["number"])
    return numbers


def study_of(storage: Path) -> optuna.Study:
    return open_study(storage / "journal.log", ("map", "speedup"))


def states_of(storage: Path) -> list[TrialState]:
    return [trial.state for trial in study_of(storage).trials]


def test_the_budget_is_met_exactly_and_the_ladder_comes_first_spread_over_its_costs(tmp_path):
    search = searcher(tmp_path)
    numbers = run(search, tmp_path)
    assert len(numbers) == search.finished == 14
    assert search.reason == "14 of 14 trials have finished"
    trials = study_of(tmp_path).trials
    ladder = len(SPACE.ladder())
    assert sorted(trial.params["level"] for trial in trials[:4]) == [0.0, 0.25, 0.5, 0.75]
    assert {trial.params["level"] for trial in trials[4:ladder]} == {0.5}
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert {trial.number for trial in trials if "repeat_of" not in trial.user_attrs} == set(numbers)


def test_the_values_told_are_those_of_the_record(tmp_path):
    run(searcher(tmp_path, trials=2), tmp_path)
    for number in range(2):
        metrics = TrialFolder(tmp_path, number).record().metrics
        assert study_of(tmp_path).trials[number].values == [metrics["map"], metrics["speedup"]]


def test_costs_are_minimised_where_less_is_better(tmp_path):
    study = open_study(tmp_path / "journal.log", ("recall_at_1", "macs", "speedup"))
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE", "MAXIMIZE"]
    assert study.metric_names == ["recall_at_1", "macs", "speedup"]


def test_no_more_than_allowed_run_at_once_nor_more_than_the_budget_needs(tmp_path):
    search = searcher(tmp_path, trials=3, concurrent=2)
    first, second = search.suggest("a"), search.suggest("b")
    assert {first["number"], second["number"]} == {0, 1}
    assert search.suggest("c") is None
    leave_record(tmp_path, first)
    search.on_trial_complete("a", {})
    leave_record(tmp_path, second)
    search.on_trial_complete("b", {})
    assert search.suggest("c")["number"] == 2
    assert search.suggest("d") is None


def test_a_larger_budget_goes_on_where_the_sweep_ended(tmp_path):
    assert run(searcher(tmp_path, trials=3), tmp_path) == [0, 1, 2]
    assert run(searcher(tmp_path, trials=5), tmp_path) == [3, 4]
    assert run(searcher(tmp_path, trials=5), tmp_path) == []


def test_a_failed_trial_is_told_with_its_message_and_not_counted(tmp_path):
    search = searcher(tmp_path, trials=2)
    leave_record(tmp_path, search.suggest("a"), status="failed")
    search.on_trial_complete("a", {})
    assert run(search, tmp_path) == [1, 2]
    failed = study_of(tmp_path).trials[0]
    assert (failed.state, failed.user_attrs["message"]) == (TrialState.FAIL, "went wrong")


def test_a_lost_worker_leaves_a_failed_record(tmp_path):
    search = searcher(tmp_path)
    number = search.suggest("a")["number"]
    search.on_trial_complete("a", error=True)
    record = TrialFolder(tmp_path, number).record()
    assert record.status == "failed"
    assert "worker was lost" in record.message
    assert record.schedule is not None
    assert search.failed == 1


def test_the_last_error_of_a_lost_worker_is_the_records_message(tmp_path):
    search = searcher(tmp_path)
    folder = TrialFolder(tmp_path, search.suggest("a")["number"])
    folder.acquire("worker")
    folder.note_error("OutOfMemoryError: 80 GiB")
    search.on_trial_complete("a", error=True)
    assert folder.record().message == "OutOfMemoryError: 80 GiB"


def test_a_record_that_a_worker_wrote_in_time_stands(tmp_path):
    search = searcher(tmp_path)
    config = search.suggest("a")
    leave_record(tmp_path, config)
    search.on_trial_complete("a", error=True)
    assert TrialFolder(tmp_path, config["number"]).record().status == "finished"
    assert search.finished == 1


def test_after_too_many_failures_the_search_gives_up(tmp_path):
    search = searcher(tmp_path, trials=10, max_failures=1)
    for name in "ab":
        leave_record(tmp_path, search.suggest(name), status="failed")
        search.on_trial_complete(name, {})
    assert search.gave_up
    assert search.suggest("c") == Searcher.FINISHED


def test_a_restart_hands_interrupted_trials_out_again_with_the_same_schedule(tmp_path):
    killed = searcher(tmp_path)
    interrupted = [killed.suggest("a"), killed.suggest("b")]
    restarted = searcher(tmp_path)
    assert [restarted.suggest("x"), restarted.suggest("y")] == interrupted


def test_a_record_that_was_never_told_is_told_on_the_next_start(tmp_path):
    killed = searcher(tmp_path, trials=2)
    leave_record(tmp_path, killed.suggest("a"))  # the driver dies before it hears of it
    assert run(searcher(tmp_path, trials=2), tmp_path) == [1]
    assert study_of(tmp_path).trials[0].state == TrialState.COMPLETE


@pytest.mark.parametrize("seed", range(3))
def test_however_often_the_driver_dies_the_count_is_exact(tmp_path, seed):
    rng = random.Random(seed)
    for _ in range(200):
        search, running = searcher(tmp_path, trials=12, concurrent=3), {}
        for step in range(rng.randint(0, 8)):
            config = search.suggest(f"t{step}")
            if isinstance(config, dict):
                running[f"t{step}"] = config
            if running and rng.random() < 0.7:
                name = rng.choice(sorted(running))
                leave_record(tmp_path, running[name])
                if rng.random() < 0.7:
                    search.on_trial_complete(name, {})
                del running[name]
        if search.finished >= 12:
            break
    run(searcher(tmp_path, trials=12), tmp_path)
    states = [trial.state for trial in study_of(tmp_path).trials]
    assert states.count(TrialState.COMPLETE) == 12
    assert set(states) == {TrialState.COMPLETE}


def test_the_first_points_leave_half_of_the_trials_to_the_sampler(tmp_path):
    points = [SPACE.point({"level": level / 20}) for level in range(1, 18)]
    searcher(tmp_path, trials=12, first_points=tuple(points)).suggest("one")
    study = open_study(tmp_path / "journal.log", ("map", "speedup"))
    assert len(study.trials) == 6


def test_the_first_points_come_before_the_sampler_and_once(tmp_path):
    point = SPACE.point({"method": "l1", "level": 0.6, "offset:a": 0.1})
    first = searcher(tmp_path, first_points=(point, point))
    run(first, tmp_path)
    restarted = searcher(tmp_path, trials=16, first_points=(SPACE.point({"level": 0.3}),))
    run(restarted, tmp_path)
    at = [number for number, trial in enumerate(study_of(tmp_path).trials) if trial.params["level"] == 0.6]
    assert at
    assert at[0] <= len(SPACE.ladder())
    assert 0.3 not in [trial.params["level"] for trial in study_of(tmp_path).trials]


def test_a_proposal_outside_the_limits_is_told_as_violated_and_never_handed_out(tmp_path):
    search = searcher(tmp_path, trials=8, limits=Limits(max_macs=5e5))
    numbers = run(search, tmp_path)
    assert len(numbers) == 8
    trials = study_of(tmp_path).trials
    excluded = [trial for trial in trials if "excluded" in trial.user_attrs]
    assert excluded
    for trial in trials[: numbers[-1] + 1]:
        assert list(trial.constraints) == ["max_macs"]
        assert (trial.constraints["max_macs"] > 0) == (trial in excluded)
    assert {trial.state for trial in excluded} == {TrialState.PRUNED}
    assert not {trial.number for trial in excluded} & set(numbers)
    assert "max_macs 500000: macs is" in excluded[0].user_attrs["excluded"]
    assert not any(TrialFolder(tmp_path, trial.number).path.exists() for trial in excluded)


def test_limits_that_exclude_everything_end_the_search_with_the_limit_and_the_nearest_miss(tmp_path):
    search = searcher(tmp_path, sampler="random", limits=Limits(max_macs=1.0, max_parameters=1e5))
    assert search.suggest("a") == Searcher.FINISHED
    assert search.gave_up
    assert f"{EXCLUSIONS_UNTIL_GIVEN_UP} proposals in a row" in search.reason
    assert "max_macs" in search.reason
    assert len(states_of(tmp_path)) == EXCLUSIONS_UNTIL_GIVEN_UP
    assert search.finished == 0


def test_a_trial_that_its_own_measure_excludes_is_pruned_with_its_constraint_and_not_counted(tmp_path):
    search = searcher(tmp_path, trials=1, limits=Limits(min_speedup=3.0))
    leave_record(tmp_path, search.suggest("a"), status="excluded", speedup=1.5)
    search.on_trial_complete("a", {})
    trial = study_of(tmp_path).trials[0]
    assert (trial.state, trial.constraints) == (TrialState.PRUNED, {"min_speedup": pytest.approx(0.5)})
    assert search.finished == 0
    assert len(run(search, tmp_path)) == 1


def test_an_exact_repeat_of_a_finished_trial_is_answered_from_the_study(tmp_path):
    search = searcher(tmp_path, trials=100, space=SMALL, sampler="random")
    numbers = run(search, tmp_path)
    schedules = {TrialFolder(tmp_path, number).record().schedule.identity for number in numbers}
    assert len(schedules) == len(numbers) < 18
    assert "exhausted" in search.reason
    assert not search.gave_up
    repeats = [trial for trial in study_of(tmp_path).trials if "repeat_of" in trial.user_attrs]
    assert len(repeats) >= REPEATS_UNTIL_EXHAUSTED
    for trial in repeats:
        assert trial.values == study_of(tmp_path).trials[trial.user_attrs["repeat_of"]].values
        assert not TrialFolder(tmp_path, trial.number).path.exists()
    assert search.finished == len(numbers)
    again = searcher(tmp_path, trials=100, space=SMALL, sampler="random")
    assert (again.finished, run(again, tmp_path)) == (len(numbers), [])


def test_a_repeat_of_a_running_trial_is_pruned(tmp_path):
    search = searcher(tmp_path, trials=None, budget=Budget(hours=1.0), space=SMALL, sampler="random", concurrent=100)
    found = []
    while isinstance(config := search.suggest(f"tune-{len(found)}"), dict):
        found.append(config["number"])
    trials = study_of(tmp_path).trials
    repeats = [trial for trial in trials if "repeat_of" in trial.user_attrs]
    assert {trial.state for trial in repeats} == {TrialState.PRUNED}
    assert {trial.user_attrs["repeat_of"] for trial in repeats} <= set(found)


def test_a_grid_is_walked_to_its_end_and_not_beyond(tmp_path):
    search = searcher(tmp_path, trials=100, sampler="grid")
    assert len(run(search, tmp_path)) == len(SPACE.grid(10))
    assert "grid" in search.reason
    assert run(searcher(tmp_path, trials=100, sampler="grid"), tmp_path) == []


def test_a_trial_that_the_scheduler_stopped_gets_its_record_from_the_driver(tmp_path):
    search = searcher(tmp_path, was_stopped=lambda number: number == 0)
    config = search.suggest("a")
    folder = TrialFolder(tmp_path, config["number"])
    folder.acquire("worker")
    folder.save_checkpoint({}, curve_of(2))
    search.on_trial_complete("a", {"map": 0.2, "speedup": 1.5, "loss": float("nan"), "pid": 7, "done": False})
    record = folder.record()
    assert (record.status, record.message) == ("stopped", "stopped by the scheduler after epoch 2 of 4")
    assert record.metrics == {"map": 0.2, "speedup": 1.5}
    assert record.curve == curve_of(2)
    assert search.finished == 1
    trial = study_of(tmp_path).trials[0]
    assert (trial.state, trial.user_attrs["message"]) == (TrialState.PRUNED, record.message)


def test_a_trial_that_a_dying_driver_lets_go_stays_interrupted(tmp_path):
    search = searcher(tmp_path)
    config = search.suggest("a")
    search.on_trial_complete("a", {"map": 0.2})
    assert TrialFolder(tmp_path, config["number"]).record() is None
    assert searcher(tmp_path).suggest("b") == config


def test_a_restart_writes_the_record_of_a_trial_that_was_stopped_before_the_driver_died(tmp_path):
    killed = searcher(tmp_path)
    stopped, running = killed.suggest("a"), killed.suggest("b")
    folder = TrialFolder(tmp_path, stopped["number"])
    folder.acquire("worker")
    folder.save_checkpoint({}, curve_of(1))
    restarted = searcher(tmp_path, was_stopped=lambda number: number == stopped["number"])
    assert restarted.suggest("x") == running
    assert folder.record().status == "stopped"
    assert folder.record().metrics == costs(folder.record().schedule) | {"map": 0.1}
    assert restarted.finished == 1


def test_a_finished_trial_without_a_finite_objective_is_pruned_with_a_message(tmp_path):
    search = searcher(tmp_path, objectives=("map", "latency_ms"))
    leave_record(tmp_path, search.suggest("a"))
    search.on_trial_complete("a", {})
    trial = open_study(tmp_path / "journal.log", ("map", "latency_ms")).trials[0]
    assert (trial.state, trial.user_attrs["message"]) == (TrialState.PRUNED, "no finite value of latency_ms")


def test_epochs_are_never_overspent_and_a_larger_budget_goes_on(tmp_path):
    search = searcher(tmp_path, budget=Budget(epochs=15), concurrent=8)
    assert len(run(search, tmp_path)) == 3
    assert search.reason == "12 of 15 epochs are trained, and one more trial takes up to 4"
    running = [searcher(tmp_path, budget=Budget(epochs=20), concurrent=8)]
    assert [isinstance(running[0].suggest(name), dict) for name in "abc"] == [True, True, False]


def test_hours_are_counted_over_restarts(tmp_path):
    now = [0.0]
    first = searcher(tmp_path, budget=Budget(hours=2.0), now=lambda: now[0])
    config = first.suggest("a")
    now[0] = 5400.0
    assert first.suggest("b") is not None
    leave_record(tmp_path, config)
    first.on_trial_complete("a", {})
    second = searcher(tmp_path, budget=Budget(hours=2.0), now=lambda: now[0])
    assert isinstance(second.suggest("a"), dict)
    now[0] += 1801.0
    assert second.suggest("b") is None
    second.on_trial_complete("a", {}, error=True)
    assert second.suggest("c") == Searcher.FINISHED
    assert "hours are over" in second.reason


def test_a_front_that_stands_still_ends_the_search_also_after_a_restart(tmp_path):
    budget = Budget(trials=500, stop=StagnationSettings(growth=0.05, trials=6))
    search = searcher(tmp_path, budget=budget)
    ended = len(run(search, tmp_path))
    assert 6 < ended < 100
    assert "the front's hypervolume has grown by" in search.reason
    assert run(searcher(tmp_path, budget=budget), tmp_path) == []


def test_a_full_disk_ends_the_search_and_the_same_command_goes_on(tmp_path, full_disk):
    run(searcher(tmp_path, trials=3), tmp_path)
    full = searcher(tmp_path, trials=6)
    config = full.suggest("a")
    leave_record(tmp_path, config)
    with full_disk((tmp_path / "journal.log").stat().st_size + 20):
        full.on_trial_complete("a", {})
        with pytest.raises(OSError, match="too large"):
            full.suggest("b")
    assert (tmp_path / "journal.log").read_bytes().endswith(b"\n")
    again = searcher(tmp_path, trials=6)
    assert again.finished == 4
    assert run(again, tmp_path) == [4, 5]
    assert states_of(tmp_path)[:6] == [TrialState.COMPLETE] * 6


@pytest.mark.parametrize("room", range(0, 2500, 250))
def test_wherever_a_proposal_is_cut_off_by_a_full_disk_the_count_stays_exact(tmp_path, full_disk, room):
    run(searcher(tmp_path, trials=12), tmp_path)
    full = searcher(tmp_path, trials=14)
    assert full.finished == 12
    with full_disk((tmp_path / "journal.log").stat().st_size + room), suppress(OSError):
        full.suggest("a")
    again = searcher(tmp_path, trials=14)
    assert len(run(again, tmp_path)) == 2
    assert again.finished == 14
    assert TrialState.RUNNING not in states_of(tmp_path)


def test_a_budget_of_less_than_one_trial_is_refused(tmp_path):
    with pytest.raises(ValueError, match="3 epochs is less than one trial's, 4"):
        searcher(tmp_path, budget=Budget(epochs=3))


def test_a_space_with_one_candidate_is_exhausted_after_it_by_the_sampler_that_learns(tmp_path):
    one = load_preset("filters", methods=["l1"], allocation="uniform", level=0.5)
    space = Space(groups=GROUPS, preset=one, epochs=4, learning_rate=0.1)
    search = searcher(tmp_path, space=space, sampler="ehvi")
    assert run(search, tmp_path) == [0]
    assert "the space is exhausted" in search.reason


def test_points_of_a_former_sweep_come_first_for_the_sampler_that_learns_too(tmp_path):
    points = [SPACE.point({"method": "fpgm", "level": level}) for level in (0.2, 0.4, 0.6)]
    search = searcher(tmp_path, trials=8, sampler="ehvi", first_points=tuple(points), dense={"map": 0.8})
    run(search, tmp_path)
    trials = study_of(tmp_path).trials
    assert sorted(trial.params["level"] for trial in trials[:3]) == [0.2, 0.4, 0.6]
    assert all("fixed_params" not in trial.system_attrs for trial in trials[3:])
