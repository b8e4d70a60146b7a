"""Matching the descriptors of a dense network, beside any other loss. Letters: N images, D descriptor size."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from retrieval.training.losses.base import Loss


def descriptor_matching(descriptors_ND: Tensor, dense_ND: Tensor) -> Tensor:
    """Return the mean squared distance between two networks' descriptors of the same images.

    Source: the regression of Budnik and Avrithis, "Asymmetric metric learning for knowledge transfer", CVPR 2021, who
    find it best where queries and database are described by different networks. Differs from the paper: weights and
    constants are ours (its abstract and code were read, its equations were not).

    Args:
        descriptors_ND: of the network that is trained.
        dense_ND: of the dense network, for the same images.

    Raises:
        ValueError: the descriptors are not of one size.
    """
    if descriptors_ND.shape != dense_ND.shape:
        raise ValueError(
            f"descriptors of shape {tuple(descriptors_ND.shape)} cannot be matched with {tuple(dense_ND.shape)}: "
            "the descriptor's channels must all be kept"
        )
    return (descriptors_ND - dense_ND).pow(2).sum(1).mean()


class Matched(Loss):
    """Another loss, plus `weight` times `descriptor_matching` with a dense network, which is not trained."""

    def __init__(self, loss: Loss, dense: nn.Module, weight: float) -> None:
        super().__init__()
        self.loss = loss
        self.weight = weight
        # In a tuple it is no module of this one: neither trained, nor saved between epochs, nor put into training mode.
        self._dense = (dense.eval(),)

    @property
    def descriptor_size(self) -> int | None:
        """D of the descriptors that the other loss takes."""
        return self.loss.descriptor_size

    def outputs(self, network: nn.Module, images_NCHW: Tensor) -> tuple[Tensor, ...]:
        """Return what the other loss takes, then the dense network's descriptors N×D."""
        (dense,) = self._dense
        with torch.no_grad():
            dense_ND = dense.to(images_NCHW.device)(images_NCHW)
        return *self.loss.outputs(network, images_NCHW), dense_ND

    def forward(self, descriptors_ND: Tensor, *others: Tensor) -> Tensor:
        """Return the loss, a scalar, of what `outputs` gives and the other loss's labels."""
        *rest, dense_ND, labels_N = others
        matching = descriptor_matching(descriptors_ND, dense_ND)
        return self.loss(descriptors_ND, *rest, labels_N) + self.weight * matching

    def keep_(self, columns: Sequence[int]) -> None:
        """Keep the columns in the other loss; what is matched must keep its size."""
        self.loss.keep_(columns)
