"""A network under training, epoch by epoch, with a state that can be saved between epochs."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.training.loop import Batch, BatchSource, train_epoch
from retrieval.training.losses.base import Loss


@dataclass(frozen=True)
class TrainingSetup:
    """The values that all trainings of one trial, or of one dense network, share.

    Attributes:
        loss: is trained along with the network.
        batches: of training images.
        weight_decay: of AdamW.
        device: where the network is trained.
        freeze_batchnorm: whether BatchNorm's running statistics stay as they are.
    """

    loss: Loss
    batches: BatchSource
    weight_decay: float
    device: torch.device
    freeze_batchnorm: bool = False


class Training:
    """Network, loss, optimizer (AdamW) and learning rate (a cosine from `learning_rate` to zero).

    The training is a function of its start and its seed: batches are drawn anew from (seed, first_epoch + epoch) and
    the weights, so the saved state holds no random generator, and a training that follows another sees other batches.

    Args:
        network: is moved to the setup's device and trained in place.
        setup: loss, batches and what else the trainings of a trial share.
        epochs: how many are trained; the learning rate reaches zero at their end.
        learning_rate: at the first step.
        first_epoch: how many epochs came before, in trainings that this one follows.
        penalty: is added to the loss at every step.
    """

    def __init__(
        self,
        network: nn.Module,
        setup: TrainingSetup,
        *,
        epochs: int,
        learning_rate: float,
        first_epoch: int = 0,
        penalty: Callable[[], Tensor] | None = None,
    ) -> None:
        self.network = network.to(setup.device)
        self.loss = setup.loss.to(setup.device)
        self.epochs = epochs
        self.epoch = 0
        self._setup = setup
        self._first_epoch = first_epoch
        self._penalty = penalty
        parameters = [*network.parameters(), *setup.loss.parameters()]
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=setup.weight_decay)
        self._rates = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, T_max=max(1, epochs) * setup.batches.steps_per_epoch
        )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.epochs

    def train_epoch(self) -> float:
        """Train one epoch and return its mean loss."""
        mean_loss = train_epoch(
            self.network,
            self.loss,
            self._setup.batches.epoch(self._first_epoch + self.epoch, self.network),
            self._optimizer,
            self._rates,
            self._setup.device,
            penalty=self._penalty,
            freeze_batchnorm=self._setup.freeze_batchnorm,
        )
        self.epoch += 1
        return mean_loss

    def first_batches(self, count: int) -> Iterator[Batch]:
        """Yield `count` random batches of training images, those of the next epoch, to measure statistics on."""
        return replace(self._setup.batches.plain, steps=count).epoch(self._first_epoch + self.epoch)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next epoch depends on."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rates": self._rates.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state; the network must have the shape that it was saved with."""
        self.epoch = state["epoch"]
        self.network.load_state_dict(state["network"])
        self.loss.load_state_dict(state["loss"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rates.load_state_dict(state["rates"])
