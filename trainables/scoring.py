"""What is measured around the trials: the dense network itself, and finished networks on the test queries."""

from pathlib import Path
from typing import Literal

import torch
from torch import nn

from pruning.cost import cost_of
from retrieval.descriptors import describe_with
from retrieval.evaluate import evaluate
from retrieval.onnx_model import to_onnx
from trainables.baseline import Baseline
from trainables.data import open_data
from trainables.folder import TrialFolder
from trainables.settings import TrialSettings, example_image
from trainables.trial import cost_metrics, map_metrics, replay


def score(
    network: nn.Module,
    settings: TrialSettings,
    split: Literal["select_on", "report_on"],
    device: torch.device,
) -> dict[str, float]:
    """mAP and interval on one split; the keys of `report_on` begin with `test_`."""
    data = open_data(settings.data)
    queries = data.select_on if split == "select_on" else data.report_on
    metrics = map_metrics(evaluate(describe_with(network.to(device), device), queries, data.reader))
    network.cpu()
    prefix = "" if split == "select_on" else "test_"
    return {f"{prefix}{key}": value for key, value in metrics.items()}


def dense_metrics(settings: TrialSettings, baseline: Baseline, device: torch.device) -> dict[str, float]:
    """The dense network's metrics on both splits; its speedup is 1 by definition."""
    network = baseline.network()
    cost = cost_of(network, example_image(settings.data.image_size))
    return {
        **score(network, settings, "select_on", device),
        **score(network, settings, "report_on", device),
        **cost_metrics(cost, cost),
        "speedup": 1.0,
    }


def trial_network(settings: TrialSettings, baseline: Baseline, storage: Path, number: int) -> nn.Module:
    """The network of a finished trial, on the CPU."""
    folder = TrialFolder(storage, number)
    record = folder.record()
    assert record is not None
    return replay(baseline.network(), record.plan, folder.weights(), settings.data.image_size)


def member_onnx(settings: TrialSettings, baseline: Baseline, storage: Path, number: int) -> bytes:
    """The finished network of a trial as an ONNX model."""
    return to_onnx(trial_network(settings, baseline, storage, number), settings.data.image_size)
