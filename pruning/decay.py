"""Scale chosen channels of a network, in place: a factor between 0 and 1 shrinks them, 0 masks them."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from pruning.graph.groups import PrunableGroup, out_channels_first

_STRONG_RATIO = 0.7  # from here up the papers shrink gently, because the network must have time to follow


def default_decay(ratio: float) -> float:
    """Return the decay for a ratio in [0, 1): 0.01 below 0.7, 0.3 from there up (BAFD, equation 8 and its ablation).

    Raises:
        ValueError: `ratio` is outside [0, 1).
    """
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio is {ratio}; it must be in [0, 1)")
    return 0.3 if ratio >= _STRONG_RATIO else 0.01


@torch.no_grad()
def decay_channels_(
    network: nn.Module,
    group: PrunableGroup,
    channels_K: Sequence[int] | Tensor,
    factor: float,
    *,
    filters_only: bool = False,
) -> None:
    """Multiply what writes a group's channels: convolution rows and biases, BatchNorm scale and shift.

    `filters_only` leaves biases and BatchNorm as they are, so that a channel whose filter is zero still passes a
    gradient on to it where its shift is above zero.

    Source: BAFD, equation 8 (IEEE T-Cybernetics 2021); with `filters_only`, SFP, Algorithm 1 (IJCAI 2018).
    Differs from the papers: all layers that write the group's channels are scaled, as they only go together; and
    biases of convolutions, of which the papers' networks have none, are scaled as BatchNorm's shift is.

    Raises:
        ValueError: `factor` is outside [0, 1] or a channel is outside [0, group.width).
    """
    if not 0 <= factor <= 1:
        raise ValueError(f"factor is {factor}; it must be in [0, 1]")
    rows_K = _checked_rows(group, channels_K)
    for name in group.members:
        _scale_rows_(network.get_submodule(name), rows_K, factor, weight_only=filters_only)
    if filters_only:
        return
    for name, start in zip(group.norms, group.norm_starts, strict=True):
        _scale_rows_(network.get_submodule(name), rows_K + start, factor)


def _checked_rows(group: PrunableGroup, channels_K: Sequence[int] | Tensor) -> Tensor:
    rows_K = torch.as_tensor(channels_K, dtype=torch.long)
    outside = rows_K[(rows_K < 0) | (rows_K >= group.width)].tolist()
    if outside:
        raise ValueError(f"channels {outside} of group {group.id!r} are outside [0, {group.width})")
    return rows_K


def _scale_rows_(layer: nn.Module, rows_K: Tensor, factor: float, *, weight_only: bool = False) -> None:
    weight = out_channels_first(layer)
    rows_K = rows_K.to(weight.device)
    weight[rows_K] *= factor
    if layer.bias is not None and not weight_only:
        layer.get_parameter("bias")[rows_K] *= factor
