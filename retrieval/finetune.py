"""Training: one epoch at a time, and BatchNorm statistics made anew. Letters: N images, C H W.

An epoch is a function of (weights, seed, epoch number) alone: its batches are drawn from a generator of its own,
so a training that was interrupted between epochs goes on exactly as if it had not been.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from retrieval.datasets.base import TrainingSet
from retrieval.images import ImageReader, normalise


@dataclass(frozen=True)
class Batches:
    """Random batches of equal size from a training set; `steps` None means once through the set."""

    training_set: TrainingSet
    reader: ImageReader
    batch_size: int
    seed: int
    steps: int | None = None

    @property
    def size(self) -> int:
        """Images in a batch: a batch larger than the set is the set, so a tiny set has an epoch too."""
        return min(self.batch_size, len(self.training_set.images))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.steps or len(self.training_set.images) // self.size

    def epoch(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Batches (images N×3×H×W float32, labels N) of one epoch, the same for the same seed and epoch."""
        count = len(self.training_set.images)
        rng = np.random.default_rng((self.seed, epoch))
        passes = math.ceil(self.steps_per_epoch * self.size / count)
        order = np.concatenate([rng.permutation(count) for _ in range(passes)])
        for step in range(self.steps_per_epoch):
            chosen_N = order[step * self.size : (step + 1) * self.size]
            images = self.reader.read_many([(self.training_set.images[i], None) for i in chosen_N])
            yield normalise(torch.stack(images)), torch.from_numpy(self.training_set.labels[chosen_N])


def train_epoch(
    network: nn.Module,
    loss: nn.Module,
    batches: Iterator[tuple[Tensor, Tensor]],
    optimizer: torch.optim.Optimizer,
    rates: torch.optim.lr_scheduler.LRScheduler,
    device: torch.device,
    penalty: Callable[[], Tensor] | None = None,
) -> float:
    """Train on the batches of one epoch, the learning rate moving on after each; returns the mean loss.

    `penalty` is added to the loss at every step, and is part of the mean that is returned.

    Raises:
        FloatingPointError: the loss is not finite: the training has diverged.
    """
    network.train()
    losses = []
    for images_NCHW, labels_N in batches:
        value = loss(network(images_NCHW.to(device)), labels_N.to(device))
        if penalty is not None:
            value = value + penalty()
        optimizer.zero_grad(set_to_none=True)
        value.backward()
        optimizer.step()
        rates.step()
        losses.append(value.detach())
    mean = float(torch.stack(losses).mean())
    if not np.isfinite(mean):
        raise FloatingPointError(f"training diverged: mean loss {mean}; a lower learning rate would be right")
    return mean


@torch.no_grad()
def recalibrate_batchnorm_(network: nn.Module, batches: Iterator[tuple[Tensor, Tensor]], device: torch.device) -> None:
    """Replace the running statistics of every BatchNorm by those of the given batches.

    After channels are removed the statistics of the layers behind them no longer hold; most of the mAP that a cut
    costs returns with this alone.
    """
    norms = [m for m in network.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches, not an exponential one
    network.train()
    for images_NCHW, _ in batches:
        network(images_NCHW.to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
