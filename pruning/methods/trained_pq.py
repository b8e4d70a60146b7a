"""Trained pruning + quantization: single weights to zero, the others to few bits; no channel goes.

What is done to the network is in `pruning.coding.phases`: every trial whose schedule has a quantization ends with it.
"""

from typing import ClassVar

from torch import Tensor

from pruning.methods.base import Method


class TrainedPq(Method):
    """Saha, Varma, Jawahar, "Compressing Deep Neural Networks for Recognizing Places", ACPR 2017.

    Read from the authors' poster and slides, and from Han et al., "Deep Compression", ICLR 2016, whose method they
    apply to place recognition: train with λ·Σ|W|, prune |W| < threshold in every layer, retrain with the pruned
    weights held at zero, again; then one k-means codebook a layer over what is left, whose centres are trained by the
    summed gradients of their weights while the assignment stays.

    Differs from the paper:
    - A target share a layer may stand in place of the threshold; it is approached in equal steps over the rounds.
    - Weights pruned in one round stay zero in the penalised epochs of the next.
    - The optimizer is the trial's own (AdamW), for the centres too; the papers use plain SGD.
    - The uniform alternative has one grid a channel over its non-zeros, trained straight-through.
    - Biases, BatchNorm and pooling exponents stay float32.
    """

    name: ClassVar[str] = "trained_pq"
    cuts_first: ClassVar[bool] = True
    removes_channels: ClassVar[bool] = False

    def removal_order(self, filters_OD: Tensor, count: int) -> Tensor:
        """Return no index: no channel can be removed.

        Args:
            filters_OD: one row a channel.
            count: must be 0.

        Raises:
            ValueError: `count` is not 0.
        """
        if count:
            raise ValueError(f"method {self.name!r} removes no channels, {count} were asked for")
        return filters_OD.new_zeros(0).long()
