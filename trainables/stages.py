"""The two parts of a trial: channels go while the network trains; then single weights go, and bits.

Both answer the same: train an epoch, give the small network as it stands, save and load their state.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Protocol

from torch import nn

from pruning.coding.phases import Phase, begin_, phases_of, resume_
from pruning.coding.quantize import QuantizedWeight, quantized_weights
from pruning.coding.sparsity import l1_penalty, release_
from pruning.convergence import Convergence, norm_of_chosen
from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from pruning.surgery import Plan
from trainables.training import Training

Cut = Callable[[nn.Module, Plan], nn.Module]


class StartTraining(Protocol):
    """Begins a training of a trial's network, with everything that the sweep fixes filled in."""

    def __call__(
        self,
        network: nn.Module,
        *,
        epochs: int,
        learning_rate: float,
        first_epoch: int = 0,
        penalty: Callable[[], Any] | None = None,
    ) -> Training:
        """A training that has not begun."""


class ChannelPruningStage:
    """Channels go as the schedule's method says.

    An epoch is one of training, then a fresh choice of the channels to remove, then the method's decay of those (not
    after the last epoch, whose choice is the one that is cut). Methods that cut first are given a network that is cut
    to `plan` already, and only train it.
    """

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        groups: Sequence[PrunableGroup],
        schedule: Schedule,
        start: StartTraining,
        cut: Cut,
    ) -> None:
        self.plan = plan
        self._groups, self._schedule, self._cut = groups, schedule, cut
        self._method = schedule.build_method()
        self._convergence = Convergence(schedule.patience)
        self.training = start(network, epochs=schedule.epochs, learning_rate=schedule.learning_rate)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done, or the method has settled before."""
        return self.training.finished or self._convergence.reached

    def train_epoch(self) -> float:
        """One epoch; returns its mean loss."""
        loss = self.training.train_epoch()
        network = self.training.network
        if not self._method.cuts_first:
            self.plan = self._method.choose(network, self._groups, self._schedule.ratios, self._schedule.round_to)
            self._convergence.update(self.plan, norm_of_chosen(network, self._groups, self.plan))
            if not self.finished:
                self._method.soften_(network, self._groups, self.plan, self._schedule.ratios)
        return loss

    def small_network(self) -> nn.Module:
        """The network without the channels that are to go; never the masked one."""
        network = self.training.network
        return network if self._method.cuts_first else self._cut(network, self.plan)

    def quantized(self) -> Mapping[str, QuantizedWeight]:
        """No weights are coded yet."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, but the plan."""
        return {"training": self.training.state_dict(), "convergence": self._convergence.state_dict()}

    def load_state_dict(self, state: dict[str, Any], plan: Plan) -> None:
        """Go on from a saved state."""
        self.plan = plan
        self.training.load_state_dict(state["training"])
        self._convergence.load_state_dict(state["convergence"], plan)


class QuantizationStage:
    """Single weights go to zero and the others to few bits, phase by phase (see `pruning.coding.phases`).

    The first phase begins with the first epoch, or with `begin` where no phase trains.
    """

    training: Training

    def __init__(
        self,
        network: nn.Module,
        plan: Plan,
        groups: Sequence[PrunableGroup],
        schedule: Schedule,
        start: StartTraining,
        first_epoch: int,
    ) -> None:
        self.plan = plan
        self._network, self._groups, self._schedule, self._start = network, groups, schedule, start
        self._epoch = first_epoch
        self._phases = phases_of(schedule)
        self._begun = 0

    def begin(self) -> None:
        """Begin the next phase that trains, and all before it; where none does, all that are left."""
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
        """One epoch; returns its mean loss, the penalty included."""
        if self._begun == 0 or self.training.finished:
            self.begin()
        loss = self.training.train_epoch()
        self._epoch += 1
        left = self._phases[self._begun :]
        if self.training.finished and left and not any(phase.epochs for phase in left):
            self.begin()  # nothing of it trains, so it belongs to this epoch
        return loss

    def small_network(self) -> nn.Module:
        """A copy with plain weights: those that its codes stand for, once it is quantized."""
        network = deepcopy(self._network)
        release_(network)
        return network

    def quantized(self) -> Mapping[str, QuantizedWeight]:
        """The codes of every coded layer; empty before the network is quantized."""
        return quantized_weights(self._network)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on, but the plan."""
        return {"begun": self._begun, "epoch": self._epoch, "training": self.training.state_dict()}

    def load_state_dict(self, state: dict[str, Any], plan: Plan) -> None:
        """Go on from a saved state; the network must be freshly cut to the plan."""
        self.plan = plan
        self._begun = state["begun"]
        resume_(self._network, self._phases[: self._begun], self._groups, self._schedule)
        self._epoch = state["epoch"] - state["training"]["epoch"]
        self.training = self._train(self._phases[self._begun - 1])
        self._epoch = state["epoch"]
        self.training.load_state_dict(state["training"])

    def _train(self, phase: Phase) -> Training:
        return self._start(
            self._network,
            epochs=phase.epochs,
            learning_rate=phase.learning_rate,
            first_epoch=self._epoch,
            penalty=(lambda: phase.penalty * l1_penalty(self._network)) if phase.penalty else None,
        )
