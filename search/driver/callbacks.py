"""The callback of Ray Tune that passes a sweep's events on to the progress display and to MLflow."""

from pathlib import Path
from typing import Any

from ray import tune

from search.driver.progress import SweepProgress
from tracking.mlflow_runs.store import MlflowStore
from trainables.folder import TrialFolder


class SweepCallback(tune.Callback):
    """A callback that passes the record of every trial that ended on to the progress display and to MLflow.

    Tune calls the searcher first, which writes the record of a trial whose worker was lost: there is always one.

    Args:
        storage: the sweep's folder.
        progress: of this driver.
        store: of the sweep.
    """

    def __init__(self, storage: Path, progress: SweepProgress, store: MlflowStore) -> None:
        self._storage = storage
        self._watchers: tuple[SweepProgress, MlflowStore] | None = (progress, store)

    def __getstate__(self) -> dict[str, Any]:
        # Tune pickles its callbacks into a state that nobody reads; threads and terminals cannot be pickled.
        return {"_storage": self._storage, "_watchers": None}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Show that a worker has started a trial."""
        if self._watchers:
            self._watchers[0].started(trial.config["number"])

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Show that a trial has done an epoch."""
        if self._watchers and "epoch" in result:
            self._watchers[0].epoch(trial.config["number"], result["epoch"])

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on the record of a trial that ended by itself, finished or failed."""
        self._pass_on(trial.config["number"])

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Pass on the record of a trial whose worker was lost for good."""
        self._pass_on(trial.config["number"])

    def _pass_on(self, number: int) -> None:
        record = TrialFolder(self._storage, number).record()
        if self._watchers and record is not None:
            progress, store = self._watchers
            progress.ended(record)
            store.publish(record)
