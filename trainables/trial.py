"""One trial, from the dense network to a cut one that is measured. Runs in a plain loop; knows no Ray.

trial = Trial(schedule, settings, baseline)
while not trial.finished:
    point = trial.step()
outcome = trial.finish()
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn

from pruning.cost import Cost, cost_of
from pruning.groups import PrunableGroup, find_groups
from pruning.ledger import LedgerRow, ledger
from pruning.methods.registry import get_method
from pruning.schedule import Schedule
from pruning.surgery import Plan, cut
from retrieval.descriptors import describe_with
from retrieval.evaluate import evaluate
from retrieval.finetune import Batches, recalibrate_batchnorm_
from retrieval.latency import LatencySettings, Speedup, paired_speedup
from retrieval.metrics import Scores
from retrieval.onnx_model import to_onnx
from retrieval.significance import map_interval
from tracking.record import EpochPoint
from trainables.baseline import Baseline, descriptor_size
from trainables.data import open_data
from trainables.settings import TrialSettings, example_image
from trainables.training import Training

Measure = Callable[[bytes, bytes, LatencySettings], Speedup]


@dataclass(frozen=True)
class Outcome:
    """What a finished trial gives: the cut network, the plan that cut it, asked against achieved, and its metrics."""

    network: nn.Module
    plan: Plan
    ledger: tuple[LedgerRow, ...]
    metrics: dict[str, float]


class Trial:
    """A Schedule carried out on a dense baseline.

    A step is one epoch of training, then a fresh choice of the channels to remove, then the method's decay of those
    (not after the last epoch, whose choice is the one that is cut);
    what it reports is the mAP of a cut copy, never of the masked network. Methods that cut first (L1) are cut before
    their first epoch and only trained after that. On the CPU everything follows from the schedule, the settings'
    seed and the number of threads.
    """

    def __init__(
        self,
        schedule: Schedule,
        settings: TrialSettings,
        baseline: Baseline,
        *,
        device: torch.device | None = None,
    ) -> None:
        self.schedule = schedule
        self.settings = settings
        self.baseline = baseline
        self.device = device or torch.device("cpu")
        self.curve: list[EpochPoint] = []
        self._method = get_method(schedule.method)
        self._data = open_data(settings.data)
        dense = baseline.network()
        self.groups: list[PrunableGroup] = find_groups(dense, self._example())
        self._dense_cost = cost_of(dense, self._example())
        self.plan: Plan = self._method.choose(dense, self.groups, schedule) if self._method.cuts_first else {}
        self._training = self._start_training(dense)
        self._scored: tuple[nn.Module, Scores] | None = None

    @property
    def finished(self) -> bool:
        """Whether all epochs of the schedule are done."""
        return self._training.finished

    def step(self) -> EpochPoint:
        """One epoch; returns its number (from 1), mean loss, validation mAP of the cut copy and wall time."""
        start = time.perf_counter()
        loss = self._training.train_epoch()
        network = self._training.network
        if not self._method.cuts_first:
            self.plan = self._method.choose(network, self.groups, self.schedule)
            if not self.finished:
                self._method.soften_(network, self.groups, self.plan, self.schedule)
        self._scored = self._cut_and_score()
        _, scores = self._scored
        seconds = time.perf_counter() - start
        self.curve.append(EpochPoint(epoch=self._training.epoch, loss=loss, map=scores.map, seconds=seconds))
        return self.curve[-1]

    def finish(self, measure: Measure = paired_speedup) -> Outcome:
        """Cut for good and measure: mAP with its interval, cost, and speed against the dense network.

        Args:
            measure: times two ONNX models against each other; in a sweep, one process does it for all trials.
        """
        # A trial that was resumed after its last epoch has not scored its cut copy in this process.
        network, scores = self._scored or self._cut_and_score()
        network = network.cpu().eval()
        cost = cost_of(network, self._example())
        onnx = to_onnx(network, self.settings.data.image_size)
        speed = measure(self.baseline.onnx(), onnx, self.settings.latency)
        seconds = sum(point.seconds for point in self.curve)
        metrics = {
            **map_metrics(scores),
            **cost_metrics(cost, self._dense_cost),
            **vars(speed),
            "seconds": seconds,
        }
        return Outcome(network, self.plan, tuple(ledger(self.groups, self.schedule, network)), metrics)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; loadable with `torch.load(weights_only=True)`."""
        return {
            "training": self._training.state_dict(),
            "plan": {group: list(kept) for group, kept in self.plan.items()},
            "curve": [point.model_dump() for point in self.curve],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same schedule, settings and baseline."""
        self._training.load_state_dict(state["training"])
        self.plan = {group: tuple(kept) for group, kept in state["plan"].items()}
        self.curve = [EpochPoint(**point) for point in state["curve"]]

    def _start_training(self, dense: nn.Module) -> Training:
        loss = self.baseline.loss(descriptor_size(dense, self.settings.data.image_size))
        network = cut(dense, self.plan, self._example()) if self._method.cuts_first else dense
        finetune = self.settings.finetune
        batches = Batches(
            self._data.train, self._data.reader, finetune.batch_size, finetune.seed, finetune.steps_per_epoch
        )
        return Training(
            network,
            loss,
            batches,
            epochs=self.schedule.epochs,
            learning_rate=self.schedule.learning_rate,
            weight_decay=finetune.weight_decay,
            device=self.device,
        )

    def _cut_and_score(self) -> tuple[nn.Module, Scores]:
        """A copy of the network as it stands, its chosen channels removed, BatchNorm measured anew; and its scores."""
        network = self._training.network
        if not self._method.cuts_first:
            network = cut(network, self.plan, self._example().to(self.device))
        batches = self._training.first_batches(self.settings.finetune.recalibration_steps)
        recalibrate_batchnorm_(network, batches, self.device)
        scores = evaluate(describe_with(network, self.device), self._data.select_on, self._data.reader)
        return network, scores

    def _example(self) -> Tensor:
        return example_image(self.settings.data.image_size)


def map_metrics(scores: Scores) -> dict[str, float]:
    """A mAP and its bootstrap interval under the keys of `tracking.record`."""
    low, high = map_interval(scores.aps)
    return {"map": scores.map, "map_low": low, "map_high": high}


def cost_metrics(cost: Cost, dense: Cost) -> dict[str, float]:
    """Counted cost, and how many times smaller than the dense network's, under the keys of `tracking.record`."""
    return {
        "parameters": float(cost.parameters),
        "macs": float(cost.macs),
        "size_bytes": float(cost.size_bytes),
        "mac_ratio": dense.macs / cost.macs,
        "compression": dense.size_bytes / cost.size_bytes,
    }


def load_cut_network(baseline: Baseline, plan: Plan, weights: bytes, image_size: int) -> nn.Module:
    """The finished network of a trial again: the dense shape, its plan replayed, its weights loaded."""
    dense = baseline.network()
    network = cut(dense, plan, example_image(image_size)) if plan else dense
    network.load_state_dict(safetensors.torch.load(weights))
    return network.eval()
