"""The dense network of a sweep, trained and scored on the cluster, unless an earlier start has done so."""

from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from search.config import SweepConfig
from search.driver.cluster import whole_node
from search.driver.results import result_of, task_errors_in_one_line
from search.driver.tasks import fetch_weights, score_dense, train_dense
from search.driver.waiting import wait_with_progress
from search.terminal import progress_bar, say
from tracking.record import DENSE_JSON, METRICS, DenseMetrics
from trainables.baseline import Baseline, find_baseline, need_baseline
from trainables.data import open_data


def trained_baseline(config: SweepConfig, baselines: Path, storage: Path, console: Console) -> Baseline:
    """Return the dense network, trained now if it was not trained before.

    Args:
        config: of the sweep.
        baselines: where dense networks are kept.
        storage: the sweep's folder.
        console: shows each epoch.

    Raises:
        BadInputError: torchvision's weights are asked for and cannot be fetched, or the training shows that the input
            is wrong.
        FailedError: the training failed, or its worker was lost.
        FileNotFoundError: this node does not see what the training node has written.
    """
    settings = config.trial_settings
    former = find_baseline(settings, baselines)
    if former is not None:
        say(console, f"dense network: trained before ({former.folder})")
        return former
    options = whole_node(config.resources)
    if settings.network.weights == "imagenet":
        result_of(fetch_weights.options(**options).remote(settings.network.name), "fetching the weights", storage)
    epochs: Any = train_dense.options(num_returns="streaming", **options).remote(settings, baselines)
    what = "training the dense network"
    with progress_bar(console, what, settings.dense.epochs) as show, task_errors_in_one_line(what, storage):
        for reference in epochs:
            point = ray.get(reference)
            say(console, f"dense epoch {point.epoch}: loss {point.loss:.3f}, mAP {METRICS['map'].show(point.map)}")
            show(point.epoch, settings.dense.epochs)
    return need_baseline(settings, baselines)


def dense_metrics(config: SweepConfig, storage: Path, baseline: Baseline, console: Console) -> dict[str, float]:
    """Return the dense network's metrics, measured now if `dense.json` of the sweep's folder does not hold them yet.

    Args:
        config: of the sweep.
        storage: the sweep's folder.
        baseline: the dense network.
        console: shows how far the images are described, and the quality.
    """
    path = storage / "dense.json"
    if not path.is_file():
        settings = config.trial_settings
        task = score_dense.options(**config.resources.task_options).remote(settings, baseline.folder.parent)
        data = open_data(settings.data)
        images = len(data.select_on.images) + len(data.report_on.images)
        with task_errors_in_one_line("scoring the dense network", storage):
            scored = wait_with_progress(task, baseline.descriptors, images, lambda line: say(console, line))
        DENSE_JSON.write(path, DenseMetrics(scored))
    metrics = DENSE_JSON.read(path).root
    quality = config.search.objectives[0]
    shown = METRICS[quality].show(metrics[quality])
    say(console, f"dense {METRICS[quality].label} {shown} on the validation queries")
    return metrics
