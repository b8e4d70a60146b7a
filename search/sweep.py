"""A sweep from its file to its front: the way of the data, in order."""

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from rich.console import Console
from rich.progress import Progress

from search.build import (
    Groups,
    build_costs,
    build_groups,
    build_halving,
    build_searcher,
    build_space,
    check_search,
    is_mapped,
)
from search.config import SweepConfig
from search.driver.callbacks import SweepCallback
from search.driver.cluster import connected, trial_slots_for, whole_node
from search.driver.progress import SweepProgress
from search.driver.run_trials import run_trials
from search.driver.tasks import fetch_weights, score_dense, train_dense
from search.driver.waiting import wait_with_progress
from search.errors import GO_ON, FailedError, input_is_checked
from search.halving.scheduler import SuccessiveHalvingScheduler
from search.results.final_evaluation import FinalEvaluation
from search.sensitivity import draw_map
from search.storage import SweepStorage
from search.study.constraints import check_reachable
from search.study.initial_points import Point
from search.study.searcher import StudySearcher
from search.warm_start import warm_points
from spaces.space import Space
from tracking.charts.write import write_front
from tracking.files import write_atomically
from tracking.front import Front
from tracking.mlflow_runs.store import MlflowStore
from tracking.record import DENSE_JSON, METRICS, DenseMetrics
from tracking.sensitivity import SensitivityMap, read_sensitivity
from trainables.baseline import find_baseline, need_baseline
from trainables.data import check_images, open_data
from trainables.folder import read_records
from trainables.ray_trainable import RayTrial
from trainables.speed.latency_cache import LatencyMeter
from trainables.speed.meter import start_meter


class SweepFailedError(FailedError):
    """The sweep ended without what was asked for; the message says why."""


@dataclass(frozen=True)
class Sweep:
    """A sweep to start, or to go on with: the same call does both.

    Args:
        config: from the sweep file.
        storage: its folder, on a file system that every node sees.
        baselines: where dense networks are kept, shared by sweeps.
        tracking_uri: of MLflow.
        address: of a Ray cluster; None for the running job's, or a local one.
        console: where progress is shown.
        warm_start: folder of a former sweep, whose front a new sweep tries first.
    """

    config: SweepConfig
    storage: SweepStorage
    baselines: Path
    tracking_uri: str
    address: str | None
    console: Console
    warm_start: Path | None = None

    def run(self) -> Front:
        """Check, train the dense network, map its groups, search, measure the front, write it, and show it in MLflow.

        Raises:
            BadInputError: the input does not allow it; nothing was written.
            SweepFailedError: more trials failed than the sweep allows, or nothing lies inside its limits.
        """
        with ExitStack() as stack:
            with input_is_checked():
                groups = build_groups(self.config)
                data = self._check_data()
                untrained = build_space(self.config, groups)
                check_search(self.config, untrained, build_costs(self.config, groups))
                warm = self._warm_start(untrained)
                self.storage.check(self.config, data)
                stack.enter_context(connected(self.address))
                places = trial_slots_for(self.config.resources)
                stack.enter_context(self.storage.lock())
                self.storage.claim(self.config, data, self.baselines)
                write_atomically(self._checked(data), "")
                records = read_records(self.storage.path)
            self._train_dense()
            dense = self._dense_metrics()
            sensitivity = self._sensitivity(groups)
            meter = start_meter(self.config.latency.threads)
            store = MlflowStore(self.tracking_uri, self.config.name, self.storage.path)
            finals = FinalEvaluation(self.config, self.storage.path, self.baselines, meter)
            store.sync(finals.merged(records))
            try:
                self._search(groups, sensitivity, warm, dense, places, meter, store)
                front = self._finish(dense, finals, store)
            except BaseException:
                store.close(finished=False)
                raise
            store.close()
            return front

    def _check_data(self) -> str:
        """Read every image, unless that was done before, and return the fingerprint of the data."""
        data = open_data(self.config.data)
        self.config.check_reported(data.select_on.protocol)
        fingerprint = data.fingerprint
        if self._checked(fingerprint).is_file():
            self._say("every image was read before: all are sound")
            return fingerprint
        with self._bar() as progress:
            task = progress.add_task("reading every image once")
            count = check_images(data.images, lambda done, total: progress.update(task, completed=done, total=total))
        self._say(f"{count} images read: all are sound")
        return fingerprint

    def _checked(self, fingerprint: str) -> Path:
        """A file that is there when these images have all been read, by this sweep or another."""
        return self.baselines / "checked" / fingerprint

    def _train_dense(self) -> None:
        """Train the dense network, unless it has been before."""
        settings = self.config.trial_settings
        found = find_baseline(settings, self.baselines)
        if found is not None:
            self._say(f"dense network: trained before ({found.folder})")
            return
        options = whole_node(self.config.resources)
        if settings.network.weights == "imagenet":
            with input_is_checked():
                _result_of(fetch_weights.options(**options).remote(settings.network.name))
        epochs: Any = train_dense.options(num_returns="streaming", **options).remote(settings, self.baselines)
        with self._bar() as progress:
            task = progress.add_task("training the dense network", total=settings.dense.epochs)
            for reference in epochs:
                point = ray.get(reference)
                line = f"dense epoch {point.epoch}: loss {point.loss:.3f}, mAP {METRICS['map'].show(point.map)}"
                self._say(line)
                progress.update(task, completed=point.epoch)
        need_baseline(settings, self.baselines)  # or say that this node does not see what another has written

    def _dense_metrics(self) -> dict[str, float]:
        path = self.storage.path / "dense.json"
        if not path.is_file():
            options = self.config.resources.task_options
            settings = self.config.trial_settings
            task = score_dense.options(**options).remote(settings, self.baselines)
            data, keep = open_data(settings.data), need_baseline(settings, self.baselines).descriptors
            images = len(data.select_on.images) + len(data.report_on.images)
            DENSE_JSON.write(path, DenseMetrics(wait_with_progress(task, keep, images, self._say)))
        metrics = DENSE_JSON.read(path).root
        quality = self.config.search.objectives[0]
        shown = METRICS[quality].show(metrics[quality])
        self._say(f"dense {METRICS[quality].label} {shown} on the validation queries")
        return metrics

    def _warm_start(self, space: Space) -> list[Point]:
        """Points from the front of a former sweep, and a word on what came over."""
        if self.warm_start is None:
            return []
        start = warm_points(self.warm_start, space)
        for line in (*start.mapped, *start.dropped):
            self._say(line)
        return list(start.points)

    def _sensitivity(self, groups: Groups) -> SensitivityMap | None:
        """The map of this sweep: from its folder, or measured now."""
        storage = self.storage.path
        if not is_mapped(self.config, groups):
            return None
        if (storage / "sensitivity.json").is_file():
            return read_sensitivity(storage)
        return draw_map(self.config, groups, self.baselines, storage, self.console)

    def _search(
        self,
        groups: Groups,
        sensitivity: SensitivityMap | None,
        warm: list[Point],
        dense: dict[str, float],
        places: int,
        meter: LatencyMeter,
        store: MlflowStore,
    ) -> None:
        """Run trials until the budget is used up."""
        config, storage = self.config, self.storage.path
        baseline = need_baseline(config.trial_settings, self.baselines)
        space = build_space(config, groups, baseline, sensitivity)
        costs = build_costs(config, groups, baseline)
        with input_is_checked():
            check_reachable(space, costs.metrics, config.limits)
        rungs = build_halving(config, space, storage)
        searcher = build_searcher(
            config, storage, space, costs, sensitivity, concurrent=places, warm=warm, rungs=rungs, dense=dense
        )
        progress = SweepProgress(
            self.console,
            read_records(storage),
            budget=config.search.budget,
            epochs=space.longest_trial,
            objectives=config.search.objectives,
            hours=lambda: searcher.hours,
        )
        trainable = tune.with_parameters(
            RayTrial,
            settings=config.trial_settings,
            storage=storage,
            baselines=self.baselines,
            meter=meter,
            limits=config.limits,
            step_timeout_s=config.search.step_timeout_s,
        )
        with progress.shown():
            run_trials(
                trainable,
                searcher,
                SuccessiveHalvingScheduler(rungs, config.search.objectives) if rungs else None,
                name=config.name,
                storage=storage,
                resources={"cpu": config.resources.cpus, "gpu": config.resources.gpus},
                callbacks=[SweepCallback(storage, progress, store)],
            )
        self._check_ended(searcher)

    def _check_ended(self, searcher: StudySearcher) -> None:
        """Say how the search ended, or raise where it did not end well."""
        if searcher.gave_up:
            failed = [record for record in read_records(self.storage.path) if record.status == "failed"]
            if len(failed) <= self.config.search.max_failures:
                raise SweepFailedError(searcher.reason or "the search gave up")
            raise SweepFailedError(
                f"{len(failed)} trials failed, the last with: {failed[-1].message} (when that is mended: a larger "
                "search.max_failures in the sweep file, and the same command goes on)"
            )
        if searcher.reason is None:
            raise SweepFailedError(f"interrupted with {searcher.finished} trials: {GO_ON}")
        self._say(f"the search has ended: {searcher.reason}")

    def _finish(self, dense: dict[str, float], finals: FinalEvaluation, store: MlflowStore) -> Front:
        records = read_records(self.storage.path)
        front = finals.front(records, dense, notice=self._say)
        write_front(front, self.storage.path)
        store.sync(finals.merged(records))
        store.publish_front(front, self.storage.path)
        return front

    def _bar(self) -> Progress:
        return Progress(console=self.console, transient=True, disable=not self.console.is_terminal)

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)


def _result_of(task: Any) -> Any:
    """A task's result, or the very error that it raised: Ray's own has the worker's trace in its message."""
    try:
        return ray.get(task)
    except RayTaskError as error:
        raise error.cause from None
