"""The searcher over a real Optuna journal; this test plays Ray Tune, and kills itself at will."""

from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState
from ray.tune.search import Searcher

from pruning.groups import PrunableGroup
from pruning.schedule import Schedule
from search.journal import open_study
from search.searcher import StudySearcher
from spaces.preset import load_preset
from spaces.space import Space
from tracking.record import TrialRecord
from trainables.folder import TrialFolder

SPACE = Space(
    groups=tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab"),
    preset=load_preset("filters"),
    epochs=1,
    learning_rate=0.1,
)


def searcher(storage: Path, trials: int = 14, concurrent: int = 2, max_failures: int = 3) -> StudySearcher:
    return StudySearcher(
        storage,
        SPACE,
        objectives=("map", "speedup"),
        trials=trials,
        concurrent=concurrent,
        sampler="tpe",
        seed=0,
        max_failures=max_failures,
    )


def leave_record(storage: Path, config: dict, status: str = "finished") -> None:
    """What a worker leaves of a trial."""
    schedule = Schedule.model_validate_json(config["schedule"])
    level = sum(schedule.ratios.values()) / len(schedule.ratios)
    metrics = {"map": 0.8 - level**2, "speedup": 1 + 2 * level} if status == "finished" else {}
    folder = TrialFolder(storage, config["number"])
    folder.acquire("worker")
    folder.finish(
        TrialRecord(number=config["number"], status=status, message="went wrong", schedule=schedule, metrics=metrics)
    )


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
    return open_study(storage / "journal.log", ("map", "speedup"), "tpe", 0)


def test_the_budget_is_met_exactly_and_the_ladder_comes_first(tmp_path):
    assert run(searcher(tmp_path), tmp_path) == list(range(14))
    trials = study_of(tmp_path).trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 14
    assert [trial.params["level"] for trial in trials[:10]] == [0.0, 0.5, 0.5, 0.5, 0.25, 0.25, 0.25, 0.75, 0.75, 0.75]
    assert len({tuple(trial.params.items()) for trial in trials}) == 14


def test_the_values_told_are_those_of_the_record(tmp_path):
    run(searcher(tmp_path, trials=2), tmp_path)
    assert study_of(tmp_path).trials[1].values == [pytest.approx(0.8 - 0.25), pytest.approx(2.0)]


def test_costs_are_minimised_where_less_is_better(tmp_path):
    study = open_study(tmp_path / "journal.log", ("recall_at_1", "macs", "speedup"), "tpe", 0)
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
    rng = __import__("random").Random(seed)
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


def test_a_line_that_a_killed_driver_did_not_finish_is_dropped(tmp_path):
    run(searcher(tmp_path, trials=2), tmp_path)
    with (tmp_path / "journal.log").open("a") as journal:
        journal.write('{"op_code": 4, "worker_id"')
    assert run(searcher(tmp_path, trials=3), tmp_path) == [2]
    assert len(study_of(tmp_path).trials) >= 3
