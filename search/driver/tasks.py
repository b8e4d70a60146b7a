"""Ray tasks for the work of a sweep besides its trials: they run where the GPUs are, not where the driver is."""

from collections.abc import Iterator
from pathlib import Path

import ray

from retrieval.networks.weights import published_weights
from retrieval.runtime.latency import Speedup
from tracking.record import EpochPoint
from trainables.baseline import need_baseline, train_baseline
from trainables.epoch_time import seconds_per_epoch
from trainables.evaluate_trial import dense_metrics, member_metrics, member_onnx
from trainables.ray_resources import use_ray_resources
from trainables.settings import TrialSettings
from trainables.speed.latency_cache import LatencyMeter


@ray.remote
def train_dense(settings: TrialSettings, baselines: Path) -> Iterator[EpochPoint]:
    """Train the dense network with the CPUs that the task was given, yielding each epoch."""
    device = use_ray_resources()
    yield from train_baseline(settings, baselines, device)


@ray.remote
def fetch_weights(architecture: str) -> None:
    """Download torchvision's weights to the node that will train the dense network."""
    published_weights(architecture)


@ray.remote
def time_epoch(settings: TrialSettings) -> float:
    """Return the estimated seconds of a trial's epoch; nothing is trained."""
    device = use_ray_resources()
    return seconds_per_epoch(settings, device)


@ray.remote
def score_dense(settings: TrialSettings, baselines: Path) -> dict[str, float]:
    """Return the dense network's metrics."""
    device = use_ray_resources()
    return dense_metrics(settings, need_baseline(settings, baselines), device)


@ray.remote
def score_member(settings: TrialSettings, baselines: Path, storage: Path, number: int) -> dict[str, float]:
    """Return a finished trial's metrics on the test queries."""
    device = use_ray_resources()
    return member_metrics(settings, need_baseline(settings, baselines), storage, number, device)


@ray.remote
def measure_member(
    settings: TrialSettings, baselines: Path, storage: Path, number: int, meter: LatencyMeter
) -> Speedup:
    """Measure a finished trial's speed again."""
    use_ray_resources()
    baseline = need_baseline(settings, baselines)
    pruned = member_onnx(settings, baseline, storage, number)
    return meter(baseline.onnx(), pruned, settings.latency)
