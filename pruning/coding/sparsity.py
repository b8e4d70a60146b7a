"""Pruning of single weights: thresholds, masks that hold while the network trains, and the penalty that shrinks them.

Only the weights of convolutions and linear layers are pruned ("coded layers", because the same weights are
quantized). Biases, BatchNorm, GeM's exponents and NetVLAD's centroids stay as they are.
"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils import parametrize

from pruning.names import nearest_name

_ROUNDING = 1e-6  # 0.29 · 100 is 28.999999999999996 in binary; the floor of what was written is 29


def coded_layers(network: nn.Module) -> dict[str, nn.Module]:
    """Return name → layer, in network order: all convolutions (grouped and transposed ones too) and linear layers."""
    return {name: module for name, module in network.named_modules() if isinstance(module, (_ConvNd, nn.Linear))}


def magnitude_mask(weight: Tensor, threshold: float) -> Tensor:
    """Keep weights with |w| ≥ `threshold`; bool in the weight's shape, True = kept.

    Saha, Varma, Jawahar, "Compressing Deep Neural Networks for Recognizing Places", ACPR 2017: one absolute
    threshold for all layers.
    Differs from the paper: nothing.

    Raises:
        ValueError: `threshold` is negative, a weight is not finite, or no weight would be kept.
    """
    if not threshold >= 0:
        raise ValueError(f"threshold is {threshold}; it must be at least 0")
    magnitudes = checked_weight(weight).abs()
    kept = magnitudes >= threshold
    if not kept.any():
        raise ValueError(f"threshold {threshold} keeps no weight: the largest |w| is {magnitudes.max().item()}")
    return kept


def share_mask(weight: Tensor, share: float) -> Tensor:
    """Keep all but the floor(share · n) smallest of n weights by |w|; bool in the weight's shape, True = kept.

    Of equal magnitudes those with the lowest index (in row-major order) go first, so the count is exact.

    Raises:
        ValueError: `share` is outside [0, 1) or a weight is not finite.
    """
    if not 0 <= share < 1:
        raise ValueError(f"share is {share}; it must be in [0, 1)")
    magnitudes_N = checked_weight(weight).abs().flatten()
    count = min(int(share * len(magnitudes_N) + _ROUNDING), len(magnitudes_N) - 1)
    pruned_N = torch.zeros_like(magnitudes_N, dtype=torch.bool)
    if count > 0:
        limit = magnitudes_N.kthvalue(count).values
        pruned_N = magnitudes_N < limit
        ties = (magnitudes_N == limit).nonzero().flatten()
        pruned_N[ties[: count - int(pruned_N.sum())]] = True
    return ~pruned_N.view(weight.shape)


def l1_penalty(network: nn.Module) -> Tensor:
    """Return Σ|W| over the coded layers, a differentiable scalar; 0 for a network without any.

    Saha et al., ACPR 2017: training minimises loss + λ Σ|W|.
    Differs from the paper: nothing; weights that a mask prunes count as the zeros they are.
    """
    norms = [weight_of(layer).abs().sum() for layer in coded_layers(network).values()]
    return sum(norms, start=torch.zeros(()))


def pruned_share(network: nn.Module) -> float:
    """Return the share of weights that are exactly zero, over the coded layers.

    Raises:
        ValueError: the network has no coded layer.
    """
    weights = [weight_of(layer) for layer in coded_layers(network).values()]
    if not weights:
        raise ValueError(f"{type(network).__name__} has no convolution or linear layer, so no weights to count")
    zeros = sum(int((weight == 0).sum()) for weight in weights)
    return zeros / sum(weight.numel() for weight in weights)


class MaskedWeight(nn.Module):
    """Parametrization of a layer's weight: zero where it is pruned, and no gradient arrives there.

    Attributes:
        kept: bool, in the weight's shape; a buffer, so the mask is part of the network's state.
    """

    kept: Tensor

    def __init__(self, kept: Tensor) -> None:
        super().__init__()
        self.register_buffer("kept", kept.detach().clone())

    def forward(self, original: Tensor) -> Tensor:
        """Compute the weight from the trained tensor."""
        return torch.where(self.kept, original, 0.0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Compute the trained tensor from a weight.

        Pruned weights are zero there too, so one that is revived starts at zero.
        """
        return torch.where(self.kept, weight, 0.0)


def hold_masks_(network: nn.Module, masks: Mapping[str, Tensor]) -> None:
    """Prune the named layers' weights: they are zero from now on, however long the network trains.

    Han et al., "Deep Compression", ICLR 2016, section 2: the pruned network is retrained without what was cut.
    Differs from the paper: nothing.

    Args:
        network: its layers are changed.
        masks: layer name → bool in the weight's shape, True = kept. A layer that has a mask gets the new one; one
            that is quantized has its weights as they are now made plain again and masked. Layers not named stay.

    Raises:
        ValueError: a name is no coded layer's, the layer's weight is parametrized by others, or its mask has another
            shape or type or keeps nothing; the network is untouched then.
    """
    layers = checked_layers(network, masks)
    for name, layer in layers.items():
        _check_mask(name, masks[name], weight_of(layer))
    for name, layer in layers.items():
        replace_(layer, MaskedWeight(masks[name].to(weight_of(layer).device)))


@torch.no_grad()
def release_(network: nn.Module) -> None:
    """Fold masks and quantization into plain weights: the values as they are now, all names as before."""
    for layer in coded_layers(network).values():
        if parametrization_of(layer) is not None:
            _fold_(layer)


def weight_of(layer: nn.Module) -> Tensor:
    """Return a layer's weight as the layer uses it: masked or quantized where it is."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    return weight


def checked_weight(weight: Tensor) -> Tensor:
    """Return the same weights, detached.

    Raises:
        ValueError: there are none or one is not finite.
    """
    if weight.numel() == 0:
        raise ValueError(f"there must be at least one weight, got shape {tuple(weight.shape)}")
    broken = weight[~weight.isfinite()]
    if len(broken):
        first = broken[0].item()
        raise ValueError(f"weights must be finite, but {len(broken)} of {weight.numel()} are not: the first is {first}")
    return weight.detach()


def checked_layers(network: nn.Module, names: Iterable[str]) -> dict[str, nn.Module]:
    """Return name → layer for the given names.

    Raises:
        ValueError: a name is no coded layer's, or the layer's weight is parametrized by others.
    """
    layers = coded_layers(network)
    named = {}
    for name in names:
        if name not in layers:
            nearest = nearest_name(name, layers)
            raise ValueError(f"no convolution or linear layer is called {name!r}; nearest: {nearest!r}")
        if parametrize.is_parametrized(layers[name], "weight") and parametrization_of(layers[name]) is None:
            raise ValueError(f"the weight of {name!r} is parametrized by others; it must be plain, masked or quantized")
        named[name] = layers[name]
    return named


def parametrization_of(layer: nn.Module) -> MaskedWeight | None:
    """Return the mask or quantization that a layer's weight holds, None where it holds none of ours."""
    if not parametrize.is_parametrized(layer, "weight"):
        return None
    chain = layer.get_submodule("parametrizations.weight")
    assert isinstance(chain, parametrize.ParametrizationList)
    only = chain[0] if len(chain) == 1 else None
    return only if isinstance(only, MaskedWeight) else None


@torch.no_grad()
def replace_(layer: nn.Module, parametrization: MaskedWeight) -> None:
    """Put the parametrization in the place of the one that the layer's weight holds, if it holds one of ours."""
    if parametrization_of(layer) is not None:
        _fold_(layer)
    layer.get_parameter("weight").grad = None  # the trained tensor may change its shape
    parametrize.register_parametrization(layer, "weight", parametrization)


def _fold_(layer: nn.Module) -> None:
    # A deep copy shares its original's parametrized class, and torch takes the weight off the class: without a
    # class of its own, folding a copy would leave the original without a weight.
    shared = type(layer)
    layer.__class__ = type(shared.__name__, shared.__bases__, dict(shared.__dict__))
    parametrize.remove_parametrizations(layer, "weight", leave_parametrized=True)
    layer.get_parameter("weight").grad = None  # it may have the shape of a codebook
    # The weight came back as the last parameter; a plain layer has it first, and state dicts go by that order.
    for name, parameter in list(layer.named_parameters(recurse=False)):
        if name != "weight":
            delattr(layer, name)
            layer.register_parameter(name, parameter)


def _check_mask(name: str, kept: Tensor, weight: Tensor) -> None:
    if kept.dtype != torch.bool or kept.shape != weight.shape:
        raise ValueError(
            f"the mask of {name!r} is {kept.dtype} of shape {tuple(kept.shape)}; "
            f"it must be bool of shape {tuple(weight.shape)}"
        )
    if not kept.any():
        raise ValueError(f"the mask of {name!r} keeps none of {kept.numel()} weights; it must keep at least 1")
