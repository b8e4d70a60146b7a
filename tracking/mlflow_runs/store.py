"""A sweep in MLflow: one parent run for the sweep, one child run for each trial, written in the background.

The records on disk are the truth. What could not be written while a server was down is written when it is back, or when
the sweep is started again.
"""

import logging
import textwrap
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from tracking.charts.write import FRONT_FILES, SENSITIVITY_FILES
from tracking.front import Front
from tracking.mlflow_runs.mlflow_client import artifact_location, make_sqlite_store, quiet_client
from tracking.mlflow_runs.run_map import RunMap, TrialRun, load_run_map, save_run_map
from tracking.mlflow_runs.runs import (
    FRONT_TAG,
    OBJECTIVES_TAG,
    PARENT_TAG,
    SWEEP_TAG,
    TRIAL_TAG,
    digest,
    duration_ms,
    end_ms,
    find_or_create_run,
    write_run,
)
from tracking.mlflow_runs.runs_client import RunsClient
from tracking.record import TrialRecord

_log = logging.getLogger(__name__)
_FIRST_WAIT_S, _LONGEST_WAIT_S, _CLOSING_WAIT_S = 0.5, 30.0, 0.5
_FRONT_JOB = -1


class SweepRuns:
    """The sweep's runs in one MLflow store, which `MlflowStore` writes in its thread. Each call may be repeated.

    Every method raises what MLflow raises.

    Args:
        tracking_uri: of the store.
        sweep_name: names the experiment and the parent run.
        folder: the sweep's own, with the map of its runs.
    """

    def __init__(self, tracking_uri: str, sweep_name: str, folder: Path) -> None:
        self._tracking_uri, self._sweep_name, self._folder = tracking_uri, sweep_name, folder
        self._map = load_run_map(folder)
        self._client: RunsClient | None = None
        self._experiment_id = ""
        self._on_front: dict[int, bool] = {}

    def shows(self, record: TrialRecord) -> bool:
        """Return whether the trial's run already shows exactly this record."""
        run = self._map.trials.get(record.number)
        return run is not None and run.digest == digest(record)

    def write_trial(self, record: TrialRecord) -> None:
        """Write the record to the trial's run; create the run if there is none."""
        client = self._connect()
        if self.shows(record):
            return
        run = self._map.trials.get(record.number) or self._new_run(client, record)
        write_run(client, run.run_id, record, run.start_ms, run.revision)
        shown = run.model_copy(update={"digest": digest(record), "revision": run.revision + 1})
        self._save(self._map.with_trial(record.number, shown))
        # After an outage a trial may be written after the front that it belongs to.
        if record.number in self._on_front:
            self._tag(client, record.number)

    def write_front(self, front: Front, folder: Path) -> None:
        """Tag each run as on the front or not, and attach the files of front and sensitivity to the parent run."""
        client = self._connect()
        self._on_front = {point.number: point.on_front for point in front.points}
        for number in self._map.trials:
            self._tag(client, number)
        for name in (*FRONT_FILES, *SENSITIVITY_FILES):
            if (folder / name).exists():
                client.log_artifact(self._map.parent, str(folder / name))
        client.set_tag(self._map.parent, OBJECTIVES_TAG, ", ".join(front.objectives))
        now = int(time.time() * 1000)
        client.log_metric(self._map.parent, "hypervolume", front.hypervolume, now, len(front.points))

    def end(self, finished: bool) -> None:
        """Mark the parent run as finished, or as killed where the sweep may be continued."""
        if self._client is not None:
            self._client.set_terminated(self._map.parent, status="FINISHED" if finished else "KILLED")

    def _tag(self, client: RunsClient, number: int) -> None:
        run, wanted = self._map.trials[number], self._on_front.get(number, False)
        if run.on_front is not wanted:
            client.set_tag(run.run_id, FRONT_TAG, "true" if wanted else "false")
            self._save(self._map.with_trial(number, run.model_copy(update={"on_front": wanted})))

    def _connect(self) -> RunsClient:
        if self._client is not None:
            return self._client
        make_sqlite_store(self._tracking_uri)
        client = quiet_client(self._tracking_uri)
        self._experiment_id = self._find_or_create_experiment(client)
        tags = {SWEEP_TAG: self._map.sweep_id}
        now = int(time.time() * 1000)
        parent, _ = find_or_create_run(client, self._experiment_id, self._sweep_name, tags, now)
        if parent != self._map.parent:
            # Another server, or one whose data were deleted: nothing of the old runs is there.
            self._save(RunMap(sweep_id=self._map.sweep_id, folder=self._map.folder, parent=parent))
        client.update_run(parent, status="RUNNING")
        self._client = client
        return client

    def _find_or_create_experiment(self, client: RunsClient) -> str:
        experiment = client.get_experiment_by_name(self._sweep_name)
        if experiment is not None:
            return str(experiment.experiment_id)
        return client.create_experiment(self._sweep_name, artifact_location(self._tracking_uri))

    def _new_run(self, client: RunsClient, record: TrialRecord) -> TrialRun:
        start = end_ms(record, int(time.time() * 1000)) - duration_ms(record)
        tags = {PARENT_TAG: self._map.parent, TRIAL_TAG: str(record.number)}
        run_id, start = find_or_create_run(client, self._experiment_id, f"trial {record.number}", tags, start)
        run = TrialRun(run_id=run_id, start_ms=start)
        self._save(self._map.with_trial(record.number, run))
        return run

    def _save(self, run_map: RunMap) -> None:
        save_run_map(self._folder, run_map)
        self._map = run_map


class MlflowStore:
    """A thread of its own that publishes a sweep to MLflow; no error there reaches the sweep.

    A write that fails is tried again after a growing pause, with one warning per outage. A record is written once
    however often it is published; a changed record of the same trial is written to the same run. The object holds a
    lock and a thread, so it cannot be pickled: keep it on the driver.

    Args:
        tracking_uri: of a server ("http://…") or a SQLite file (`default_tracking_uri`).
        sweep_name: names the experiment and the parent run.
        folder: the sweep's own; `mlflow_runs.json` in it remembers the runs.

    Raises:
        ValueError: `mlflow_runs.json` is damaged.
    """

    def __init__(self, tracking_uri: str, sweep_name: str, folder: Path) -> None:
        self._runs = SweepRuns(tracking_uri, sweep_name, folder)
        self._tracking_uri = tracking_uri
        self._records: dict[int, TrialRecord] = {}
        self._jobs: dict[int, Callable[[], None]] = {}
        self._changed = threading.Condition()
        self._finished = True
        self._closing = self._abandoned = self._warned = False
        self._thread = threading.Thread(target=self._work, name="mlflow-store", daemon=True)
        self._thread.start()

    def publish(self, record: TrialRecord) -> None:
        """Queue the record to be written, and return at once."""
        self._add(record.number, lambda: self._runs.write_trial(record), record)

    def sync(self, records: Iterable[TrialRecord]) -> None:
        """Queue every record that MLflow does not show yet, and return at once."""
        for record in records:
            self.publish(record)

    def publish_front(self, front: Front, folder: Path) -> None:
        """Queue the front: its tags, and the files of front and sensitivity for the parent run; return at once."""
        self._add(_FRONT_JOB, lambda: self._runs.write_front(front, folder), None)

    def close(self, timeout_s: float = 60.0, *, finished: bool = True) -> list[int]:
        """Write what is still queued, for at most `timeout_s` seconds, and stop.

        Args:
            timeout_s: how long to wait for a server that does not answer.
            finished: whether the sweep has ended; otherwise its run is shown as killed.

        Returns:
            The numbers of the trials that MLflow does not show, sorted; `sync` at the next start writes them.
        """
        with self._changed:
            self._closing = True
            self._finished = finished
            self._changed.notify_all()
        self._thread.join(timeout_s)
        with self._changed:
            self._abandoned = True
            self._changed.notify_all()
            unseen = [number for number, record in self._records.items() if not self._runs.shows(record)]
        if unseen:
            _log.warning("MLflow at %s lacks trials %s; the next start sends them", self._tracking_uri, sorted(unseen))
        return sorted(unseen)

    def _add(self, key: int, job: Callable[[], None], record: TrialRecord | None) -> None:
        with self._changed:
            if self._closing:
                raise ValueError("this MlflowStore is closed; open a new one")
            # Removed first: the newer version goes to the end of the queue, after the trials that a front contains.
            self._jobs.pop(key, None)
            self._jobs[key] = job
            if record is not None:
                self._records[key] = record
            self._changed.notify_all()

    def _work(self) -> None:
        wait_s = _FIRST_WAIT_S
        while (taken := self._take()) is not None:
            if self._attempt(*taken):
                wait_s = _FIRST_WAIT_S
            else:
                self._pause(wait_s)
                wait_s = min(2 * wait_s, _LONGEST_WAIT_S)
        self._end()

    def _take(self) -> tuple[int, Callable[[], None]] | None:
        """Wait for the next job and take it; None when there is nothing left to do."""
        with self._changed:
            self._changed.wait_for(lambda: self._jobs or self._closing)
            if self._abandoned or not self._jobs:
                return None
            key = next(iter(self._jobs))
            return key, self._jobs.pop(key)

    def _attempt(self, key: int, job: Callable[[], None]) -> bool:
        try:
            job()
        except Exception as error:  # whatever MLflow, its database or the network throws: the sweep goes on
            self._warn_once(error)
            with self._changed:
                # To the end of the queue: a record that MLflow refuses must not hold up the others.
                self._jobs.setdefault(key, job)
            return False
        self._warned = False
        return True

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            message = "MLflow at %s cannot be written (%s); the sweep goes on, its records are kept and sent later"
            # MLflow puts whole addresses and stack traces into its messages.
            _log.warning(message, self._tracking_uri, textwrap.shorten(str(error), 200, placeholder=" …"))
        self._warned = True

    def _pause(self, wait_s: float) -> None:
        with self._changed:
            if not self._closing:
                self._changed.wait_for(lambda: self._closing, wait_s)
            else:
                self._changed.wait_for(lambda: self._abandoned, _CLOSING_WAIT_S)

    def _end(self) -> None:
        try:
            self._runs.end(self._finished)
        except Exception as error:
            self._warn_once(error)
