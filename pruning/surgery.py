"""The only place that removes channels: a network and a plan → a smaller dense network.

Letters: N images, C channels, H W image size.
"""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from copy import deepcopy
from operator import index
from typing import Any, TypeAlias

import torch
import torch_pruning as tp
from pydantic import TypeAdapter
from torch import Tensor, nn

from pruning.decay import decay_channels_
from pruning.graph.groups import PrunableGroup, describe_groups, in_features, out_channels_first, run_all, trace
from pruning.names import nearest_name

# Group id → the channels it keeps, ascending. A group that is not named keeps all.
Plan: TypeAlias = Mapping[str, tuple[int, ...]]
# Cut and masked may differ by rounding, and by the floor that GeM puts under a masked channel.
_SAME = 1e-3
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

    Kept indices may also be a tensor or an array. Random images are then run through the cut network and through one
    whose removed channels are masked: a network that does more with its channels than its graph tells (a shuffle in
    disguise, a mean over channels) makes the two differ, and is refused.

    Raises:
        ValueError: the network cannot be traced (see `find_groups`); the plan names an unknown or locked group, keeps
            no channel of one, or names channels twice, out of range, or by other than whole numbers; or the result is
            not what the plan asked for, or not what masking gives.
    """
    traced = trace(network, example_NCHW)
    small = traced.network
    groups = describe_groups(traced, open_descriptor=open_descriptor)
    whole_plan = {name: _whole_numbers(name, kept) for name, kept in plan.items()}
    check_plan(groups, whole_plan)
    kept = {group.id: whole_plan.get(group.id, range(group.width)) for group in groups}
    removed = {group.id: group.all_but(kept[group.id]) for group in groups}
    images_NCHW = torch.randn(example_NCHW.shape, generator=torch.Generator().manual_seed(0))
    expected = _masked_output(small, groups, removed, images_NCHW)
    for group_id, channels in removed.items():
        _remove_(small, traced.graph, group_id, channels)
    _check_achieved(small, network, groups, {group.id: group.width - len(kept[group.id]) for group in groups})
    _check_output(small, images_NCHW, expected)
    _restore_flags_(small, network)
    return small


def check_plan(groups: Sequence[PrunableGroup], plan: Mapping[str, Sequence[int]]) -> None:
    """Raise ValueError unless every entry names an unlocked group and some of its channels, each once."""
    by_id = _by_id(groups)
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
    """Read what `plan_to_json` wrote.

    Raises:
        ValueError: it is no object of lists of channel numbers.
    """
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


def _by_id(groups: Sequence[PrunableGroup]) -> dict[str, PrunableGroup]:
    return {group.id: group for group in groups}


def _whole_numbers(group_id: str, kept: Sequence[int] | Tensor) -> tuple[int, ...]:
    """Return indices as plain integers, whatever holds them."""
    listed = kept.tolist() if hasattr(kept, "tolist") else list(kept)
    try:
        if any(isinstance(channel, bool) for channel in listed):
            raise TypeError
        return tuple(index(channel) for channel in listed)
    except TypeError as error:
        raise ValueError(f"channels of group {group_id!r} must be whole numbers, got {listed}") from error


@torch.no_grad()
def _masked_output(
    network: nn.Module, groups: Sequence[PrunableGroup], removed: Mapping[str, Sequence[int]], images_NCHW: Tensor
) -> Tensor | None:
    """Return the network's output with the removed channels masked; None when the output is no tensor.

    Columns of an open descriptor that are removed are left out.
    """
    masked = deepcopy(network).cpu()  # a GPU's TF32 convolutions would differ by as much as what is looked for
    for group in groups:
        decay_channels_(masked, group, removed[group.id], 0.0)
    output = _descriptors(masked, images_NCHW)
    shortened = [group for group in groups if group.descriptor and removed[group.id]]
    if not isinstance(output, Tensor) or not shortened:
        return output if isinstance(output, Tensor) else None
    # Of a concatenation, which column belongs to which group is not known here.
    group, *others = shortened
    return None if others else output[:, list(group.all_but(removed[group.id]))]


def _descriptors(network: nn.Module, images_NCHW: Tensor) -> Any:
    return run_all(network, images_NCHW.to(next(network.parameters()).device))[0]


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


@torch.no_grad()
def _check_output(small: nn.Module, images_NCHW: Tensor, expected: Tensor | None) -> None:
    try:
        achieved = _descriptors(deepcopy(small).cpu(), images_NCHW)
    except RuntimeError as error:
        raise ValueError(f"{type(small).__name__} does not run any more once it is cut: {error}") from error
    if expected is None or not expected.isfinite().all():
        return
    if achieved.shape != expected.shape:
        raise ValueError(f"the cut made the output {tuple(achieved.shape)}, masking makes it {tuple(expected.shape)}")
    difference = float((achieved - expected).abs().max()) / max(float(expected.abs().max()), 1e-30)
    if difference > _SAME:
        raise ValueError(
            f"the cut {type(small).__name__} differs from the masked one by {difference:.1e} of the largest output: it "
            "does something with its channels that cannot be followed"
        )


def _restore_flags_(small: nn.Module, network: nn.Module) -> None:
    """Give a copy the training and gradient flags back that tracing changed."""
    for copied, original in zip(small.modules(), network.modules(), strict=True):
        copied.training = original.training
    frozen = {name for name, parameter in network.named_parameters() if not parameter.requires_grad}
    for name, parameter in small.named_parameters():
        parameter.requires_grad_(name not in frozen)
