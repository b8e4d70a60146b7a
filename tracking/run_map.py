"""Which MLflow run is which trial's, kept in the sweep's folder: a resumed sweep goes on in the same runs."""

import uuid
from pathlib import Path

from pydantic import BaseModel, Field, ValidationError

from tracking.files import write_atomically
from tracking.record import BORDER

FILE_NAME = "mlflow_runs.json"


class TrialRun(BaseModel):
    """A trial's run: `digest` of the record it shows ("" if incomplete), how many it has shown, its tag."""

    model_config = BORDER

    run_id: str
    start_ms: int
    digest: str = ""
    revision: int = Field(default=0, ge=0)
    on_front: bool | None = None


class RunMap(BaseModel):
    """The sweep's own id (a tag of its parent run), the parent's run id, one `TrialRun` a trial number."""

    model_config = BORDER

    sweep_id: str
    parent: str = ""
    trials: dict[int, TrialRun] = {}

    def with_trial(self, number: int, run: TrialRun) -> "RunMap":
        """Return a copy in which `number` has `run`."""
        return self.model_copy(update={"trials": {**self.trials, number: run}})


def load_run_map(folder: Path) -> RunMap:
    """Read the map in `folder`; a new one, with a new id, is written there if there is none.

    Raises:
        ValueError: the file is damaged; names it.
    """
    path = folder / FILE_NAME
    if not path.exists():
        save_run_map(folder, run_map := RunMap(sweep_id=uuid.uuid4().hex))
        return run_map
    try:
        return RunMap.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ValueError(f"{path} is damaged; move it away to start new MLflow runs") from error


def save_run_map(folder: Path, run_map: RunMap) -> None:
    """Write the map into `folder`, atomically."""
    write_atomically(folder / FILE_NAME, run_map.model_dump_json(indent=2))
