"""The two stages of a trial: pruning of channels, then pruning of single weights and quantization of the others.

Both have the same calls: train an epoch, give the small network as it is now, save and load their state.
"""

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from torch import nn

from pruning.coding.phases import Phase, begin_, phases_of, resume_
from pruning.coding.quantize import QuantizedWeight, quantized_weights
from pruning.coding.sparsity import l1_penalty, release_
from pruning.convergence import Convergence, norm_of_chosen
from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from pruning.surgery import Plan
from trainables.training import Training, TrainingSetup

Cut = Callable[[nn.Module, Plan], nn.Module]
"""Takes a network and a plan, and returns a copy of the network without the channels that the plan does not keep."""


@dataclass(frozen=True)
class StageSetup:
    """The values that the stages of one trial share.

    Attributes:
        groups: of the dense network.
        schedule: of the trial.
        training: how the trial trains.
        cut: removes channels.
    """

    groups: Sequence[PrunableGroup]
    schedule: Schedule
    training: TrainingSetup
    cut: Cut


class ChannelPruningStage:
    """The stage in which channels are removed, as the schedule's method says.

    An epoch trains, chooses the channels to remove afresh, then lets the method decay those (not after the last epoch,
    whose choice is the one that is cut). A method that cuts first is given a network that is cut to `plan` already,
    which this stage only trains.

    Args:
        network: to prune; is trained in place.
        plan: kept channels, for a method that cuts first; else empty.
        setup: of the trial.
    """

    def __init__(self, network: nn.Module, plan: Plan, setup: StageSetup) -> None:
        self.plan = plan
        self._groups, self._schedule, self._cut = setup.groups, setup.schedule, setup.cut
        self._method = setup.schedule.build_method()
        self._convergence = Convergence(setup.schedule.patience)
        epochs, learning_rate = setup.schedule.epochs, setup.schedule.learning_rate
        self.training = Training(network, setup.training, epochs=epochs, learning_rate=learning_rate)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the method's choice of channels has settled before."""
        return self.training.finished or self._convergence.reached

    def train_epoch(self) -> float:
        """Train one epoch and return its mean loss."""
        loss = self.training.train_epoch()
        network = self.training.network
        if not self._method.cuts_first:
            self.plan = self._method.choose(network, self._groups, self._schedule.ratios, self._schedule.round_to)
            self._convergence.update(self.plan, norm_of_chosen(network, self._groups, self.plan))
            if not self.finished:
                self._method.soften_(network, self._groups, self.plan, self._schedule.ratios)
        return loss

    def small_network(self) -> nn.Module:
        """Return the network without the channels that are chosen for removal; never the masked network."""
        network = self.training.network
        return network if self._method.cuts_first else self._cut(network, self.plan)

    def quantized(self) -> Mapping[str, QuantizedWeight]:
        """Return nothing: no weights are quantized in this stage."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on, except the plan."""
        return {"training": self.training.state_dict(), "convergence": self._convergence.state_dict()}

    def load_state_dict(self, state: dict[str, Any], plan: Plan) -> None:
        """Continue from a saved state."""
        self.plan = plan
        self.training.load_state_dict(state["training"])
        self._convergence.load_state_dict(state["convergence"], plan)


class QuantizationStage:
    """The stage in which single weights become zero and the others few bits (see `pruning.coding.phases`).

    It goes through the schedule's phases. The first one begins with the first epoch, or with `begin` where no phase
    trains.

    Args:
        network: cut to `plan`; is changed in place.
        plan: kept channels, which this stage leaves as they are.
        setup: of the trial.
        first_epoch: how many epochs the trial has trained before.
    """

    training: Training

    def __init__(self, network: nn.Module, plan: Plan, setup: StageSetup, first_epoch: int) -> None:
        self.plan = plan
        self._network, self._setup = network, setup
        self._groups, self._schedule = setup.groups, setup.schedule
        self._epoch = first_epoch
        self._phases = phases_of(setup.schedule)
        self._begun = 0

    def begin(self) -> None:
        """Begin the next phase that trains, and all phases before it; where none trains, all that are left."""
        while True:
            phase = self._phases[self._begun]
            self._begun += 1
            begin_(self._network, phase, self._groups, self._schedule)
            if phase.epochs or self._begun == len(self._phases):
                break
        self.training = self._train(phase)

    @property
    def finished(self) -> bool:
        """Whether all phases are done."""
        return self._begun > 0 and self._begun == len(self._phases) and self.training.finished

    def train_epoch(self) -> float:
        """Train one epoch and return its mean loss, the penalty included."""
        if self._begun == 0 or self.training.finished:
            self.begin()
        loss = self.training.train_epoch()
        self._epoch += 1
        left = self._phases[self._begun :]
        if self.training.finished and left and not any(phase.epochs for phase in left):
            self.begin()  # none of the phases left trains, so they belong to this epoch
        return loss

    def small_network(self) -> nn.Module:
        """Return a copy with plain weights: those that the codes stand for, once the network is quantized."""
        network = deepcopy(self._network)
        release_(network)
        return network

    def quantized(self) -> Mapping[str, QuantizedWeight]:
        """Return the codes of every quantized layer; empty before the network is quantized."""
        return quantized_weights(self._network)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on, except the plan."""
        return {"begun": self._begun, "epoch": self._epoch, "training": self.training.state_dict()}

    def load_state_dict(self, state: dict[str, Any], plan: Plan) -> None:
        """Continue from a saved state; the network must be freshly cut to the plan."""
        self.plan = plan
        self._begun = state["begun"]
        resume_(self._network, self._phases[: self._begun], self._groups, self._schedule)
        self._epoch = state["epoch"] - state["training"]["epoch"]
        self.training = self._train(self._phases[self._begun - 1])
        self._epoch = state["epoch"]
        self.training.load_state_dict(state["training"])

    def _train(self, phase: Phase) -> Training:
        return Training(
            self._network,
            self._setup.training,
            epochs=phase.epochs,
            learning_rate=phase.learning_rate,
            first_epoch=self._epoch,
            penalty=(lambda: phase.penalty * l1_penalty(self._network)) if phase.penalty else None,
        )
