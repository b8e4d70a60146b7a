"""The only place that removes channels: a network and a plan → a smaller dense network.

Letters: N images, C channels, H W image size.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TypeAlias

import torch
import torch_pruning as tp
from pydantic import TypeAdapter
from torch import Tensor, nn

from pruning.groups import PrunableGroup, describe_groups, in_features, out_channels_first, run_all, trace
from pruning.names import nearest_name

# Group id → the channels it keeps, ascending. A group that is not named keeps all.
Plan: TypeAlias = Mapping[str, tuple[int, ...]]
_PLAN_JSON = TypeAdapter(dict[str, tuple[int, ...]])


@torch.inference_mode(mode=False)
def cut(
    network: nn.Module, plan: Mapping[str, Sequence[int]], example_NCHW: Tensor, *, open_descriptor: bool = False
) -> nn.Module:
    """Return a copy of the network without the channels that the plan does not keep.

    The copy has the network's modes and frozen parameters. Kept channels stay in the network's order,
    whatever order the plan names them in. So a plan, replayed on a fresh network of the same architecture,
    gives exactly the shapes that a cut network's `state_dict` fits.

    With `open_descriptor` (see `find_groups`) the plan may shorten the descriptor: its columns are then the
    kept ones, and what reads them follows. No other plan changes the shape of the output.

    Raises ValueError when the network cannot be traced (see `find_groups`), when the plan names an unknown or
    locked group, or channels that are none, twice the same, or out of range; and when what was achieved is
    not what the plan asked for.
    """
    traced = trace(network, example_NCHW)
    small = traced.network
    groups = describe_groups(traced, open_descriptor=open_descriptor)
    check_plan(groups, plan)
    dense_shape = _output_shape(small, example_NCHW)
    removed = {group.id: group.all_but(plan.get(group.id, range(group.width))) for group in groups}
    for group_id, channels in removed.items():
        _remove_(small, traced.graph, group_id, channels)
    counts = {group_id: len(channels) for group_id, channels in removed.items()}
    _check_achieved(small, network, groups, counts)
    columns = sum(counts[group.id] for group in groups if group.descriptor)
    _check_output(_output_shape(small, example_NCHW), dense_shape, columns)
    _restore_flags_(small, network)
    return small


def check_plan(groups: Sequence[PrunableGroup], plan: Mapping[str, Sequence[int]]) -> None:
    """Raise ValueError unless every entry names an unlocked group and some of its channels, each once."""
    by_id = {group.id: group for group in groups}
    for name, kept in plan.items():
        if name not in by_id:
            raise ValueError(
                f"the plan names no group of this network: {name!r}; nearest: {nearest_name(name, by_id)!r}"
            )
        _check_kept(by_id[name], kept)


def plan_to_json(plan: Mapping[str, Sequence[int]]) -> str:
    """Write a plan as one line of JSON, group ids in alphabetical order, channels ascending."""
    return json.dumps({name: sorted(plan[name]) for name in sorted(plan)})


def plan_from_json(text: str) -> Plan:
    """Read what `plan_to_json` wrote. Raises ValueError when it is no object of lists of channel numbers."""
    return _PLAN_JSON.validate_json(text, strict=True)


def _check_kept(group: PrunableGroup, kept: Sequence[int]) -> None:
    if group.locked:
        raise ValueError(f"group {group.id!r} is locked: all {group.width} of its channels must stay")
    if not kept:
        raise ValueError(f"the plan keeps no channel of group {group.id!r}; it must keep at least 1")
    outside = sorted(channel for channel in kept if not 0 <= channel < group.width)
    if outside:
        raise ValueError(f"channels {outside} of group {group.id!r} are outside [0, {group.width})")
    if len(set(kept)) < len(kept):
        twice = sorted(channel for channel in set(kept) if list(kept).count(channel) > 1)
        raise ValueError(f"the plan names channels {twice} of group {group.id!r} more than once")


@torch.no_grad()
def _output_shape(network: nn.Module, example_NCHW: Tensor) -> torch.Size | None:
    """Shape of the descriptor that the network makes of the example; None when that is no tensor."""
    output = run_all(network, example_NCHW.to(next(network.parameters()).device))[0]
    return output.shape if isinstance(output, Tensor) else None


def _remove_(small: nn.Module, graph: tp.DependencyGraph, root: str, channels: Sequence[int]) -> None:
    if channels:
        layer = small.get_submodule(root)
        graph.get_pruning_group(layer, tp.prune_conv_out_channels, list(channels)).prune()


def _check_achieved(
    small: nn.Module, network: nn.Module, groups: Sequence[PrunableGroup], removed: Mapping[str, int]
) -> None:
    inputs_lost: Counter[str] = Counter()
    for group in groups:
        for member in group.members:
            dense = len(out_channels_first(network.get_submodule(member)))
            achieved = len(out_channels_first(small.get_submodule(member)))
            _check_count(member, "channels", achieved, dense, removed[group.id])
        for reader, span in zip(group.readers, group.reader_spans, strict=True):
            inputs_lost[reader] += removed[group.id] * span
    for reader, lost in inputs_lost.items():
        dense = in_features(network.get_submodule(reader))
        _check_count(reader, "inputs", in_features(small.get_submodule(reader)), dense, lost)


def _check_count(layer: str, what: str, achieved: int, dense: int, removed: int) -> None:
    if achieved != dense - removed:
        raise ValueError(f"{layer!r} has {achieved} of {dense} {what} left, the plan asked for {dense - removed}")


def _check_output(achieved: torch.Size | None, dense: torch.Size | None, columns_removed: int) -> None:
    if dense is None:
        return
    asked = list(dense)
    if columns_removed:
        asked[1] -= columns_removed
    if achieved is None or list(achieved) != asked:
        sizes = tuple(achieved) if achieved is not None else None
        raise ValueError(f"the cut changed the output from shape {tuple(dense)} to {sizes}, not to {tuple(asked)}")


def _restore_flags_(small: nn.Module, network: nn.Module) -> None:
    """Tracing left the copy in evaluation mode with all gradients on."""
    for copied, original in zip(small.modules(), network.modules(), strict=True):
        copied.training = original.training
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    for name, parameter in small.named_parameters():
        parameter.requires_grad_(name not in frozen)
