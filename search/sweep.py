"""A sweep from its file to its front: the way of the data, in order."""

import json
import shutil
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayTaskError
from rich.console import Console
from rich.progress import Progress

from pruning.allocation import Ranking, ranking_of
from pruning.groups import PrunableGroup
from search.callbacks import SweepCallback
from search.cluster import connected, places_for, whole_node
from search.config import SweepConfig
from search.errors import GO_ON, FailedError, input_is_checked
from search.finals import Finals
from search.progress import SweepProgress
from search.searcher import StudySearcher
from search.storage import SweepStorage
from search.tasks import fetch_weights, score_dense, train_dense
from search.waiting import described
from spaces.space import Space
from tracking.files import write_atomically
from tracking.front import Front, write_front
from tracking.record import METRICS
from tracking.store import MlflowStore
from trainables.baseline import dense_groups, find_baseline, need_baseline
from trainables.data import check_images, open_data
from trainables.folder import read_records
from trainables.meter import MeterClient, start_meter
from trainables.ray_trainable import RayTrial


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
    """

    config: SweepConfig
    storage: SweepStorage
    baselines: Path
    tracking_uri: str
    address: str | None
    console: Console

    def run(self) -> Front:
        """Check, train the dense network, search, measure the front, write it, and show all of it in MLflow.

        Raises:
            BadInputError: the input does not allow it; nothing was written.
            SweepFailedError: more trials failed than the sweep allows.
        """
        with ExitStack() as stack:
            with input_is_checked():
                space = self.config.space.resolve()
                groups = dense_groups(self.config.trial_settings, open_descriptor=space.descriptor == "open")
                if space.descriptor == "open" and not any(group.descriptor for group in groups):
                    raise ValueError(
                        "space.descriptor is 'open', but no convolution writes this network's descriptor: its size "
                        "is network.descriptor_size, or a pooling mixes the channels; leave it 'locked'"
                    )
                data = self._check_data()
                self.storage.check(self.config, data)
                stack.enter_context(connected(self.address))
                places = places_for(self.config.resources)
                stack.enter_context(self.storage.lock())
                self.storage.claim(self.config, data, self.baselines)
                write_atomically(self._checked(data), "")
                records = read_records(self.storage.path)
            self._train_dense()
            dense = self._dense_metrics()
            meter = start_meter(self.config.latency.threads)
            store = MlflowStore(self.tracking_uri, self.config.name, self.storage.path)
            finals = Finals(self.config, self.storage.path, self.baselines, meter)
            store.sync(finals.merged(records))
            try:
                self._search(groups, places, meter, store)
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
            write_atomically(path, json.dumps(described(task, keep, images, self._say), indent=2))
        metrics: dict[str, float] = json.loads(path.read_text())
        quality = self.config.search.objectives[0]
        shown = METRICS[quality].show(metrics[quality])
        self._say(f"dense {METRICS[quality].label} {shown} on the validation queries")
        return metrics

    def _search(self, groups: tuple[PrunableGroup, ...], places: int, meter: MeterClient, store: MlflowStore) -> None:
        """Run trials until as many have finished as the budget says."""
        config, storage = self.config, self.storage.path
        space = self._space(groups)
        searcher = self._searcher(space, places)
        progress = SweepProgress(
            self.console,
            read_records(storage),
            trials=config.search.trials,
            epochs=space.longest_trial,
            objectives=config.search.objectives,
        )
        # Tune's own state is of no use to us: a restart reads the journal and the records (docs/architecture.md).
        scratch = storage / "tune"
        shutil.rmtree(scratch, ignore_errors=True)
        trainable = tune.with_parameters(
            RayTrial,
            settings=config.trial_settings,
            storage=storage,
            baselines=self.baselines,
            meter=meter,
        )
        tuner = tune.Tuner(
            tune.with_resources(trainable, {"cpu": config.resources.cpus, "gpu": config.resources.gpus}),
            tune_config=tune.TuneConfig(search_alg=searcher, num_samples=-1, reuse_actors=True),
            run_config=tune.RunConfig(
                name=config.name,
                storage_path=str(scratch),
                verbose=0,
                callbacks=[SweepCallback(storage, progress, store)],
                failure_config=tune.FailureConfig(max_failures=2),
                # A trial keeps its own state where any driver finds it (trainables.folder).
                checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            ),
        )
        with progress.shown():
            tuner.fit()
        shutil.rmtree(scratch, ignore_errors=True)
        if searcher.gave_up:
            failed = [record for record in read_records(storage) if record.status == "failed"]
            raise SweepFailedError(
                f"{len(failed)} trials failed, the last with: {failed[-1].message} (when that is mended: a larger "
                "search.max_failures in the sweep file, and the same command goes on)"
            )
        if searcher.finished < config.search.trials:
            ended = sum(record.status != "failed" for record in read_records(storage))
            raise SweepFailedError(f"interrupted with {ended} of {config.search.trials} trials: {GO_ON}")

    def _space(self, groups: tuple[PrunableGroup, ...]) -> Space:
        config, preset = self.config, self.config.space.resolve()
        ranking: Ranking = {}
        if preset.allocation == "global":
            dense = need_baseline(config.trial_settings, self.baselines).network()
            ranking = ranking_of(dense, groups, preset.neighbours)
        return Space(groups, preset, config.finetune.epochs, config.finetune.learning_rate, ranking)

    def _searcher(self, space: Space, places: int) -> StudySearcher:
        config = self.config
        return StudySearcher(
            self.storage.path,
            space,
            objectives=config.search.objectives,
            trials=config.search.trials,
            concurrent=places,
            sampler=config.search.sampler,
            seed=config.search.seed,
            max_failures=config.search.max_failures,
        )

    def _finish(self, dense: dict[str, float], finals: Finals, store: MlflowStore) -> Front:
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
