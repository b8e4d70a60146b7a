"""The difference between a residual connection, whose layers are added, and a gate, whose layers are multiplied."""

from collections.abc import Collection
from itertools import combinations
from typing import Any

from torch import nn
from torch.nn.modules.conv import _ConvNd

_ADDITIONS = ("addbackward", "subbackward")


def adds_layers(nodes: Collection[Any]) -> bool:
    """Return whether layers that write the same channels are added together; depthwise layers do not count.

    Args:
        nodes: those of the dependency graph that carry the channels of one group. There must be an addition with
            two sides each of which comes from a layer that the other does not come from: a shortcut does that; a
            gate (squeeze-and-excitation) multiplies, and a bias or a constant comes from no layer.
    """
    for addition in filter(_is_addition, nodes):
        sides = [_layers_behind(node, nodes) for node in addition.inputs if node in nodes]
        if any(one - other and other - one for one, other in combinations(sides, 2)):
            return True
    return False


def _is_addition(node: Any) -> bool:
    operation = node.grad_fn.name().lower()
    return any(addition in operation for addition in _ADDITIONS)


def _layers_behind(start: Any, nodes: Collection[Any]) -> set[nn.Module]:
    """Return the nearest convolutions and linear layers before `start`, depthwise ones left out."""
    layers: set[nn.Module] = set()
    waiting, seen = [start], {start}
    while waiting:
        node = waiting.pop()
        if _writes(node.module):
            layers.add(node.module)
            continue
        new = [before for before in node.inputs if before in nodes and before not in seen]
        waiting.extend(new)
        seen.update(new)
    return layers


def _writes(module: Any) -> bool:
    if isinstance(module, _ConvNd):
        return not is_depthwise(module)
    return isinstance(module, nn.Linear)


def is_depthwise(layer: nn.Module) -> bool:
    """Return whether a layer is a convolution that filters each channel alone."""
    return isinstance(layer, _ConvNd) and 1 < layer.groups == layer.in_channels == layer.out_channels
