"""What the driver does when Tune reports: show it, and have MLflow show it."""

from pathlib import Path
from typing import Any

from ray import tune

from search.driver.progress import SweepProgress
from tracking.mlflow_runs.store import MlflowStore
from trainables.folder import TrialFolder


class SweepCallback(tune.Callback):
    """Passes every ended trial's record on to the progress display and to MLflow.

    Tune calls the searcher first, which writes the record of a trial whose worker was lost: there is always one.
    """

    def __init__(self, storage: Path, progress: SweepProgress, store: MlflowStore) -> None:
        self._storage = storage
        self._watchers: tuple[SweepProgress, MlflowStore] | None = (progress, store)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks into a state that is thrown away; threads and terminals do not travel.
        return {"_storage": self._storage, "_watchers": None}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A worker took a trial up."""
        if self._watchers:
            self._watchers[0].started(trial.config["number"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A trial has done an epoch; after its last its record is there."""
        if self._watchers and "epoch" in result:
            self._watchers[0].epoch(trial.config["number"], result["epoch"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial ended by itself, finished or failed."""
        self._pass_on(trial.config["number"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's worker was lost for good."""
        self._pass_on(trial.config["number"])

    def _pass_on(self, number: int) -> None:
        record = TrialFolder(self._storage, number).record()
        if self._watchers and record is not None:
            progress, store = self._watchers
            progress.ended(record)
            store.publish(record)
