"""The map from trials to MLflow runs, kept in the sweep's folder: a resumed sweep continues in the same runs."""

import shutil
import uuid
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tracking.files import write_atomically
from tracking.mlflow_runs.mlflow_client import ARTIFACTS_NAME, STORE_NAME
from tracking.record import BORDER

FILE_NAME = "mlflow_runs.json"


class TrialRun(BaseModel):
    """The MLflow run of one trial.

    Attributes:
        run_id: MLflow's id.
        start_ms: when the trial started.
        digest: of the record that the run shows; "" while it is incomplete.
        revision: how many versions of the record the run has shown.
        on_front: the run's tag; None while it has none.
    """

    model_config = BORDER

    run_id: str
    start_ms: int
    digest: str = ""
    revision: int = Field(default=0, ge=0)
    on_front: bool | None = None


class RunMap(BaseModel):
    """The MLflow runs of one sweep.

    Attributes:
        sweep_id: the sweep's own id, a tag of its parent run.
        parent: run id of the parent.
        folder: where the sweep's folder was when this was written.
        trials: trial number → run.
    """

    model_config = BORDER

    sweep_id: str
    parent: str = ""
    folder: str = ""
    trials: dict[int, TrialRun] = {}

    def with_trial(self, number: int, run: TrialRun) -> "RunMap":
        """Return a copy in which `number` has `run`."""
        return self.model_copy(update={"trials": {**self.trials, number: run}})


def load_run_map(folder: Path) -> RunMap:
    """Read the map in `folder`; a new one, with a new id, is written there if there is none.

    A folder that was moved or copied starts with new runs when its MLflow store lies in it, because that store holds
    the old paths of its files. Everything that it showed is in the records, and is written again.

    Raises:
        ValueError: the file is damaged; names it.
    """
    path = folder / FILE_NAME
    run_map = _read(path) if path.exists() else None
    here = str(folder.resolve())
    if run_map is not None and run_map.folder not in ("", here) and (folder / STORE_NAME).exists():
        (folder / STORE_NAME).unlink()
        shutil.rmtree(folder / ARTIFACTS_NAME, ignore_errors=True)
        run_map = None
    if run_map is None or run_map.folder != here:
        run_map = (run_map or RunMap(sweep_id=uuid.uuid4().hex)).model_copy(update={"folder": here})
        save_run_map(folder, run_map)
    return run_map


def _read(path: Path) -> RunMap:
    try:
        return RunMap.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is damaged; move it away to start new MLflow runs") from error


def save_run_map(folder: Path, run_map: RunMap) -> None:
    """Write the map into `folder`, atomically."""
    write_atomically(folder / FILE_NAME, run_map.model_dump_json(indent=2))
