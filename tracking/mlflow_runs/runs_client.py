"""The calls of `mlflow.MlflowClient` that write runs: types for modules that must not wait for mlflow's import."""

from collections.abc import Sequence
from typing import Any, Protocol


class RunsClient(Protocol):
    """A client of one MLflow store; see the documentation of `mlflow.MlflowClient` for each call."""

    def get_experiment_by_name(self, name: str) -> Any:
        """Return the experiment, or None."""

    def create_experiment(self, name: str, artifact_location: str | None = None) -> str:
        """Return the new experiment's id."""

    def search_experiments(self, *, max_results: int | None = None) -> Any:
        """Return experiments."""

    def search_runs(self, experiment_ids: list[str], filter_string: str = "", *, max_results: int = 1000) -> Any:
        """Return the runs that the filter admits."""

    def create_run(
        self, experiment_id: str, start_time: int | None = None, tags: dict[str, Any] | None = None, run_name: str = ""
    ) -> Any:
        """Return the new run."""

    def update_run(self, run_id: str, status: str | None = None) -> None:
        """Change a run's status."""

    def set_terminated(self, run_id: str, status: str | None = None, end_time: int | None = None) -> None:
        """End a run."""

    def set_tag(self, run_id: str, key: str, value: Any) -> Any:
        """Set one tag of a run."""

    def log_metric(
        self, run_id: str, key: str, value: float, timestamp: int | None = None, step: int | None = None
    ) -> Any:
        """Write one value of a metric."""

    def log_batch(
        self, run_id: str, metrics: Sequence[Any] = (), params: Sequence[Any] = (), tags: Sequence[Any] = ()
    ) -> Any:
        """Write many metrics, parameters and tags."""

    def log_text(self, run_id: str, text: str, artifact_file: str) -> None:
        """Write a text as an artifact."""

    def log_artifact(self, run_id: str, local_path: str) -> None:
        """Copy a file as an artifact."""
