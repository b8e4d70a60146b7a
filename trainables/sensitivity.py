"""The quality of the network after one group of channels alone is cut, without training.

Everything else is done as at a trial's end (`trainables.trial`): BatchNorm statistics are measured anew on the same
batches, the whitening is fitted again, and the network is scored as it would be delivered.
"""

import logging
import math
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, Field, ValidationError
from torch import nn

from pruning.cost import count_macs
from pruning.graph.groups import PrunableGroup, find_groups
from pruning.identity import json_identity
from pruning.names import nearest_name
from pruning.schedule import Schedule, hyperparameter_fields
from pruning.surgery import cut
from pruning.widths import kept_count
from tracking.files import write_atomically
from tracking.record import BORDER
from tracking.sensitivity import CutPoint, GroupSensitivity
from tracking.validation import first_error
from trainables.baseline import Baseline
from trainables.data import open_data, plain_batches
from trainables.delivery import drop_training_head_, shared_whitening
from trainables.retrieval_quality import QualityEvaluator
from trainables.settings import Settings, TrialSettings, example_image, tracing_image

_log = logging.getLogger(__name__)


class Probe(Settings):
    """The measurement that is made of every group in turn.

    Attributes:
        method: chooses the channels that are removed.
        hyperparameters: of the method, by name.
        round_to: widths are multiples of this.
        open_descriptor: whether the group that the descriptor is read from may lose channels.
        ratios: shares of the group's channels, ascending, each in (0, 1).
        quality: key of the metric that is measured.
    """

    method: str
    ratios: tuple[float, ...]
    quality: str
    hyperparameters: dict[str, int | float] = Field(default_factory=dict)
    round_to: int = 8
    open_descriptor: bool = False

    def flat(self) -> dict[str, Any]:
        """Return one key a decision, JSON-ready: part of the hash that identifies its measurements."""
        return {**self.model_dump(exclude={"hyperparameters"}), **self.hyperparameters}

    def schedule(self, group_id: str, ratio: float) -> Schedule:
        """Return a schedule of this group alone, at this ratio; no trial runs it, so its epochs have no meaning."""
        return Schedule(
            method=self.method,
            ratios={group_id: ratio},
            epochs=1,
            learning_rate=1.0,
            round_to=self.round_to,
            open_descriptor=self.open_descriptor,
            **hyperparameter_fields(self.hyperparameters),
        )


class DensePoint(BaseModel):
    """The dense network as it is delivered.

    Attributes:
        quality: by the probe's metric.
        macs: multiply-adds for one image.
    """

    model_config = BORDER

    quality: float
    macs: int = Field(gt=0)


def measure_dense(settings: TrialSettings, baseline: Baseline, probe: Probe, device: torch.device) -> DensePoint:
    """Measure what the groups are compared with, as `trainables.evaluate_trial.dense_metrics` does."""
    delivered = baseline.delivered()
    metrics = QualityEvaluator(settings, baseline, device).split_metrics(delivered, "select_on", baseline.descriptors)
    return DensePoint(quality=metrics[probe.quality], macs=_macs(delivered, settings))


def measure_group(
    settings: TrialSettings, baseline: Baseline, group_id: str, probe: Probe, device: torch.device
) -> GroupSensitivity:
    """Cut one group of the dense network at each of the probe's ratios, and score what is left.

    Ratios that round to the same width are one point; those that round to the dense width are none. The quality is NaN
    where the network has no such metric.

    Args:
        settings: of the sweep.
        baseline: the dense network.
        group_id: which group is cut.
        probe: how, and at which ratios.
        device: where descriptors are computed.

    Raises:
        ValueError: the network has no such group, or it is locked.
    """
    dense = baseline.network()
    example = tracing_image(settings.data.image_size)
    groups = find_groups(dense, example, open_descriptor=probe.open_descriptor)
    group = _group_of(groups, group_id)
    delivered = baseline.delivered()
    dense_macs, whitening = _macs(delivered, settings), shared_whitening(delivered, settings)
    data = open_data(settings.data)
    batches = plain_batches(data, settings.finetune, settings.finetune.recalibration_steps)
    evaluator = QualityEvaluator(settings, baseline, device)
    ratio_of = {kept_count(group.width, ratio, probe.round_to): ratio for ratio in probe.ratios}
    points = []
    for kept, ratio in ratio_of.items():
        if kept < group.width:
            schedule = probe.schedule(group_id, ratio)
            plan = schedule.build_method().choose(dense, groups, schedule.ratios, schedule.round_to)
            small = cut(dense, plan, example, open_descriptor=probe.open_descriptor)
            network, metrics = evaluator.cut_metrics(small, data, batches.epoch(0), whitening)
            quality, saved = metrics.get(probe.quality, math.nan), dense_macs - _macs(network, settings)
            points.append(CutPoint(kept=kept, quality=quality, macs_saved=saved))
    return GroupSensitivity(group=group_id, width=group.width, points=tuple(points))


def sensitivity_folder(settings: TrialSettings, baseline: Baseline, probe: Probe) -> Path:
    """Return the folder of measurements: with the dense network, under the hash of all else that they depend on."""
    parts = {
        "probe": probe.flat(),
        "data": open_data(settings.data).fingerprint,
        "read": settings.data.model_dump(mode="json", include={"select_on", "image_size", "training_size"}),
        "finetune": settings.finetune.model_dump(include={"batch_size", "recalibration_steps", "seed"}),
        "descriptor": settings.descriptor.model_dump(),
        "evaluation": settings.evaluation.model_dump(exclude={"batch_size"}),
    }
    return baseline.folder / f"sensitivity-{json_identity(parts)}"


def keep_group(folder: Path, sensitivity: GroupSensitivity) -> None:
    """Write a group's measurement into `folder`, in a file of its own."""
    write_atomically(folder / f"{sensitivity.group}.json", sensitivity.model_dump_json(indent=2))


def kept_group(folder: Path, group_id: str) -> GroupSensitivity | None:
    """Return what `keep_group` wrote; None when there is no file, or it is damaged: the group is measured again."""
    path = folder / f"{group_id}.json"
    if not path.is_file():
        return None
    try:
        return GroupSensitivity.model_validate_json(path.read_bytes())
    except ValidationError as error:
        why = first_error(error, GroupSensitivity)
        _log.warning("%s cannot be read, the group is measured again: %s", path, why)
        return None


def _group_of(groups: list[PrunableGroup], group_id: str) -> PrunableGroup:
    by_id = {group.id: group for group in groups}
    if group_id not in by_id:
        raise ValueError(f"no group {group_id!r} in this network; nearest: {nearest_name(group_id, by_id)!r}")
    if by_id[group_id].locked:
        raise ValueError(f"group {group_id!r} is locked: all {by_id[group_id].width} of its channels must stay")
    return by_id[group_id]


def _macs(delivered: nn.Module, settings: TrialSettings) -> int:
    return count_macs(drop_training_head_(delivered.cpu()), example_image(settings.data.image_size))
