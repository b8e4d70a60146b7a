"""The sensitivity map of a sweep: every group that may lose channels is cut alone, each in a Ray task.

The worker that measures a group writes the result beside the dense network. So an interrupted map goes on where it
was, and another sweep over the same dense network, data and settings reads the same results.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import ray
from rich.console import Console

from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import get_method
from search.config import SweepConfig
from search.driver.results import result_of
from search.terminal import ShowProgress, progress_bar, say
from spaces.space import Space
from tracking.charts.write import write_sensitivity
from tracking.record import METRICS
from tracking.sensitivity import GroupSensitivity, SensitivityMap
from trainables.baseline import need_baseline
from trainables.ray_resources import use_ray_resources
from trainables.sensitivity import (
    DensePoint,
    Probe,
    keep_group,
    kept_group,
    measure_dense,
    measure_group,
    sensitivity_folder,
)
from trainables.settings import TrialSettings


def groups_to_measure(space: Space) -> tuple[PrunableGroup, ...]:
    """Return the groups that a trial may take channels from, in network order; none where no method removes any."""
    return space.free_groups if _channel_methods(space) else ()


def sensitivity_map(
    config: SweepConfig,
    space: Space,
    baselines: Path,
    notice: Callable[[str], None],
    progress: ShowProgress = lambda done, total: None,
) -> SensitivityMap:
    """Measure the groups that were not measured before, in parallel on the cluster, and return the map.

    Args:
        config: of the sweep; [sensitivity] names the ratios, the first objective is the quality.
        space: of the sweep, before it has a map.
        baselines: where the dense network is kept, which must be trained.
        notice: called with a line for each group that was measured.
        progress: called with how many groups are measured, and of how many.

    Raises:
        ValueError: no group may lose channels.
        BadInputError, FailedError: a group could not be measured; names it and says why.
    """
    free = groups_to_measure(space)
    if not free:
        raise ValueError("no trial of this sweep removes channels, so there is nothing that a sensitivity map shows")
    settings, probe = config.trial_settings, _probe(config, space)
    folder = sensitivity_folder(settings, need_baseline(settings, baselines), probe)
    options = config.resources.task_options
    kept = {group.id: before for group in free if (before := kept_group(folder, group.id)) is not None}
    dense = _measure_dense.options(**options).remote(settings, baselines, probe)
    tasks = {
        _measure_group.options(**options).remote(settings, baselines, group.id, probe): group.id
        for group in free
        if group.id not in kept
    }
    if kept:
        notice(f"sensitivity: {len(kept)} of {len(free)} groups were measured before")
    measured = {**kept, **_measured(tasks, len(free), probe, baselines, notice, progress)}
    dense_point: DensePoint = result_of(dense, "measuring the sensitivity of the dense network", baselines)
    return SensitivityMap(
        network=settings.network.name,
        method=probe.method,
        quality=probe.quality,
        dense=dense_point.quality,
        dense_macs=dense_point.macs,
        ratios=probe.ratios,
        round_to=probe.round_to,
        groups=tuple(measured[group.id] for group in free),
    )


def draw_map(config: SweepConfig, space: Space, baselines: Path, out: Path, console: Console) -> SensitivityMap:
    """Make the map as `sensitivity_map` does, showing a bar, and write it to the folder `out`, as a page too."""

    def notice(line: str) -> None:
        say(console, line)

    with progress_bar(console, "cutting each group alone") as progress:
        sensitivity = sensitivity_map(config, space, baselines, notice, progress)
    out.mkdir(parents=True, exist_ok=True)
    write_sensitivity(sensitivity, out)
    notice(f"the sensitivity of every group is in {out / 'sensitivity.html'}")
    return sensitivity


@ray.remote
def _measure_dense(settings: TrialSettings, baselines: Path, probe: Probe) -> DensePoint:
    device = use_ray_resources()
    return measure_dense(settings, need_baseline(settings, baselines), probe, device)


@ray.remote
def _measure_group(settings: TrialSettings, baselines: Path, group_id: str, probe: Probe) -> GroupSensitivity:
    device = use_ray_resources()
    baseline = need_baseline(settings, baselines)
    measured = measure_group(settings, baseline, group_id, probe, device)
    keep_group(sensitivity_folder(settings, baseline, probe), measured)
    return measured


def _channel_methods(space: Space) -> list[str]:
    return [name for name in space.preset.methods if get_method(name).removes_channels]


def _probe(config: SweepConfig, space: Space) -> Probe:
    """Channels are chosen by the first of the space's methods that removes any, with its plain hyperparameters."""
    preset, method = space.preset, _channel_methods(space)[0]
    return Probe(
        method=method,
        ratios=config.sensitivity.ratios,
        quality=config.search.objectives[0],
        hyperparameters=preset.plain_hyperparameters(method),
        round_to=preset.round_to,
        open_descriptor=preset.descriptor == "open",
    )


def _measured(
    tasks: Mapping[Any, str],
    total: int,
    probe: Probe,
    folder: Path,
    notice: Callable[[str], None],
    progress: ShowProgress,
) -> dict[str, GroupSensitivity]:
    """Return group id → its measurement, noticing each as it comes."""
    start, before = time.monotonic(), total - len(tasks)
    measured: dict[str, GroupSensitivity] = {}
    progress(before, total)
    for group in _as_they_come(tasks, folder):
        measured[group.group] = group
        per_group = (time.monotonic() - start) / len(measured)
        left = timedelta(seconds=round(per_group * (len(tasks) - len(measured))))
        notice(f"sensitivity {before + len(measured)}/{total}: {_line(group, probe)}, {left} left")
        progress(before + len(measured), total)
    return measured


def _as_they_come(tasks: Mapping[Any, str], folder: Path) -> Iterator[GroupSensitivity]:
    waiting = list(tasks)
    while waiting:
        (done,), waiting = ray.wait(waiting)
        yield result_of(done, f"measuring the sensitivity of group {tasks[done]!r}", folder)


def _line(group: GroupSensitivity, probe: Probe) -> str:
    """Return one group in words, as "layer1.0.conv1: mAP 61.2% at 32/64, 40.0% at 16/64"."""
    metric = METRICS[probe.quality]
    points = [f"{metric.show(point.quality)} at {point.kept}/{group.width}" for point in group.points]
    return f"{group.group}: {metric.label} {', '.join(points)}" if points else f"{group.group}: too narrow to be cut"
