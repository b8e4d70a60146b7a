"""Tune's events on their way to the display and to MLflow: real records on disk, and a real display."""

import io
import pickle
from pathlib import Path
from types import SimpleNamespace

import pytest
from rich.console import Console

from pruning.schedule import Schedule
from search.driver.callbacks import SweepCallback
from search.driver.progress import SweepProgress
from search.study.budget import Budget
from tracking.mlflow_runs.store import MlflowStore
from tracking.record import TrialRecord
from trainables.folder import TrialFolder

SCHEDULE = Schedule(method="l1", ratios={"a": 0.5}, epochs=2, learning_rate=0.1)


class Published(MlflowStore):
    """A store that keeps what it is asked to publish: to load MLflow takes longer than all tests of this file."""

    def __init__(self) -> None:
        self.records: list[TrialRecord] = []

    def publish(self, record: TrialRecord) -> None:
        self.records.append(record)


class Sweep:
    """A sweep's folder with all that its driver shows and publishes."""

    def __init__(self, storage: Path) -> None:
        self.storage, self._output = storage, io.StringIO()
        console = Console(file=self._output, width=200)
        budget, objectives = Budget(trials=4), ("map", "speedup")
        self.progress = SweepProgress(console, [], budget=budget, epochs=2, objectives=objectives)
        self.store = Published()
        self.callback = SweepCallback(storage, self.progress, self.store)

    def end(self, record: TrialRecord) -> None:
        folder = TrialFolder(self.storage, record.number)
        folder.acquire("a worker")
        folder.finish(record)

    @property
    def lines(self) -> list[str]:
        return self._output.getvalue().splitlines()

    @property
    def counts(self) -> str:
        return self.progress.summary().partition(" | ")[0]


def trial(number: int) -> SimpleNamespace:
    """What the callback needs of Tune's trial."""
    return SimpleNamespace(config={"number": number})


def finished(number: int) -> TrialRecord:
    return TrialRecord(number=number, status="finished", schedule=SCHEDULE, metrics={"map": 0.5, "speedup": 2.0})


@pytest.fixture
def sweep(tmp_path) -> Sweep:
    return Sweep(tmp_path)


def test_a_trial_is_shown_as_running_from_its_start_to_its_end(sweep):
    sweep.callback.on_trial_start(0, [], trial(3))
    assert sweep.counts == "0/4 trials, 1 running, 0 failed"
    assert "?:??:?? left" in sweep.progress.summary()
    sweep.callback.on_trial_result(1, [], trial(3), {"epoch": 1, "map": 0.4})
    assert "?:??:?? left" not in sweep.progress.summary()
    sweep.end(finished(3))
    sweep.callback.on_trial_complete(2, [], trial(3))
    assert sweep.counts == "1/4 trials, 0 running, 0 failed"
    assert [line.partition("  [")[0] for line in sweep.lines] == ["trial   3 l1    mAP 50.0%  speedup ×2.00  MACs ÷ –"]


def test_a_result_without_an_epoch_is_no_epoch(sweep):
    """Of a trial outside the limits, and of one that had ended before this driver started."""
    sweep.callback.on_trial_start(0, [], trial(0))
    sweep.callback.on_trial_result(1, [], trial(0), {"done": True, "status": "excluded"})
    assert "?:??:?? left" in sweep.progress.summary()


def test_a_trial_without_a_record_is_not_shown_as_ended(sweep):
    sweep.callback.on_trial_start(0, [], trial(0))
    sweep.callback.on_trial_complete(1, [], trial(0))
    assert (sweep.counts, sweep.lines, sweep.store.records) == ("0/4 trials, 1 running, 0 failed", [], [])


def test_what_tune_pickles_holds_no_thread_and_does_nothing(sweep):
    copy = pickle.loads(pickle.dumps(sweep.callback))
    sweep.end(finished(0))
    copy.on_trial_start(0, [], trial(0))
    copy.on_trial_result(1, [], trial(0), {"epoch": 1})
    copy.on_trial_complete(2, [], trial(0))
    assert (sweep.counts, sweep.lines, sweep.store.records) == ("0/4 trials, 0 running, 0 failed", [], [])


def test_finished_and_lost_trials_are_shown_and_published_with_their_records(sweep):
    lost = TrialRecord(number=1, status="failed", message="the worker died", schedule=SCHEDULE)
    sweep.end(finished(0))
    sweep.end(lost)
    sweep.callback.on_trial_complete(1, [], trial(0))
    sweep.callback.on_trial_error(2, [], trial(1))
    assert sweep.counts == "1/4 trials, 0 running, 1 failed"
    assert "trial   1 l1    failed: the worker died" in sweep.lines[1]
    assert sweep.store.records == [finished(0), lost]
