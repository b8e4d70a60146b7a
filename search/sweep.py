"""A sweep from its configuration to its front, step by step."""

from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from ray import tune
from rich.console import Console

from search.build import (
    build_halving,
    build_problem,
    build_searcher,
    check_reference,
    lines_of_search,
    measured_problem,
    measures_a_map,
)
from search.config import SweepConfig
from search.context import SearchProblem, SweepContext
from search.data_check import CheckedData, DataReport, check_data
from search.driver.callbacks import SweepCallback
from search.driver.cluster import connected, trial_slots_for
from search.driver.dense_network import dense_metrics, trained_baseline
from search.driver.progress import SweepProgress
from search.driver.run_trials import run_trials
from search.errors import GO_ON, FailedError, failures_are_traced, input_is_checked
from search.halving.scheduler import SuccessiveHalvingScheduler
from search.halving.successive_halving import read_decisions
from search.results.final_evaluation import FinalEvaluation
from search.results.front_notes import front_notes
from search.sensitivity import draw_map
from search.storage import SweepStorage
from search.study.journal import check_journal
from search.study.searcher import StudySearcher
from search.terminal import say
from search.warm_start import FormerSweep, WarmStart, read_former, warm_start_from
from spaces.space import Space
from tracking.charts.write import write_front
from tracking.front import Front
from tracking.mlflow_runs.store import MlflowStore
from tracking.sensitivity import SensitivityMap, read_sensitivity
from trainables.data import open_data
from trainables.folder import TrialFolder, read_records
from trainables.ray_trainable import RayTrial
from trainables.speed.latency_cache import LatencyMeter
from trainables.speed.meter import start_meter


class SweepFailedError(FailedError):
    """The sweep ended without a result; the message says why."""


@dataclass(frozen=True)
class Sweep:
    """A sweep to start or to continue: the same call does both.

    Attributes:
        config: from the sweep file.
        storage: its folder, on a file system that every node sees.
        baselines: where dense networks are kept, shared by sweeps.
        tracking_uri: MLflow's.
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
        """Do as `_run`, with every unforeseen error in one line and its trace in the sweep's folder."""
        with failures_are_traced("", self.storage.path):
            return self._run()

    def _run(self) -> Front:
        """Check, train the dense network, map its groups, search, measure the front, write it, and show it in MLflow.

        Raises:
            BadInputError: the input is wrong; nothing was written.
            SweepFailedError: more trials failed than the sweep allows, or nothing lies inside its limits.
        """
        with ExitStack() as stack:
            with input_is_checked():
                former = read_former(self.warm_start) if self.warm_start else None
                problem = build_problem(self.config)
                data = self._check_data()
                if former is not None:
                    self._show(warm_start_from(former, problem.space))
                self.storage.check(self.config, data.fingerprint)
                stack.enter_context(connected(self.address))
                slots = trial_slots_for(self.config.resources)
                stack.enter_context(self.storage.lock())
                self.storage.claim(self.config, data.fingerprint, self.baselines, data.report.warnings)
                data.keep()
                # What an earlier start left, of a version that cannot be read, is said now and not by a worker.
                check_journal(self.storage.path / "journal.log")
                if (decisions := self.storage.path / "rungs.jsonl").is_file():
                    read_decisions(decisions)
                records = read_records(self.storage.path)
            context = self._measure(problem, former, slots)
            meter = start_meter(self.config.latency.threads)
            store = MlflowStore(self.tracking_uri, self.config.name, self.storage.path)
            final = FinalEvaluation(self.config, self.storage.path, self.baselines, meter)
            store.sync(final.merged(records))
            try:
                self._search(context, meter, store)
                front = self._finish(context.dense, final, store, data.report)
            except BaseException:
                store.close(finished=False)
                raise
            store.close()
            return front

    def _check_data(self) -> CheckedData:
        """Read every image and judge the ground truth, unless that was done before, and say what was found."""
        data = open_data(self.config.data)
        self.config.check_reported(data.select_on.protocol)
        return check_data(data, self.baselines, self.console)

    def _measure(self, problem: SearchProblem, former: FormerSweep | None, slots: int) -> SweepContext:
        """Train and score the dense network, map its groups, and return all that the search works with."""
        config, storage = self.config, self.storage.path
        baseline = trained_baseline(config, self.baselines, storage, self.console)
        dense = dense_metrics(config, storage, baseline, self.console)
        sensitivity = self._sensitivity(problem.space)
        with input_is_checked():
            check_reference(config, problem, dense)
            problem = measured_problem(config, problem, baseline, sensitivity)
            # Projected again: a tilt, or other bounds, give the same ratios other params.
            warm = warm_start_from(former, problem.space).points if former is not None else ()
        return SweepContext(config, storage, problem, slots, sensitivity, warm, dense)

    def _sensitivity(self, space: Space) -> SensitivityMap | None:
        """Return the map of this sweep: from its folder, or measured now."""
        storage = self.storage.path
        if not measures_a_map(self.config, space):
            return None
        if (storage / "sensitivity.json").is_file():
            return read_sensitivity(storage)
        return draw_map(self.config, space, self.baselines, storage, self.console)

    def _search(self, context: SweepContext, meter: LatencyMeter, store: MlflowStore) -> None:
        """Run trials until the budget is used up."""
        config, storage, space = context.config, context.storage, context.problem.space
        halving = build_halving(config, space, storage)
        searcher = build_searcher(context, halving)
        for line in lines_of_search(config, context.problem, len(searcher.spec.initial_points())):
            self._say(line)
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
                SuccessiveHalvingScheduler(halving, config.search.objectives) if halving else None,
                name=config.name,
                storage=storage,
                resources={"cpu": config.resources.cpus, "gpu": config.resources.gpus},
                callbacks=[SweepCallback(storage, progress, store)],
            )
        self._check_ended(searcher)

    def _check_ended(self, searcher: StudySearcher) -> None:
        """Say why the search ended, or raise the error that ended it."""
        if searcher.gave_up:
            failed = [record for record in read_records(self.storage.path) if record.status == "failed"]
            if len(failed) <= self.config.search.max_failures:
                raise SweepFailedError(searcher.reason or "the search gave up")
            trace = TrialFolder(self.storage.path, failed[-1].number).error_trace
            where = f", the trace is in {trace}" if trace.is_file() else ""
            message = " ".join(failed[-1].message.split())
            raise SweepFailedError(
                f"{len(failed)} trials failed, the last with: {message}{where} (when that is mended: a larger "
                "search.max_failures in the sweep file, and the same command goes on)"
            )
        if searcher.reason is None:
            raise SweepFailedError(f"interrupted with {searcher.finished} trials: {GO_ON}")
        self._say(f"the search has ended: {searcher.reason}")

    def _finish(
        self, dense: Mapping[str, float], final: FinalEvaluation, store: MlflowStore, data: DataReport
    ) -> Front:
        records = read_records(self.storage.path)
        front = final.front(records, dict(dense), notice=self._say)
        front = front.model_copy(update={"notes": (*data.warnings, *front_notes(front, data.chance))})
        for note in front.notes:
            self._say(f"note: {note}")
        write_front(front, self.storage.path)
        store.sync(final.merged(records))
        store.publish_front(front, self.storage.path)
        return front

    def _show(self, start: WarmStart) -> None:
        for line in (*start.mapped, *start.dropped):
            self._say(line)

    def _say(self, line: str) -> None:
        say(self.console, line)
