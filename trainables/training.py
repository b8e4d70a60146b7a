"""A network under training, epoch by epoch, with a state that can be saved between epochs."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from retrieval.training.loop import Batch, BatchSource, train_epoch
from retrieval.training.losses.base import Loss


class Training:
    """Network, loss, optimizer (AdamW) and learning rate (a cosine from `learning_rate` to zero).

    The training is a function of its start and its seed: batches are drawn anew from (seed, first_epoch + epoch) and
    the weights, so the saved state holds no random generator, and a training that follows another sees other batches.

    `penalty`, when given, is added to the loss at every step. With `freeze_batchnorm` no BatchNorm measures anything.
    """

    def __init__(
        self,
        network: nn.Module,
        loss: Loss,
        batches: BatchSource,
        *,
        epochs: int,
        learning_rate: float,
        weight_decay: float,
        device: torch.device,
        first_epoch: int = 0,
        penalty: Callable[[], Tensor] | None = None,
        freeze_batchnorm: bool = False,
    ) -> None:
        self.network = network.to(device)
        self.loss = loss.to(device)
        self.batches = batches
        self.epochs = epochs
        self.device = device
        self.epoch = 0
        self._first_epoch = first_epoch
        self._penalty = penalty
        self._freeze_batchnorm = freeze_batchnorm
        parameters = [*network.parameters(), *loss.parameters()]
        self._optimizer = torch.optim.AdamW(parameters, lr=learning_rate, weight_decay=weight_decay)
        self._rates = torch.optim.lr_scheduler.CosineAnnealingLR(
            self._optimizer, T_max=max(1, epochs) * batches.steps_per_epoch
        )

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return self.epoch >= self.epochs

    def train_epoch(self) -> float:
        """Train one epoch; returns its mean loss."""
        mean_loss = train_epoch(
            self.network,
            self.loss,
            self.batches.epoch(self._first_epoch + self.epoch, self.network),
            self._optimizer,
            self._rates,
            self.device,
            penalty=self._penalty,
            freeze_batchnorm=self._freeze_batchnorm,
        )
        self.epoch += 1
        return mean_loss

    def first_batches(self, count: int) -> Iterator[Batch]:
        """Random batches of training images, those of the next epoch, to measure statistics on."""
        return replace(self.batches.plain, steps=count).epoch(self._first_epoch + self.epoch)

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next epoch depends on."""
        return {
            "epoch": self.epoch,
            "network": self.network.state_dict(),
            "loss": self.loss.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "rates": self._rates.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state; the network must have the shape that it was saved with."""
        self.epoch = state["epoch"]
        self.network.load_state_dict(state["network"])
        self.loss.load_state_dict(state["loss"])
        self._optimizer.load_state_dict(state["optimizer"])
        self._rates.load_state_dict(state["rates"])
