"""One trial as an MLflow run: the translation of a record, and the calls that write it.

A run that is written twice is the same as one written once: parameters and time stamps follow from the record alone.
"""

import hashlib
import math
import re
from datetime import datetime
from typing import Any

from tracking.mlflow_runs.runs_client import RunsClient
from tracking.record import RECORD_JSON, TrialRecord

PARENT_TAG = "mlflow.parentRunId"
SWEEP_TAG = "prunefront.sweep_id"
TRIAL_TAG = "prunefront.trial"
STATUS_TAG = "prunefront.status"
MESSAGE_TAG = "prunefront.message"
FRONT_TAG = "prunefront.on_front"
OBJECTIVES_TAG = "prunefront.objectives"

_RUN_STATUS: dict[str, str] = {
    "finished": "FINISHED",
    "failed": "FAILED",
    "stopped": "KILLED",
    "excluded": "KILLED",
}
_PARAMS_A_BATCH = 100
_METRICS_A_BATCH = 1000


def digest(record: TrialRecord) -> str:
    """Return the SHA-256 of the record's JSON."""
    return hashlib.sha256(record.model_dump_json().encode()).hexdigest()


def end_ms(record: TrialRecord, now_ms: int) -> int:
    """Return when the trial ended, from `time_utc` of its provenance; `now_ms` where that is not known."""
    try:
        return int(datetime.fromisoformat(record.provenance["time_utc"]).timestamp() * 1000)
    except (KeyError, ValueError):
        return now_ms


def duration_ms(record: TrialRecord) -> int:
    """Return how long the trial took: its metric `seconds`, else the sum over its epochs."""
    seconds = record.metrics.get("seconds", sum(point.seconds for point in record.curve))
    return int(1000 * seconds) if math.isfinite(seconds) else 0


def find_or_create_run(
    client: RunsClient, experiment_id: str, name: str, tags: dict[str, str], start_ms: int
) -> tuple[str, int]:
    """Return the id and the start (ms) of the run that has all these tags; create it if there is none.

    So a run that was created just before a crash is used again instead of created twice.

    Args:
        client: of the store.
        experiment_id: of the sweep's experiment.
        name: of a new run.
        tags: identify the run.
        start_ms: of a new run.
    """
    wanted = " and ".join(f"tags.`{key}` = '{value}'" for key, value in tags.items())
    runs = client.search_runs([experiment_id], wanted, max_results=1)
    run = runs[0] if runs else client.create_run(experiment_id, start_ms, tags, name)
    return run.info.run_id, run.info.start_time


def write_run(client: RunsClient, run_id: str, record: TrialRecord, start_ms: int, revision: int) -> None:
    """Write all of `record` to an existing run and end the run.

    Args:
        client: of the store that holds the run.
        run_id: the run.
        record: of the trial; its status becomes the run's, "stopped" and "excluded" as KILLED.
        start_ms: when the trial started.
        revision: how many other versions of this record the run has had; later ones win in MLflow's views.
    """
    end = start_ms + duration_ms(record)
    metrics = [*_curve(record, start_ms), *final_metrics(record, end + revision)]
    for at in range(0, len(metrics), _METRICS_A_BATCH):
        client.log_batch(run_id, metrics=metrics[at : at + _METRICS_A_BATCH])
    if revision == 0:
        _write_params(client, run_id, record)
    client.log_batch(run_id, tags=_tags(record))
    client.log_text(run_id, RECORD_JSON.dump(record), "record.json")
    if record.schedule is not None:
        client.log_text(run_id, record.schedule.model_dump_json(indent=2), "schedule.json")
    client.set_terminated(run_id, status=_RUN_STATUS[record.status], end_time=end)


def _write_params(client: RunsClient, run_id: str, record: TrialRecord) -> None:
    # A late import, for start-up: MLflow takes seconds.
    from mlflow.entities import Param

    params = [Param(_allowed(key), str(value)) for key, value in record.params.items()]
    for at in range(0, len(params), _PARAMS_A_BATCH):
        client.log_batch(run_id, params=params[at : at + _PARAMS_A_BATCH])


def _tags(record: TrialRecord) -> list[Any]:
    # A late import, for start-up: MLflow takes seconds.
    from mlflow.entities import RunTag

    tags: dict[str, str] = {STATUS_TAG: record.status}
    if record.message:
        tags[MESSAGE_TAG] = record.message
    if record.schedule is not None:
        tags["prunefront.method"] = record.schedule.method
        tags["prunefront.schedule"] = record.schedule.identity
    return [RunTag(key, value) for key, value in tags.items()]


def _curve(record: TrialRecord, start_ms: int) -> list[Any]:
    points, now = [], start_ms
    for point in record.curve:
        now += int(1000 * point.seconds)
        points += [_metric(key, getattr(point, key), now, point.epoch) for key in ("loss", "map")]
    return points


def final_metrics(record: TrialRecord, at_ms: int) -> list[Any]:
    """Return all metrics of the record, as MLflow shows them beside a run."""
    # One step after the last epoch: MLflow shows the value of the highest step as the metric's own.
    step = record.curve[-1].epoch + 1 if record.curve else 0
    return [_metric(key, value, at_ms, step) for key, value in record.metrics.items()]


def _metric(key: str, value: float, at_ms: int, step: int) -> Any:
    # A late import, for start-up: MLflow takes seconds.
    from mlflow.entities import Metric

    # MLflow would keep an infinity as 1.8e308, a number that looks real; NaN it keeps as it is.
    return Metric(key, value if math.isfinite(value) else math.nan, at_ms, step)


def _allowed(key: str) -> str:
    """Return `key` with what MLflow refuses in a name replaced."""
    return re.sub(r"[^\w.\- /:]", "_", key)
