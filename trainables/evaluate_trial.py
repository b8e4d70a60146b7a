"""Measurements before and after the trials: of the dense network, and of finished networks on the test queries."""

import shutil
from pathlib import Path

import torch
from torch import nn

from pruning.cost import cost_of
from retrieval.evaluation.index import EXACT
from retrieval.runtime.onnx_model import to_onnx
from tracking.record import count_metrics
from trainables.baseline import Baseline
from trainables.folder import TrialFolder
from trainables.retrieval_quality import QualityEvaluator
from trainables.settings import TrialSettings, example_image, traced_size
from trainables.trial import replay


def dense_metrics(settings: TrialSettings, baseline: Baseline, device: torch.device) -> dict[str, float]:
    """Return the dense network's metrics on both splits; its speedup is 1 by definition."""
    network = baseline.delivered()
    cost = cost_of(network, example_image(settings.data.image_size))
    evaluator = QualityEvaluator(settings, baseline, device)
    return {
        **evaluator.split_metrics(network, "select_on", baseline.descriptors),
        **evaluator.split_metrics(network, "report_on", baseline.descriptors),
        **count_metrics(cost, cost),
        "speedup": 1.0,
    }


def member_metrics(
    settings: TrialSettings, baseline: Baseline, storage: Path, number: int, device: torch.device
) -> dict[str, float]:
    """Return a finished trial's metrics on the test queries, and its search time measured again.

    Nothing else may run meanwhile. An extraction that was interrupted is continued.

    Args:
        settings: of the sweep.
        baseline: of the sweep.
        storage: the sweep's folder.
        number: of the trial.
        device: where descriptors are computed.
    """
    network = trial_network(settings, baseline, storage, number)
    keep = TrialFolder(storage, number).path / "descriptors"
    evaluator = QualityEvaluator(settings, baseline, device)
    metrics = evaluator.split_metrics(network, "report_on", keep)
    shutil.rmtree(keep)  # with a million distractors these are gigabytes
    if settings.evaluation.index != EXACT:
        # The trial measured it while other trials ran.
        metrics["search_ms"] = evaluator.split_metrics(network, "select_on")["search_ms"]
    return metrics


def trial_network(settings: TrialSettings, baseline: Baseline, storage: Path, number: int) -> nn.Module:
    """Return the network that a finished trial delivered, on the CPU."""
    folder = TrialFolder(storage, number)
    record = folder.record()
    assert record is not None
    return replay(baseline.network(), record.plan, folder.weights(), settings.data.image_size, settings.descriptor)


def member_onnx(settings: TrialSettings, baseline: Baseline, storage: Path, number: int) -> bytes:
    """Return the network that a finished trial delivered as an ONNX model."""
    return to_onnx(trial_network(settings, baseline, storage, number), traced_size(settings.data.image_size))
