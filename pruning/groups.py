"""Channels that must go together, found along the dependency graph of a network.

Letters: N images, C channels, H W image size; O out channels, D the length of one channel's filter.
"""

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import floor
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

_OPTYPE = tp.ops.OPTYPE
# What a group may run through so that one channel can leave without touching the others. Left out are the
# network's output and the layers that handle channels in fixed blocks or normalise across them.
_SEPARABLE_TYPES = frozenset(
    {
        *(_OPTYPE.CONV, _OPTYPE.DEPTHWISE_CONV, _OPTYPE.LINEAR, _OPTYPE.BN, _OPTYPE.PRELU, _OPTYPE.PARAMETER),
        *(_OPTYPE.ELEMENTWISE, _OPTYPE.RESHAPE, _OPTYPE.EXPAND),
        *(_OPTYPE.CONCAT, _OPTYPE.SPLIT, _OPTYPE.SLICE, _OPTYPE.UNBIND),
    }
)
# Operations that the graph takes for elementwise though they mix channels (attention, assignment in NetVLAD).
_MIXING = ("softmax", "bmm", "mmbackward", "attention")
_ROUNDING = 1e-9  # 0.29 · 100 is 28.999999999999996 in binary; the paper's floor means 29


@dataclass(frozen=True)
class PrunableGroup:
    """Channels that are written together, so that channel c goes from all of these layers or from none.

    id: the first convolution among `members`.
    members: names of the layers that write these channels (convolutions and linear layers), in network order;
        channel c is row c of each of their weights.
    norms: names of the BatchNorms that scale these channels, in network order.
    norm_starts: for each of `norms`, where channel 0 lies in it: not 0 only behind a concatenation (DenseNet).
    width: how many channels.
    locked: whether they must all stay: the group writes the network's output (it fixes the descriptor's
        size), or its channels cannot go one by one (grouped convolutions, GroupNorm, LayerNorm, BatchNorm
        without scale, matrix products between activations).
    """

    id: str
    members: tuple[str, ...]
    norms: tuple[str, ...]
    norm_starts: tuple[int, ...]
    width: int
    locked: bool

    def all_but(self, channels: Iterable[int]) -> tuple[int, ...]:
        """Return the channels that are not among the given ones, ascending."""
        left_out = set(channels)
        return tuple(channel for channel in range(self.width) if channel not in left_out)


def find_groups(network: nn.Module, example_NCHW: Tensor) -> list[PrunableGroup]:
    """Find every group of channels that a convolution writes, in network order; the network is not changed.

    Network order is the order of `named_modules`. `example_NCHW` is a batch the network accepts; its values
    do not matter. Channels that linear layers alone write (a classifier, a whitening) form no group.

    Raises ValueError, naming the network, when its graph cannot be traced, has no group, or misses a
    convolution.
    """
    return describe_groups(*trace(network, example_NCHW))


def filters_of(network: nn.Module, group: PrunableGroup) -> Tensor:
    """Return the filter of each channel as a row, O×D: those of all layers that write it, one after another.

    Raw weights without biases, detached; a copy. For a group of one layer this is the papers' definition.
    """
    weights = [out_channels_first(network.get_submodule(name)).flatten(1) for name in group.members]
    return torch.cat(weights, dim=1).detach()


def kept_count(width: int, ratio: float, round_to: int) -> int:
    """How many of `width` channels stay at a ratio: width − floor(ratio · width), aligned.

    Aligned to the nearest multiple of `round_to`, ties up, at least one multiple, never above `width`. Ratio
    0 keeps all. A width below `round_to` has no multiple to go to and stays unaligned, at least 1.

    Raises ValueError when `width` or `round_to` is below 1 or `ratio` is outside [0, 1).
    """
    if width < 1 or round_to < 1:
        raise ValueError(f"width and round_to must be at least 1, got {width} and {round_to}")
    if not 0 <= ratio < 1:
        raise ValueError(f"ratio is {ratio}; it must be in [0, 1)")
    asked = max(1, width - floor(ratio * width + _ROUNDING))
    if ratio == 0 or width < round_to:
        return asked
    multiples = (2 * asked + round_to) // (2 * round_to)
    return min(width, max(1, multiples) * round_to)


@torch.inference_mode(mode=False)
@torch.enable_grad()
def trace(network: nn.Module, example_NCHW: Tensor) -> tuple[nn.Module, tp.DependencyGraph]:
    """Return a copy of the network, in evaluation mode with all gradients on, and that copy's dependency graph.

    Raises ValueError, naming the network, when it cannot be traced.
    """
    name = type(network).__name__
    if example_NCHW.dim() != 4:
        raise ValueError(f"the example for {name} must be N×C×H×W, got shape {tuple(example_NCHW.shape)}")
    traced = deepcopy(network).eval()
    parameters = list(traced.parameters())
    if not parameters:
        raise ValueError(f"{name} has no parameters, so there is nothing to prune")
    # The graph is read off the gradients: frozen layers would be missing from it.
    for parameter in parameters:
        parameter.requires_grad_(parameter.is_floating_point())
    example_NCHW = example_NCHW.detach().clone().to(parameters[0].device)
    traced(example_NCHW)  # if the network itself refuses the example, let it say so
    return traced, _build_graph(traced, example_NCHW)


def describe_groups(network: nn.Module, graph: tp.DependencyGraph) -> list[PrunableGroup]:
    """Describe the groups of a traced network, in network order. Raises ValueError as `find_groups` does."""
    names = {module: name for name, module in network.named_modules()}
    coupled = graph.get_all_groups(ignored_layers=[], root_module_types=[nn.Conv2d])
    groups = [_describe(list(items), graph, names) for items in coupled]
    _check_complete(network, groups)
    order = list(names.values())
    return sorted(groups, key=lambda group: order.index(group.id))


def _build_graph(network: nn.Module, example_NCHW: Tensor) -> tp.DependencyGraph:
    # A tuple: a bare tensor of batch size 1 would be unpacked into an image without a batch, and groups lost.
    inputs = (example_NCHW,)
    try:
        graph = tp.DependencyGraph().build_dependency(network, inputs, customized_pruners={}, verbose=False)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the library fails in as many ways as there are operations it does not know
        name = type(network).__name__
        cause = f"{type(error).__name__}: {error}"
        raise ValueError(f"the channels of {name} cannot be traced: {cause}") from error
    # Behind a mixing operation channels mean something else. Channels that reach one are locked (see
    # _is_separable); followed further, as if it were elementwise, they would multiply until the memory is full.
    for node in graph.module2node.values():
        if _is_mixing(node):
            node.dependencies.clear()
    return graph


def _describe(items: list[Any], graph: tp.DependencyGraph, names: dict[nn.Module, str]) -> PrunableGroup:
    """Describe one group: items that each say which channels of a layer go with which of the root's."""
    order = list(names.values())
    written = [item for item in items if graph.is_out_channel_pruning_fn(item.dep.handler)]
    writers = {names[i.dep.layer]: i for i in written if isinstance(i.dep.layer, (_ConvNd, nn.Linear))}
    scalers = {names[i.dep.layer]: i for i in written if isinstance(i.dep.layer, _BatchNorm)}
    members = sorted(writers, key=order.index)
    norms = sorted(scalers, key=order.index)
    root = next(name for name in members if isinstance(writers[name].dep.layer, _ConvNd))
    width = len(out_channels_first(writers[root].dep.layer))
    one_to_one = all(_is_shifted(item, width) for item in [*writers.values(), *scalers.values()])
    whole = all(len(out_channels_first(item.dep.layer)) == width for item in writers.values())
    return PrunableGroup(
        id=root,
        members=tuple(members),
        norms=tuple(norms),
        norm_starts=tuple(min(scalers[name].idxs) for name in norms),
        width=width,
        locked=not (one_to_one and whole and all(_is_separable(item.dep.target) for item in items)),
    )


def _is_shifted(item: Any, width: int) -> bool:
    """Whether the root's channels 0, 1, … lie in this layer side by side, in the same order."""
    shifts = {index - root for index, root in zip(item.idxs, item.root_idxs, strict=True)}
    return len(item.idxs) == width and len(shifts) == 1


def _is_separable(node: Any) -> bool:
    """Whether one channel can leave this node of the graph without changing what the others compute."""
    layer = node.module
    if isinstance(layer, _ConvNd) and layer.groups > 1:
        return layer.groups == layer.in_channels == layer.out_channels
    if isinstance(layer, _BatchNorm):
        return layer.affine  # without scale and shift a channel can be cut but not shrunk
    return node.type in _SEPARABLE_TYPES and not _is_mixing(node)


def _is_mixing(node: Any) -> bool:
    operation = str(node.module).lower() if node.type == _OPTYPE.ELEMENTWISE else ""
    return any(mixing in operation for mixing in _MIXING)


def _check_complete(network: nn.Module, groups: Sequence[PrunableGroup]) -> None:
    name = type(network).__name__
    if not groups:
        raise ValueError(f"{name} has no convolution whose channels could be pruned")
    written = {member for group in groups for member in group.members}
    convolutions = [path for path, module in network.named_modules() if isinstance(module, nn.Conv2d)]
    missed = [path for path in convolutions if path not in written]
    if missed:
        raise ValueError(
            f"the graph of {name} misses the convolutions {', '.join(missed)}: each must run on the example, "
            "with gradients"
        )


def out_channels_first(layer: nn.Module) -> Tensor:
    """Return a layer's weight (a BatchNorm's scale) as a view with the out channels first."""
    weight = layer.get_parameter("weight")
    return weight.transpose(0, 1) if getattr(layer, "transposed", False) else weight
