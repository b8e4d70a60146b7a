"""One trial, from the dense network to a cut and measured one. It runs in a plain loop, without Ray.

Example:
    trial = Trial(schedule, settings, baseline)
    while not trial.finished:
        point = trial.step()
    outcome = trial.finish()
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from pruning.coding.packing import pack, size_formula_bytes
from pruning.coding.sparsity import pruned_share
from pruning.cost import cost_of, macs_by_layer
from pruning.graph.groups import PrunableGroup, find_groups
from pruning.ledger import ledger
from pruning.predicted_cost import kept_widths
from pruning.schedule import Schedule
from pruning.surgery import Plan, cut
from retrieval.images import ImageSize
from retrieval.runtime.onnx_model import to_onnx
from tracking.record import EpochPoint, count_metrics
from trainables.baseline import Baseline, descriptor_size
from trainables.data import open_data, plain_batches
from trainables.delivery import (
    deliver,
    drop_training_head_,
    inner,
    prefix_of,
    rebuild,
    shared_whitening,
    whitening_of,
)
from trainables.loss_factory import make_batches
from trainables.pruned_shape import cost_model, first_channels, narrowed
from trainables.retrieval_quality import QualityEvaluator
from trainables.settings import (
    DescriptorSettings,
    TrialSettings,
    example_image,
    traced_size,
    tracing_image,
)
from trainables.speed.latency_cache import Measure, Pair, measure_now, pair_key
from trainables.stages import ChannelPruningStage, QuantizationStage, StageSetup
from trainables.training import TrainingSetup
from trainables.trial_protocol import Outcome


class Trial:
    """A Schedule carried out on a dense baseline.

    A step is one epoch of the stage that the trial is in (see `trainables.stages`); the mAP that it reports is that of
    a cut copy, never of the masked network. On the CPU the result is determined by the schedule, the settings' seed and
    the number of threads.

    Args:
        schedule: how the trial prunes and trains.
        settings: of the sweep.
        baseline: the dense network.
        device: where it trains and is scored; the CPU if None.
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
        self._data = open_data(settings.data)
        dense, example = baseline.network(), example_image(settings.data.image_size)
        self.groups: list[PrunableGroup] = find_groups(
            dense, tracing_image(settings.data.image_size), open_descriptor=schedule.open_descriptor
        )
        delivered = baseline.delivered()
        self._dense_cost = cost_of(delivered, example)
        self._whitening = shared_whitening(delivered, settings)
        self._dense_macs = macs_by_layer(dense, example)
        self._evaluator = QualityEvaluator(settings, baseline, self.device)
        self._batches = make_batches(settings.loss, plain_batches(self._data, settings.finetune))
        self._loss = baseline.loss(descriptor_size(dense, settings.data.image_size))
        self._stage = self._first_stage(dense)
        self._scored: tuple[nn.Module, dict[str, float]] | None = None
        self._speed: dict[str, float] = {}

    @property
    def plan(self) -> Plan:
        """The kept channels of every group, as they are chosen now."""
        return self._stage.plan

    @property
    def finished(self) -> bool:
        """Whether all epochs of the schedule are done."""
        return self._stage.finished and not self._quantization_follows

    @property
    def quality(self) -> dict[str, float]:
        """The metrics of the cut copy after the last step; empty when this process has done none."""
        return self._scored[1] if self._scored else {}

    def costs(self, measure: Measure | None = measure_now) -> dict[str, float]:
        """Return what the finished network will cost, under the keys that `finish` reports, before the first step.

        The widths alone decide, whichever channels will be kept: parameters and multiply-adds are counted, and the
        speed is measured on the dense network without as many channels; `finish` reports that speed. The packed file
        of quantized weights is not known yet: `size_bytes` and `compression` are then by the papers' formula, a lower
        and an upper bound.

        Args:
            measure: as for `finish`.
        """
        counted = cost_model(self.baseline, tuple(self.groups)).metrics(self.schedule)
        return {**counted, **(self._time(self._shape, measure) if measure else {})}

    def step(self) -> EpochPoint:
        """Train one epoch; return its number (from 1), mean loss, validation mAP of the cut copy and wall time."""
        start = time.perf_counter()
        if self._stage.finished:
            self._stage = self._quantization_of_the_cut()
        loss = self._stage.train_epoch()
        self._scored = None
        if self._stage.finished and self._quantization_follows and self.schedule.total_epochs == self.schedule.epochs:
            quantization = self._quantization_of_the_cut()
            quantization.begin()  # none of its phases trains, so it belongs to this epoch
            self._stage = quantization
        self._scored = self._cut_and_score()
        seconds = time.perf_counter() - start
        map_now = self.quality["map"]
        self.curve.append(EpochPoint(epoch=len(self.curve) + 1, loss=loss, map=map_now, seconds=seconds))
        return self.curve[-1]

    def finish(self, measure: Measure | None = measure_now) -> Outcome:
        """Cut for good and measure: mAP with its interval, cost, and speed compared with the dense network.

        Args:
            measure: times two ONNX models against each other; in a sweep, one process does it for all trials. It is
                not called when `costs` has called it. None leaves the speed out.
        """
        # A trial that was resumed after its last epoch has not scored its cut copy in this process.
        network, quality = self._scored or self._cut_and_score()
        network = drop_training_head_(network.cpu().eval())
        cost = cost_of(network, example_image(self.settings.data.image_size))
        packed, packed_metrics = self._pack(network)
        if packed is not None:
            cost = cost.model_copy(update={"size_bytes": len(packed)})
        metrics = {
            **quality,
            **count_metrics(cost, self._dense_cost),
            **packed_metrics,
            **(self._time(lambda: network, measure) if measure else {}),
            "seconds": sum(point.seconds for point in self.curve),
        }
        rows = tuple(ledger(self.groups, self.schedule, inner(network), self._dense_macs))
        return Outcome(network, self.plan, rows, metrics, packed)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on; loadable with `torch.load(weights_only=True)`."""
        return {
            "coding": isinstance(self._stage, QuantizationStage),
            "stage": self._stage.state_dict(),
            "plan": {group: list(kept) for group, kept in self.plan.items()},
            "curve": [point.model_dump() for point in self.curve],
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state of the same schedule, settings and baseline."""
        plan = {group: tuple(kept) for group, kept in state["plan"].items()}
        if state["coding"]:
            self._stage = self._start_quantization(self._cut(self.baseline.network(), plan), plan)
        self._stage.load_state_dict(state["stage"], plan)
        self.curve = [EpochPoint(**point) for point in state["curve"]]

    def _first_stage(self, dense: nn.Module) -> ChannelPruningStage | QuantizationStage:
        schedule, method = self.schedule, self.schedule.build_method()
        plan = method.choose(dense, self.groups, schedule.ratios, schedule.round_to) if method.cuts_first else {}
        if method.new_weights:
            dense, self._loss = self.baseline.start_anew(self._batches, self.settings.data.image_size)
        if method.cuts_first:
            dense = self._cut(dense, plan)
            self._cut_loss(plan)
        if self.schedule.epochs == 0:
            return self._start_quantization(dense, plan)
        return ChannelPruningStage(dense, plan, self._stage_setup())

    @property
    def _quantization_follows(self) -> bool:
        return self.schedule.quantization is not None and not isinstance(self._stage, QuantizationStage)

    def _quantization_of_the_cut(self) -> QuantizationStage:
        network, _ = self._scored or self._cut_and_score()
        return self._start_quantization(inner(network), self.plan, first_epoch=len(self.curve))

    def _start_quantization(self, network: nn.Module, plan: Plan, first_epoch: int = 0) -> QuantizationStage:
        """Return the last stage, on the cut network; a descriptor that shrinks only now takes the loss along."""
        self._cut_loss(plan)
        return QuantizationStage(network, plan, self._stage_setup(), first_epoch)

    def _stage_setup(self) -> StageSetup:
        training = TrainingSetup(
            loss=self._loss,
            batches=self._batches,
            weight_decay=self.settings.finetune.weight_decay,
            device=self.device,
            freeze_batchnorm=self.settings.loss.freeze_batchnorm,
        )
        return StageSetup(self.groups, self.schedule, training, self._cut)

    def _cut(self, network: nn.Module, plan: Plan) -> nn.Module:
        example = tracing_image(self.settings.data.image_size).to(next(network.parameters()).device)
        return cut(network, plan, example, open_descriptor=self.schedule.open_descriptor)

    def _cut_loss(self, plan: Plan) -> None:
        """Take off the loss's class directions the columns that a cut took off the descriptor."""
        for group in self.groups:
            if group.descriptor and group.id in plan and self._loss.descriptor_size == group.width:
                self._loss.keep_(plan[group.id])

    def _cut_and_score(self) -> tuple[nn.Module, dict[str, float]]:
        """Return the network as it would be delivered now, without the chosen channels, and its metrics."""
        network = self._stage.small_network()
        batches = self._stage.training.first_batches(self.settings.finetune.recalibration_steps)
        return self._evaluator.cut_metrics(network, self._data, batches, self._whitening)

    def _shape(self) -> nn.Module:
        """Return a network of the shape that the trial will deliver; its weights are those of the dense network."""
        network = self._cut(self.baseline.network(), first_channels(self.groups, self.schedule))
        whitening = whitening_of(self.baseline.delivered())
        if whitening is not None:
            whitening = narrowed(whitening, descriptor_size(network, self.settings.data.image_size))
        delivered = deliver(network, self.settings, self._data, torch.device("cpu"), whitening)
        return drop_training_head_(delivered.eval())

    def _time(self, network: Callable[[], nn.Module], measure: Measure) -> dict[str, float]:
        """Return the speed of the delivered network, measured at most once; `network` builds one of its shape."""
        if not self._speed:
            size = traced_size(self.settings.data.image_size)
            key = pair_key(kept_widths(self.groups, self.schedule), self.settings)
            pair = Pair(key, lambda: (self.baseline.onnx(), to_onnx(network(), size)), self.settings.latency)
            self._speed = dict(vars(measure(pair)))
        return self._speed

    def _pack(self, network: nn.Module) -> tuple[bytes | None, dict[str, float]]:
        """Return the packed file of the quantized weights and their metrics; None and none for plain weights."""
        quantized = self._stage.quantized()
        if not quantized:
            return None, {}
        assert self.schedule.quantization is not None
        state, prefix = network.state_dict(), prefix_of(self.settings.descriptor)
        named = {f"{prefix}{name}": weight for name, weight in quantized.items()}
        quantized = {name: weight for name, weight in named.items() if name in state}
        metrics = {
            "size_formula_bytes": float(size_formula_bytes(state, quantized)),
            "pruned_weights": pruned_share(network),
        }
        return pack(state, quantized, huffman=self.schedule.quantization.huffman), metrics


def replay(
    dense: nn.Module,
    plan: Plan,
    weights: dict[str, Tensor],
    image_size: ImageSize,
    descriptor: DescriptorSettings,
) -> nn.Module:
    """Rebuild what a finished trial delivered: cut the dense shape by the trial's plan and load its weights."""
    example = tracing_image(image_size)
    # A plan that names the descriptor's group was made for an open one.
    return rebuild(cut(dense, plan, example, open_descriptor=True), descriptor, weights)
