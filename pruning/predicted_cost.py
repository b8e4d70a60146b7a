"""What a network will cost once it is cut, counted from the widths of its groups alone, without cutting it.

Letters: N images, G groups, T tensors of the state dict, R axes of a tensor (shapes with fewer axes are padded
with 1).
"""

from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pruning.coding.sparsity import coded_layers
from pruning.coding.weight_file import Integers, WeightFile
from pruning.cost import Cost, cost_of, count_macs, macs_by_layer
from pruning.graph.channel_axes import Axis, Followers, channel_axes, descriptor_axes
from pruning.graph.groups import PrunableGroup
from pruning.names import nearest_name
from pruning.schedule import Schedule
from pruning.surgery import cut, run_all
from pruning.widths import kept_count

_ROUNDING = 1e-6  # that of `pruning.coding.sparsity.share_mask`


@dataclass(frozen=True, eq=False)
class CostModel:
    """Counted cost of whatever a schedule makes of one dense network: exact, and known before it trains.

    Attributes:
        groups: of the dense network.
        tensors: names in the state dict.
        file: gives the length of their safetensors file for any shapes.
        shapes_TR: of the tensors in the dense network.
        followers_TRG: how many indices along each axis are removed with each channel of a group.
        is_parameter_T: false for buffers.
        macs_T: multiply-adds that one element of the tensor takes part in; 0 for all but weights of layers.
        other_macs: those between activations, which no cut changes.
        owners: name of each weight that a quantization codes → its group's id, or its layer's name where it is in
            none.
    """

    groups: tuple[PrunableGroup, ...]
    tensors: tuple[str, ...]
    file: WeightFile
    shapes_TR: Integers
    followers_TRG: NDArray[np.float64]
    is_parameter_T: NDArray[np.bool_]
    macs_T: Integers
    other_macs: int
    owners: Mapping[str, str]

    @classmethod
    def of(
        cls,
        network: nn.Module,
        groups: Sequence[PrunableGroup],
        example_NCHW: Tensor,
        *,
        delivered: nn.Module | None = None,
        prefix: str = "",
        probe_NCHW: Tensor | None = None,
    ) -> Self:
        """Build the model of a dense network, and check it against one that is really cut.

        Args:
            network: the dense network, as its groups were found in it.
            groups: all of them.
            example_NCHW: what multiply-adds are counted on, as in `pruning.cost.cost_of`.
            delivered: what is counted: the network without a part that only training needs, or inside other modules,
                as a whitening. In those, axes as long as the descriptor shrink with it; everything else keeps its
                shape. None counts the network itself.
            prefix: what stands before the network's names in the state dict of `delivered`.
            probe_NCHW: for the check, smaller images that the network takes; None for the example.

        Raises:
            ValueError: what was really cut has other costs than predicted, because the network has weights that follow
                its channels in a way that its groups do not tell; or it cannot be cut (see `pruning.surgery.cut`).
        """
        probe_NCHW = example_NCHW if probe_NCHW is None else probe_NCHW
        followers = channel_axes(network, groups)
        cls._counted(network, groups, probe_NCHW, followers, {})._check_against_a_cut(network, probe_NCHW)
        delivered = network if delivered is None else delivered
        outer = {Axis(prefix + axis.tensor, axis.number): spans for axis, spans in followers.items()}
        around = {name: tensor for name, tensor in delivered.state_dict().items() if not name.startswith(prefix)}
        group_of = {member: group.id for group in groups for member in group.members}
        owners = {f"{prefix}{layer}.weight": group_of.get(layer, layer) for layer in coded_layers(network)}
        if around and any(group.descriptor and not group.locked for group in groups):
            outer |= descriptor_axes(around, _descriptor_size(network, probe_NCHW), groups)
        return cls._counted(delivered, groups, example_NCHW, outer, owners)

    @classmethod
    def _counted(
        cls,
        network: nn.Module,
        groups: Sequence[PrunableGroup],
        example_NCHW: Tensor,
        followers: Followers,
        owners: Mapping[str, str],
    ) -> Self:
        state = network.state_dict()
        names, shapes_TR = tuple(state), _shapes_of(state.values())
        macs_T = _macs_per_element(network, example_NCHW, followers)
        return cls(
            groups=tuple(groups),
            tensors=names,
            file=WeightFile.of(state, shapes_TR.shape[1]),
            shapes_TR=shapes_TR,
            followers_TRG=_spans(names, shapes_TR.shape[1], groups, followers),
            is_parameter_T=np.isin(names, [name for name, _ in network.named_parameters()]),
            macs_T=macs_T,
            other_macs=count_macs(network, example_NCHW) - int(macs_T @ shapes_TR.prod(axis=1)),
            owners={name: owner for name, owner in owners.items() if name in state},
        )

    @cached_property
    def dense(self) -> Cost:
        """Cost of the network with all its channels."""
        return self._cost(self._shapes({}))

    def widths(self, schedule: Schedule) -> dict[str, int]:
        """Return group id → how many of its channels are kept, for every group; locked ones keep all.

        Raises:
            ValueError: a ratio names no group of this network.
        """
        return kept_widths(self.groups, schedule)

    def metrics(self, schedule: Schedule) -> dict[str, float]:
        """Predict what the finished trial will report: parameters, macs, size_bytes, mac_ratio and compression.

        Where weights are coded, `size_bytes` is the papers' formula (`pruning.coding.packing.size_formula_bytes`),
        which the
        file itself lies above, but for what Huffman codes save. How many weights lie below a threshold is not known
        before they are trained: both sizes are left out then.

        Raises:
            ValueError: as `widths` does.
        """
        widths = self.widths(schedule)
        shapes_TR = self._shapes({group.id: group.width - widths[group.id] for group in self.groups})
        cost = self._cost(shapes_TR)
        metrics = {
            "parameters": float(cost.parameters),
            "macs": float(cost.macs),
            "mac_ratio": self.dense.macs / cost.macs,
        }
        if schedule.sparsity is not None and schedule.sparsity.share is None:
            return metrics
        size = cost.size_bytes if schedule.quantization is None else self._coded_bytes(shapes_TR, schedule)
        return {**metrics, "size_bytes": float(size), "compression": self.dense.size_bytes / size}

    def _shapes(self, removed: Mapping[str, int]) -> Integers:
        """Return the shapes of all tensors, when so many channels are gone."""
        removed_G = np.array([removed.get(group.id, 0) for group in self.groups], dtype=np.float64)
        return self.shapes_TR - (self.followers_TRG @ removed_G).astype(np.int64)

    def _cost(self, shapes_TR: Integers) -> Cost:
        elements_T = shapes_TR.prod(axis=1)
        return Cost(
            parameters=int(elements_T[self.is_parameter_T].sum()),
            macs=int(self.macs_T @ elements_T) + self.other_macs,
            size_bytes=self.file.size_bytes(shapes_TR),
        )

    def _coded_bytes(self, shapes_TR: Integers, schedule: Schedule) -> int:
        quantization, share = schedule.quantization, schedule.sparsity.share if schedule.sparsity else 0.0
        assert quantization is not None
        assert share is not None
        code_bits, raw_bytes = 0, 0
        elements_T = shapes_TR.prod(axis=1).tolist()
        for name, elements, item_bytes in zip(self.tensors, elements_T, self.file.item_bytes_T.tolist(), strict=True):
            if name in self.owners:
                kept = elements - min(int(share * elements + _ROUNDING), elements - 1)
                code_bits += kept * quantization.group_bits.get(self.owners[name], quantization.bits)
            else:
                raw_bytes += elements * item_bytes
        return -(-code_bits // 8) + raw_bytes

    def _check_against_a_cut(self, network: nn.Module, probe_NCHW: Tensor) -> None:
        """Cut every group that is open, each by another share, and compare."""
        opened = [group for group in self.groups if not group.locked and group.width > 1]
        removed = {group.id: max(1, group.width * (1 + index % 5) // 8) for index, group in enumerate(opened)}
        plan = {group.id: range(group.width - removed[group.id]) for group in opened}
        open_descriptor = any(group.descriptor for group in opened)
        counted = cost_of(cut(network, plan, probe_NCHW, open_descriptor=open_descriptor), probe_NCHW)
        if (predicted := self._cost(self._shapes(removed))) != counted:
            raise ValueError(
                f"the cost of {type(network).__name__} cannot be predicted from its widths: cut, it has {counted}, "
                f"predicted were {predicted}; some of its weights follow its channels unseen"
            )


def kept_widths(groups: Sequence[PrunableGroup], schedule: Schedule) -> dict[str, int]:
    """Return group id → how many of its channels a schedule keeps, for every group; locked ones keep all.

    Raises:
        ValueError: a ratio names no group of this network.
    """
    ids = [group.id for group in groups]
    for named in schedule.ratios:
        if named not in ids:
            raise ValueError(f"no group {named!r} in this network; nearest: {nearest_name(named, ids)!r}")
    asked = {group.id: 0.0 if group.locked else schedule.ratios.get(group.id, 0.0) for group in groups}
    return {group.id: kept_count(group.width, asked[group.id], schedule.round_to) for group in groups}


def _shapes_of(tensors: Iterable[Tensor]) -> Integers:
    tensors = list(tensors)
    ranks = max(1, *(tensor.dim() for tensor in tensors))
    return np.array([[*tensor.shape, *[1] * (ranks - tensor.dim())] for tensor in tensors], dtype=np.int64)


def _spans(
    names: Sequence[str], ranks: int, groups: Sequence[PrunableGroup], followers: Followers
) -> NDArray[np.float64]:
    """Return `followers` as an array, T×R×G; tensors that are not among `names` are left out."""
    spans_TRG = np.zeros((len(names), ranks, len(groups)))
    rows = {name: row for row, name in enumerate(names)}
    columns = {group.id: column for column, group in enumerate(groups)}
    for axis, spans in followers.items():
        for group, span in spans.items():
            if axis.tensor in rows:
                spans_TRG[rows[axis.tensor], axis.number, columns[group]] = span
    return spans_TRG


def _macs_per_element(network: nn.Module, example_NCHW: Tensor, followers: Followers) -> Integers:
    """Count, for each tensor, the multiply-adds that one of its elements takes part in.

    Layers' weights; and matrices that follow the descriptor's size, which each image's descriptor meets once.
    """
    state = network.state_dict()
    layers = {f"{layer}.weight" for layer in coded_layers(network)}
    macs_of = {axis.tensor: len(example_NCHW) for axis in followers if axis.number == 1 and axis.tensor not in layers}
    for layer, macs in macs_by_layer(network, example_NCHW).items():
        macs_of[f"{layer}.weight"] = macs // state[f"{layer}.weight"].numel()
    return np.array([macs_of.get(name, 0) for name in state], dtype=np.int64)


@torch.no_grad()
def _descriptor_size(network: nn.Module, images_NCHW: Tensor) -> int:
    device = next(network.parameters()).device
    return int(run_all(deepcopy(network).eval(), images_NCHW.to(device))[0].shape[1])
