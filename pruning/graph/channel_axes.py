"""Which axes of which tensors of a network shrink when channels go."""

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from torch import Tensor, nn

from pruning.graph.groups import PrunableGroup


class Axis(NamedTuple):
    """One axis of a tensor of a state dict: the tensor's name and the axis's number."""

    tensor: str
    number: int


# Axis → group id → how many indices along the axis are removed with each channel of the group.
Followers = Mapping[Axis, Mapping[str, int]]


def channel_axes(network: nn.Module, groups: Sequence[PrunableGroup]) -> Followers:
    """Return the axes of weights, biases and BatchNorms that the groups' channels lie on."""
    axes: dict[Axis, dict[str, int]] = {}
    for group in groups:
        for axis, span in _axes_of(network, group):
            spans = axes.setdefault(axis, {})
            spans[group.id] = spans.get(group.id, 0) + span
    return axes


def descriptor_axes(around: Mapping[str, Tensor], size: int, groups: Sequence[PrunableGroup]) -> Followers:
    """Return the axes that index the descriptor in tensors delivered around a network, as those of a whitening.

    An axis counts as such when it is as long as the descriptor. It shrinks with the groups whose channels are the
    descriptor's columns, where those are not locked.

    Args:
        around: name → tensor.
        size: of the descriptor.
        groups: of the network.
    """
    spans = {group.id: 1 for group in groups if group.descriptor and not group.locked}
    axes = [Axis(name, number) for name, tensor in around.items() for number in range(tensor.dim())]
    return {axis: spans for axis in axes if spans and around[axis.tensor].shape[axis.number] == size}


def _axes_of(network: nn.Module, group: PrunableGroup) -> Iterator[tuple[Axis, int]]:
    for name in group.members:
        layer = network.get_submodule(name)
        yield Axis(f"{name}.weight", _out_axis(layer)), 1
        if layer.bias is not None:
            yield Axis(f"{name}.bias", 0), 1
    for name in group.norms:
        for tensor, value in network.get_submodule(name).state_dict().items():
            if value.dim():
                yield Axis(f"{name}.{tensor}", 0), 1
    for name, span in zip(group.readers, group.reader_spans, strict=True):
        yield Axis(f"{name}.weight", 1 - _out_axis(network.get_submodule(name))), span


def _out_axis(layer: nn.Module) -> int:
    return 1 if getattr(layer, "transposed", False) else 0
