"""What is measured around the trials: the dense network itself, and finished networks on the test queries."""

import shutil
from pathlib import Path
from typing import Literal

import torch
from torch import nn

from pruning.cost import cost_of
from retrieval.evaluation.index import EXACT
from retrieval.runtime.onnx_model import to_onnx
from tracking.record import METRICS, count_metrics
from trainables.baseline import Baseline
from trainables.data import open_data
from trainables.folder import TrialFolder
from trainables.retrieval_quality import examine, quality_metrics
from trainables.settings import TrialSettings, example_image, traced_size
from trainables.trial import replay


def score(
    network: nn.Module,
    settings: TrialSettings,
    split: Literal["select_on", "report_on"],
    baseline: Baseline,
    device: torch.device,
    keep: Path | None = None,
) -> dict[str, float]:
    """Figures of one split; the keys of `report_on` begin with `test_`.

    `keep` as in `trainables.retrieval_quality.examine`.
    """
    data = open_data(settings.data)
    queries = data.select_on if split == "select_on" else data.report_on
    metrics = quality_metrics(examine(network, queries, settings, baseline, device, keep))
    network.cpu()
    if split == "select_on":
        return metrics
    # What is not a figure of the queries, as the size of the descriptor, has no second value.
    return {f"test_{key}": value for key, value in metrics.items() if f"test_{key}" in METRICS}


def dense_metrics(settings: TrialSettings, baseline: Baseline, device: torch.device) -> dict[str, float]:
    """The dense network's metrics on both splits; its speedup is 1 by definition."""
    network = baseline.delivered()
    cost = cost_of(network, example_image(settings.data.image_size))
    return {
        **score(network, settings, "select_on", baseline, device, baseline.descriptors),
        **score(network, settings, "report_on", baseline, device, baseline.descriptors),
        **count_metrics(cost, cost),
        "speedup": 1.0,
    }


def member_metrics(
    settings: TrialSettings, baseline: Baseline, storage: Path, number: int, device: torch.device
) -> dict[str, float]:
    """A finished trial's figures on the test queries, and its time of search again; nothing else runs meanwhile.

    An extraction that was interrupted goes on.
    """
    network = trial_network(settings, baseline, storage, number)
    keep = TrialFolder(storage, number).path / "descriptors"
    metrics = score(network, settings, "report_on", baseline, device, keep)
    shutil.rmtree(keep)  # gigabytes with a million distractors
    if settings.evaluation.index != EXACT:
        # The trial timed it beside others.
        metrics["search_ms"] = score(network, settings, "select_on", baseline, device)["search_ms"]
    return metrics


def trial_network(settings: TrialSettings, baseline: Baseline, storage: Path, number: int) -> nn.Module:
    """What a finished trial delivered, on the CPU."""
    folder = TrialFolder(storage, number)
    record = folder.record()
    assert record is not None
    return replay(baseline.network(), record.plan, folder.weights(), settings.data.image_size, settings.descriptor)


def member_onnx(settings: TrialSettings, baseline: Baseline, storage: Path, number: int) -> bytes:
    """What a finished trial delivered, as an ONNX model."""
    return to_onnx(trial_network(settings, baseline, storage, number), traced_size(settings.data.image_size))
