"""Which channels can go one by one: what each node of a dependency graph does to them."""

from math import prod
from typing import Any

from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd

# What channels may run through so that one can leave without touching the others, by torch-pruning's names.
# Left out are the layers that handle channels in fixed blocks or normalise across them.
_SEPARABLE_TYPES = frozenset(
    {
        *("CONV", "DEPTHWISE_CONV", "LINEAR", "BN", "PRELU", "PARAMETER"),
        *("ELEMENTWISE", "RESHAPE", "EXPAND", "OUTPUT"),
        *("CONCAT", "SPLIT", "SLICE", "UNBIND"),
    }
)
# Operations that the graph takes for elementwise though they mix channels (attention, assignment in NetVLAD).
_MIXING = ("softmax", "bmm", "mmbackward", "attention")
# Operations that take a part of an axis at indices fixed in the code: after a cut, other channels lie there.
_TAKING = ("slicebackward", "splitbackward", "splitwithsizes", "unbindbackward", "selectbackward")
_CHANNELS = 1  # the axis of N×C and N×C×H×W


def is_separable(node: Any) -> bool:
    """Return whether one channel can leave this node of the graph without changing what the others compute."""
    layer = node.module
    if isinstance(layer, _ConvNd) and layer.groups > 1:
        return layer.groups == layer.in_channels == layer.out_channels
    if isinstance(layer, _BatchNorm):
        return layer.affine  # without scale and shift a channel can be cut but not shrunk
    return node.type.name in _SEPARABLE_TYPES and not ends_channels(node)


def ends_channels(node: Any) -> bool:
    """Return whether channels are mixed or selected in this node, so that the graph must not follow them beyond it."""
    return _mixes_channels(node) or _takes_channels(node)


def is_shifted(item: Any, width: int) -> bool:
    """Return whether the root's channels 0, 1, … lie in this item's layer side by side, in the same order."""
    shifts = {index - root for index, root in zip(item.idxs, item.root_idxs, strict=True)}
    return len(item.idxs) == width and len(shifts) == 1


def is_one_column(item: Any, width: int) -> bool:
    """Return whether each of the root's channels is one column of this item's node, not one for each position."""
    flattens = "view" in _operation(item.dep.target)
    sizes = getattr(item.dep.target.grad_fn, "_saved_self_sym_sizes", ()) if flattens else ()
    return is_shifted(item, width) and prod(sizes[2:]) == 1


def _mixes_channels(node: Any) -> bool:
    return node.type.name in ("ELEMENTWISE", "OUTPUT") and any(mixing in _operation(node) for mixing in _MIXING)


def _takes_channels(node: Any) -> bool:
    if not any(taking in _operation(node) for taking in _TAKING):
        return False
    axis = node.grad_fn._saved_dim
    # An axis counted from the end is saved in a field without a sign; the library takes it for the channels' axis.
    return bool(axis == _CHANNELS or axis >= 2**63)


def _operation(node: Any) -> str:
    """Return autograd's name for this node's backward step, in lower case."""
    return str(node.grad_fn.name()).lower()
