"""Channels that must go together, found along the dependency graph of a network.

Letters: N images, C channels, H W image size; O out channels, D the length of one channel's filter.
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from pruning.graph.additions import adds_layers, is_depthwise
from pruning.graph.resolutions import areas_recorded, number_resolutions
from pruning.graph.separable import ends_channels, is_one_column, is_separable, is_shifted
from pruning.graph.shuffles import shuffles_refused

_OPTYPE = tp.ops.OPTYPE


@dataclass(frozen=True)
class PrunableGroup:
    """Channels that are written together, so that channel c goes from all of these layers or from none.

    Attributes:
        id: the first convolution among `members`.
        members: names of the layers that write these channels (convolutions and linear layers), in network order;
            channel c is row c of each of their weights.
        norms: names of the BatchNorms that scale these channels, in network order.
        norm_starts: for each of `norms`, the index of channel 0 in it: above 0 only behind a concatenation (DenseNet).
        width: how many channels.
        locked: whether they must all stay: the group writes the network's output (it fixes the descriptor's size)
            and was not opened, or its channels cannot go one by one (grouped convolutions, GroupNorm, LayerNorm,
            BatchNorm without scale, matrix products between activations, slices at fixed indices).
        residual: whether channels of two or more of `members` are added, as by a shortcut. Depthwise ones do not
            count, nor does a product, as in squeeze-and-excitation.
        descriptor: whether each channel is one column of the network's output.
        resolution: number of the run of layers of equal resolution that the group ends in, from 0 at the highest.
        readers: names of the convolutions and linear layers that read these channels, in network order; depthwise
            ones are members.
        reader_spans: for each of `readers`, how many of its inputs one channel becomes: above 1 only behind a flatten.
    """

    id: str
    members: tuple[str, ...]
    norms: tuple[str, ...]
    norm_starts: tuple[int, ...]
    width: int
    locked: bool
    residual: bool = False
    descriptor: bool = False
    resolution: int = 0
    readers: tuple[str, ...] = ()
    reader_spans: tuple[int, ...] = ()

    def all_but(self, channels: Iterable[int]) -> tuple[int, ...]:
        """Return the channels that are not among the given ones, ascending."""
        left_out = set(channels)
        return tuple(channel for channel in range(self.width) if channel not in left_out)


@dataclass(frozen=True)
class Traced:
    """A copy of a network, in evaluation mode with all gradients on, and its dependency graph.

    Attributes:
        graph: that copy's dependency graph.
        outputs: the graph's nodes that give what the network gives; the first one gives the descriptor.
        resolutions: name of each convolution and linear layer → number of its run of layers of equal resolution.
    """

    network: nn.Module
    graph: tp.DependencyGraph
    outputs: tuple[Any, ...]
    resolutions: Mapping[str, int]


def find_groups(network: nn.Module, example_NCHW: Tensor, *, open_descriptor: bool = False) -> list[PrunableGroup]:
    """Find every group of channels that a convolution writes, in network order; the network is not changed.

    Network order is the order of `named_modules`. `example_NCHW` is a batch the network accepts; its values
    do not matter. Channels that linear layers alone write (a classifier, a whitening) form no group. A network
    with a method `all_outputs(images) -> tuple of tensors`, the descriptor first, is followed through that, so
    that a classifier, which its forward leaves out, reads the descriptor.

    `open_descriptor` unlocks the group whose channels are the columns of the output, when nothing else locks
    it.

    Raises:
        ValueError: the graph cannot be traced, has no group, or misses a convolution (the message names the network);
            or a module puts channels into another order (the message names the module).
    """
    return describe_groups(trace(network, example_NCHW), open_descriptor=open_descriptor)


def filters_of(network: nn.Module, group: PrunableGroup) -> Tensor:
    """Return the filter of each channel as a row, O×D: those of all layers that write it, one after another.

    Raw weights without biases, detached; a copy. For a group of one layer this is the papers' definition.

    Raises:
        ValueError: a weight is not finite; the message names the layer.
    """
    weights = [_finite_weight(network, name).flatten(1) for name in group.members]
    return torch.cat(weights, dim=1).detach()


@torch.inference_mode(mode=False)
@torch.enable_grad()
def trace(network: nn.Module, example_NCHW: Tensor) -> Traced:
    """Follow the channels of a copy of the network. Raises ValueError, naming the network, when that fails."""
    name = type(network).__name__
    if example_NCHW.dim() != 4:
        raise ValueError(f"the example for {name} must be N×C×H×W, got shape {tuple(example_NCHW.shape)}")
    traced = deepcopy(network).eval()
    parameters = list(traced.parameters())
    if not parameters:
        raise ValueError(f"{name} has no parameters, so there is nothing to prune")
    for path, module in traced.named_modules():
        if parametrize.is_parametrized(module):
            raise ValueError(f"layer {path!r} makes its weight of others (a mask, codes, a norm): make it plain first")
    # The graph is read off the gradients: frozen layers would be missing from it.
    for parameter in parameters:
        parameter.requires_grad_(parameter.is_floating_point())
    example_NCHW = example_NCHW.detach().clone().to(parameters[0].device)
    with areas_recorded(traced) as areas, shuffles_refused(traced):
        run_all(traced, example_NCHW)  # if the network itself refuses the example, let it say so
    graph, outputs = _build_graph(traced, example_NCHW)
    return Traced(traced, graph, outputs, number_resolutions(areas))


def run_all(network: nn.Module, images_NCHW: Tensor) -> list[Any]:
    """Return all outputs of a network, the descriptor first: those of its `all_outputs`, where it has that method."""
    run = getattr(network, "all_outputs", network)
    return list(tp.utils.flatten_as_list(run(images_NCHW)))


def describe_groups(traced: Traced, *, open_descriptor: bool = False) -> list[PrunableGroup]:
    """Describe the groups of a traced network, in network order.

    Raises:
        ValueError: as `find_groups` does.
    """
    names = {module: name for name, module in traced.network.named_modules()}
    coupled = traced.graph.get_all_groups(ignored_layers=[], root_module_types=[nn.Conv2d])
    groups = [_describe(list(items), traced, names, open_descriptor) for items in coupled]
    _check_complete(traced.network, groups)
    order = list(names.values())
    return sorted(groups, key=lambda group: order.index(group.id))


def _build_graph(network: nn.Module, example_NCHW: Tensor) -> tuple[tp.DependencyGraph, tuple[Any, ...]]:
    """Build the dependency graph; return it with those of its nodes that give the network's outputs."""
    outputs: list[Any] = []

    # Given a function, the library calls it as it is. Left to itself it would unpack a batch of one image.
    def forward(network: nn.Module, images_NCHW: Tensor) -> list[Any]:
        outputs.extend(run_all(network, images_NCHW))
        return outputs

    try:
        graph = tp.DependencyGraph().build_dependency(
            network, example_NCHW, forward_fn=forward, customized_pruners={}, verbose=False
        )
    except torch.OutOfMemoryError:
        raise
    except Exception as error:  # the library fails in as many ways as there are operations it does not know
        name = type(network).__name__
        cause = f"{type(error).__name__}: {error}"
        raise ValueError(f"the channels of {name} cannot be traced: {cause}") from error
    nodes = {node.grad_fn: node for node in graph.module2node.values()}
    _stop_at_([node for node in nodes.values() if ends_channels(node)])
    given = [output.grad_fn for output in outputs if isinstance(output, Tensor)]
    return graph, tuple(nodes[step] for step in given if step in nodes)


def _stop_at_(ends: Sequence[Any]) -> None:
    """Let no channel be followed through the given nodes of a graph, nor be multiplied on its way there.

    Channels that reach such a node are locked (see `is_separable`). Followed further, as if they were the same
    behind it, they would multiply until the memory is full.
    """
    ending, waiting = set(ends), list(ends)
    for node in ends:
        node.dependencies.clear()
    while waiting:
        steps = [n for n in waiting.pop().inputs if n.type in (_OPTYPE.RESHAPE, _OPTYPE.ELEMENTWISE)]
        for step in steps:
            if step not in ending and ending.issuperset(step.outputs):
                ending.add(step)
                waiting.append(step)
                _forget_mappings_(step)


def _forget_mappings_(node: Any) -> None:
    """Treat a reshape that joins only image positions as elementwise: torch-pruning takes all to join channels too."""
    node.type = _OPTYPE.ELEMENTWISE  # torch-pruning makes no index mappings for these
    towards = [dependency for before in node.inputs for dependency in before.dependencies if dependency.target is node]
    for dependency in [*node.dependencies, *towards]:
        dependency.index_mapping = [None, None]


def _describe(items: list[Any], traced: Traced, names: dict[nn.Module, str], open_descriptor: bool) -> PrunableGroup:
    """Describe one group: items that each say which channels of a layer go with which of the root's."""
    order = list(names.values())
    written = [item for item in items if traced.graph.is_out_channel_pruning_fn(item.dep.handler)]
    read = [item for item in items if traced.graph.is_in_channel_pruning_fn(item.dep.handler)]
    writers = {names[i.dep.layer]: i for i in written if isinstance(i.dep.layer, (_ConvNd, nn.Linear))}
    scalers = {names[i.dep.layer]: i for i in written if isinstance(i.dep.layer, _BatchNorm)}
    takers = {names[i.dep.layer]: i for i in read if _only_reads(i.dep.layer)}
    members, norms, readers = (sorted(named, key=order.index) for named in (writers, scalers, takers))
    root = next(name for name in members if isinstance(writers[name].dep.layer, _ConvNd))
    width = len(out_channels_first(writers[root].dep.layer))
    one_to_one = all(is_shifted(item, width) for item in [*writers.values(), *scalers.values()])
    whole = all(len(out_channels_first(item.dep.layer)) == width for item in writers.values())
    separable = one_to_one and whole and all(is_separable(item.dep.target) for item in items)
    ends = [item for item in written if item.dep.target in traced.outputs]
    descriptor = any(item.dep.target is traced.outputs[0] and is_one_column(item, width) for item in ends)
    return PrunableGroup(
        id=root,
        members=tuple(members),
        norms=tuple(norms),
        norm_starts=tuple(min(scalers[name].idxs) for name in norms),
        width=width,
        locked=not separable or (bool(ends) and not (descriptor and open_descriptor)),
        residual=adds_layers({item.dep.target for item in items}),
        descriptor=descriptor,
        resolution=max(traced.resolutions[name] for name in members),
        readers=tuple(readers),
        reader_spans=tuple(len(takers[name].idxs) // width for name in readers),
    )


def _only_reads(layer: Any) -> bool:
    return isinstance(layer, (_ConvNd, nn.Linear)) and not is_depthwise(layer)


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


def in_features(layer: nn.Module) -> int:
    """Return how many channels a convolution reads, or how many values a linear layer."""
    return int(layer.in_features if isinstance(layer, nn.Linear) else layer.in_channels)  # type: ignore[arg-type]


def _finite_weight(network: nn.Module, name: str) -> Tensor:
    weight = out_channels_first(network.get_submodule(name))
    if not bool(weight.isfinite().all()):
        value = "NaN" if bool(weight.isnan().any()) else "infinity"
        raise ValueError(f"{value} in weight of {name!r}; weights must be finite to be compared")
    return weight
