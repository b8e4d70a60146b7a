"""Training one epoch at a time, and recomputing BatchNorm statistics. Letters: N images, C H W.

An epoch is a function of (weights, seed, epoch number) alone: its batches are drawn from a generator of its own,
so a training that was interrupted between epochs goes on exactly as if it had not been.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from retrieval.datasets.base import Indices, TrainingSet
from retrieval.images import ImageReader, normalise
from retrieval.training.losses.base import Loss


@dataclass(frozen=True)
class Batch:
    """The images of a training step and their labels.

    Attributes:
        stacks: the images, those of equal size in one stack n×3×H×W.
        rows_N: the row of each image when the stacks are concatenated.
        labels_N: what the loss is told of each image: its class, or its target in a tuple.
    """

    stacks: tuple[Tensor, ...]
    rows_N: Tensor
    labels_N: Tensor

    def through(self, run: Callable[[Tensor], tuple[Tensor, ...]], device: torch.device) -> tuple[Tensor, ...]:
        """Run the images and return the outputs, one row per image, in the order of the labels."""
        outputs = [run(stack_NCHW.to(device)) for stack_NCHW in self.stacks]
        if len(outputs) == 1:
            return outputs[0]
        return tuple(torch.cat(each)[self.rows_N.to(device)] for each in zip(*outputs, strict=True))


class BatchSource(Protocol):
    """A source of the batches of a training."""

    @property
    def plain(self) -> "Batches":
        """Random batches of the same images, to measure statistics on."""

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""

    def epoch(self, epoch: int, network: nn.Module) -> Iterator[Batch]:
        """Yield the batches of one epoch; any use of the network happens before the first."""


@dataclass(frozen=True)
class Batches:
    """Random batches of equal size from a training set.

    Attributes:
        training_set: the images.
        reader: how they are read.
        batch_size: images in a batch, at most.
        seed: of all epochs.
        steps: batches in an epoch; None: once through the set.
    """

    training_set: TrainingSet
    reader: ImageReader
    batch_size: int
    seed: int
    steps: int | None = None

    @property
    def plain(self) -> "Batches":
        """These batches themselves."""
        return self

    @property
    def size(self) -> int:
        """Images in a batch: a batch larger than the set is the set, so a tiny set has an epoch too."""
        return min(self.batch_size, len(self.training_set.images))

    @property
    def steps_per_epoch(self) -> int:
        """Batches in an epoch."""
        return self.steps or len(self.training_set.images) // self.size

    def epoch(self, epoch: int, network: nn.Module | None = None) -> Iterator[Batch]:
        """Yield the batches of one epoch with labels of classes, the same for the same seed and epoch."""
        count = len(self.training_set.images)
        rng = np.random.default_rng((self.seed, epoch))
        passes = math.ceil(self.steps_per_epoch * self.size / count)
        order = np.concatenate([rng.permutation(count) for _ in range(passes)])
        for step in range(self.steps_per_epoch):
            yield self.batch(order[step * self.size : (step + 1) * self.size])

    def batch(self, chosen_N: Indices, labels_N: Indices | None = None) -> Batch:
        """Read a batch of these images, with these labels in place of their classes when given."""
        if labels_N is None:
            labels_N = self.training_set.labels[chosen_N]
        images = self.reader.read_many([(self.training_set.images[i], None) for i in chosen_N])
        return Batch(*_stack_by_size(images), torch.from_numpy(labels_N))


def _stack_by_size(images: Sequence[Tensor]) -> tuple[tuple[Tensor, ...], Tensor]:
    """Stack uint8 images 3×H×W by size, normalised; return the stacks and the row of each image in them."""
    of_size: dict[tuple[int, ...], list[int]] = defaultdict(list)
    for position, image_CHW in enumerate(images):
        of_size[tuple(image_CHW.shape)].append(position)
    stacks = tuple(normalise(torch.stack([images[i] for i in positions])) for positions in of_size.values())
    order = torch.tensor([i for positions in of_size.values() for i in positions])
    return stacks, torch.argsort(order)


def train_epoch(
    network: nn.Module,
    loss: Loss,
    batches: Iterable[Batch],
    optimizer: torch.optim.Optimizer,
    rates: torch.optim.lr_scheduler.LRScheduler,
    device: torch.device,
    *,
    penalty: Callable[[], Tensor] | None = None,
    freeze_batchnorm: bool = False,
) -> float:
    """Train on the batches of one epoch with a step of the learning rate after each; return the mean loss.

    Images of one size pass the network together; where sizes differ, each BatchNorm that is not frozen sees one size
    at a time. (Radenović et al., TPAMI 2018, pass tuples image by image, BatchNorm frozen: the same numbers.) One image
    alone of its size may be so small that a BatchNorm would see a single value a channel, which has no variance: there
    it uses its running statistics, as in evaluation.

    Args:
        network: trained in place.
        loss: trained in place where it has parameters.
        batches: of the epoch.
        optimizer: over the parameters of both.
        rates: the learning rate's schedule, in steps.
        device: that images and labels are moved to.
        penalty: added to the loss at every step, and part of the mean that is returned.
        freeze_batchnorm: every BatchNorm keeps the statistics that it has, as in evaluation; scale and shift train.

    Raises:
        FloatingPointError: the loss is not finite: the training has diverged.
    """
    network.train()
    if freeze_batchnorm:
        for norm in _norms(network):
            norm.eval()
    losses = []
    for batch in batches:
        with _single_values_spared(network):
            outputs = batch.through(partial(loss.outputs, network), device)
        value = loss(*outputs, batch.labels_N.to(device))
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
def recalibrate_batchnorm_(network: nn.Module, batches: Iterable[Batch], device: torch.device) -> None:
    """Replace the running statistics of every BatchNorm by those of the given batches.

    After channels are removed the statistics of the layers behind them no longer hold; most of the mAP that a cut
    costs returns with this alone.

    Each batch passes as one stack: images of other sizes are resized to the commonest of the batch. A stack of a few
    images knows nothing of how images differ, and its statistics would be too narrow.
    """
    norms = _norms(network)
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a plain average over the batches, not an exponential one
    network.train()
    with _single_values_spared(network):
        for batch in batches:
            network(_of_one_size(batch.stacks).to(device))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def _of_one_size(stacks: Sequence[Tensor]) -> Tensor:
    """Return all images in one stack N×3×H×W, of the size that most of them have."""
    size = max(stacks, key=len).shape[-2:]
    return torch.cat(
        [each if each.shape[-2:] == size else F.interpolate(each, size, mode="bilinear") for each in stacks]
    )


@contextmanager
def _single_values_spared(network: nn.Module) -> Iterator[None]:
    """Let every BatchNorm that trains pass a single value a channel through its running statistics.

    torch refuses to take the variance of one value; a lone small image in a batch of others would end the training.
    """
    training = [norm for norm in _norms(network) if norm.training]
    handles = [norm.register_forward_pre_hook(_rest_on_single_values) for norm in training]
    handles += [norm.register_forward_hook(_train_again) for norm in training]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def _rest_on_single_values(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
    norm.train(inputs[0].numel() > inputs[0].shape[1])


def _train_again(norm: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    norm.train()


def _norms(network: nn.Module) -> list[nn.modules.batchnorm._BatchNorm]:
    return [module for module in network.modules() if isinstance(module, nn.modules.batchnorm._BatchNorm)]
