"""Weights in few bits: k-means codebooks and uniform grids, and how they are trained.

Letters: N values, C centres, O out channels (rows of a weight).
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pruning.coding.sparsity import (
    MaskedWeight,
    checked_layers,
    checked_weight,
    coded_layers,
    parametrization_of,
    replace_,
    weight_of,
)
from pruning.frozen_mapping import FEWEST_BITS, MOST_BITS

Grid: TypeAlias = Literal["kmeans", "uniform"]
Floats: TypeAlias = NDArray[np.floating]


@dataclass(frozen=True)
class QuantizedWeight:
    """One layer's weight as small whole numbers that stand for values, zeros where it was pruned.

    Attributes:
        codes: uint8, in the weight's own shape; 0 where nothing is kept.
        kept: bool, in the weight's shape; False where the weight is pruned, that is exactly zero. All True in a
            dense layer.
        bits: 2 to 8; every code is below 2^bits.
        centres_C: codebook of 2^bits values, float32, shared by the whole layer; None for a uniform grid.
        low_O, step_O: uniform grid of each out channel (row of the weight), float32: code c stands for low + step ·
            c. None for a codebook.
    """

    codes: Tensor
    kept: Tensor
    bits: int
    centres_C: Tensor | None = None
    low_O: Tensor | None = None
    step_O: Tensor | None = None

    def dequantize(self) -> Tensor:
        """Return the weight, float32: the same numbers to the bit wherever this runs."""
        if self.centres_C is not None:
            values = self.centres_C[self.codes.int()]
        else:
            assert self.low_O is not None
            assert self.step_O is not None
            values = _column(self.low_O, self.codes) + _column(self.step_O, self.codes) * self.codes.float()
        return torch.where(self.kept, values, 0.0)


def kmeans_codebook(values_N: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    """Find 2^bits centres for N values by k-means, and the centre nearest to each value.

    Returns centres_C, ascending, in the values' type, and codes_N, int64: indices into centres_C, of two equally
    near centres the lower. Centres start equally spaced from the smallest value to the largest; Lloyd's iteration
    then runs until no value changes its centre. A centre that no value is nearest to stays where it is.

    Han et al., "Deep Compression", ICLR 2016, section 3.1 and equation 2, linear initialisation (section 3.2).
    Differs from the paper: values in one dimension are sorted once, and each iteration then only moves the borders
    between clusters. Sums come from running totals in float64, so a lone value 10^16 times the others would drown
    them.

    Costs N·log N time, and at its peak about 12 bytes a float32 value, the codes included. The search runs on the CPU.

    Raises:
        ValueError: `bits` is outside 2 to 8, or the values are not a non-empty row of finite floats.
    """
    _check_bits(bits)
    if values_N.dim() != 1 or not values_N.is_floating_point():
        raise ValueError(f"values must be one row of floats, got {values_N.dtype} of shape {tuple(values_N.shape)}")
    values_N = checked_weight(values_N)
    # NumPy knows no bfloat16, and float32 holds both half types exactly.
    exact_N = (values_N if values_N.dtype == torch.float64 else values_N.float()).contiguous()
    sorted_N = np.sort(exact_N.cpu().numpy())
    centres_C = torch.from_numpy(_lloyd(sorted_N, 2**bits)).to(values_N.dtype)
    borders = torch.from_numpy(_borders(centres_C.double().numpy(), sorted_N.dtype))
    return centres_C.to(values_N.device), torch.bucketize(exact_N, borders.to(values_N.device))


def codebook(weight: Tensor, kept: Tensor, bits: int) -> QuantizedWeight:
    """Quantize the kept weights of one layer by k-means, with one codebook for the whole layer.

    Saha, Varma, Jawahar, ACPR 2017: k-means over each layer's non-zero weights; see `kmeans_codebook`.
    Differs from the paper: nothing.

    Args:
        weight: of one layer.
        kept: bool, of the same shape; False where the weight is pruned.
        bits: 2 to 8.

    Raises:
        ValueError: as `kmeans_codebook` does, also when nothing is kept, or when the shapes differ.
    """
    _check_kept(weight, kept)
    centres_C, codes_N = kmeans_codebook(weight.detach()[kept].float(), bits)
    codes = torch.zeros_like(kept, dtype=torch.uint8)
    codes[kept] = codes_N.to(torch.uint8)
    return QuantizedWeight(codes=codes, kept=kept, bits=bits, centres_C=centres_C)


def uniform_grid(weight: Tensor, kept: Tensor, bits: int) -> QuantizedWeight:
    """Round the kept weights of one layer to 2^bits values a row, equally spaced from the row's min to its max.

    Saha, Varma, Jawahar, ACPR 2017: uniform quantization over [min, max].
    Differs from the paper: a grid for each row, an out channel (of transposed convolutions an in channel), in
    place of one for the layer, because channels differ in scale once BatchNorm follows them.

    Args:
        weight: of one layer, rows first. Limits are those of a row's kept weights. A row of equal weights has step 0,
            a row with none kept also low 0.
        kept: bool, of the same shape; False where the weight is pruned.
        bits: 2 to 8.

    Raises:
        ValueError: `bits` is outside 2 to 8, a weight is not finite, or the shapes differ.
    """
    _check_bits(bits)
    _check_kept(weight, kept)
    return _grid(checked_weight(weight).float(), kept, bits)


class CodedWeight(MaskedWeight, ABC):
    """Parametrization of a layer's weight by few values: what `quantize_` registers.

    Attributes:
        bits: 2 to 8; the buffer `kept` says which weights are not pruned.
    """

    def __init__(self, kept: Tensor, bits: int) -> None:
        super().__init__(kept)
        self.bits = bits

    @abstractmethod
    def quantized(self, original: Tensor) -> QuantizedWeight:
        """Return the weight as codes; the layer computes with what they dequantize to."""


class CodebookWeight(CodedWeight):
    """Weight of a codebook: the centres are trained, which weight has which centre stays.

    Han et al., ICLR 2016, section 3.3 and equation 3: a centre's gradient is the sum over all weights that share
    it, ∂L/∂C_k = Σ_ij ∂L/∂W_ij · 1(I_ij = k).
    Differs from the paper: nothing.

    Attributes:
        codes: uint8, in the weight's shape; a buffer, so the network's state holds it.
    """

    codes: Tensor

    def __init__(self, kept: Tensor, bits: int) -> None:
        super().__init__(kept, bits)
        self.register_buffer("codes", torch.zeros_like(kept, dtype=torch.uint8))

    def quantized(self, original: Tensor) -> QuantizedWeight:
        """Return the weight as the trained centres and the fixed codes."""
        return QuantizedWeight(codes=self.codes, kept=self.kept, bits=self.bits, centres_C=original)

    def forward(self, original: Tensor) -> Tensor:
        """Compute the weight from the trained centres."""
        return self.quantized(original).dequantize()

    def right_inverse(self, weight: Tensor) -> Tensor:
        """Compute the centres from a weight, by k-means; the codes are set to match."""
        coded = codebook(weight, self.kept, self.bits)
        assert coded.centres_C is not None
        self.codes.copy_(coded.codes)
        return coded.centres_C


class GridWeight(CodedWeight):
    """Weight on a uniform grid for each row: float weights are trained as if they were not rounded.

    The limits are those of the float weights at each forward pass.

    Saha, Varma, Jawahar, ACPR 2017 (the grid); Bengio, Léonard, Courville, arXiv 1308.3432 (the straight-through
    gradient).
    Differs from the papers: how the first trained its uniformly quantized networks is not known; that it did so
    straight-through is an assumption.
    """

    def quantized(self, original: Tensor) -> QuantizedWeight:
        """Return the trained float weights, rounded to the grid."""
        return _grid(original.detach(), self.kept, self.bits)

    def forward(self, original: Tensor) -> Tensor:
        """Compute the rounded weight; its gradient passes straight through to the float weights."""
        masked = super().forward(original)
        # The bracket is exactly zero, so the sum is the rounded weight to the bit; it carries the gradient.
        return self.quantized(original).dequantize() + (masked - masked.detach())


_PARAMETRIZATIONS: dict[Grid, type[CodedWeight]] = {"kmeans": CodebookWeight, "uniform": GridWeight}


def quantize_(network: nn.Module, bits: Mapping[str, int], grid: Grid) -> None:
    """Quantize the named layers' weights; training goes on with quantized weights from here.

    What is trained changes (codebooks have another shape): make the optimizer afterwards. A centre's gradient sums
    over all weights that share it, so plain SGD needs a far lower learning rate than for the weights. The state's
    shapes depend on `bits` and `grid` alone: a network of the same architecture can load it after the same call.

    Args:
        network: its layers are changed.
        bits: layer name → 2 to 8. Layers not named stay float. A layer that holds a mask keeps it: what is pruned
            stays zero. One without keeps all its weights, exact zeros included. A layer that is quantized is
            quantized afresh from its weights as they are now.
        grid: see `QuantizationTraining`.

    Raises:
        ValueError: a name is no coded layer's (the message names the nearest), its bits are outside 2 to 8, its weight
            is not finite, not float32, all pruned, or parametrized by others, or the grid is unknown; the network is
            untouched then.
    """
    if grid not in get_args(Grid):
        raise ValueError(f"grid is {grid!r}; it must be one of {', '.join(get_args(Grid))}")
    layers = checked_layers(network, bits)
    kept = {name: _kept_of(layer) for name, layer in layers.items()}
    for name, layer in layers.items():
        _check_quantizable(name, weight_of(layer), kept[name], bits[name])
    for name, layer in layers.items():
        replace_(layer, _PARAMETRIZATIONS[grid](kept[name], bits[name]))


@torch.no_grad()
def quantized_weights(network: nn.Module) -> dict[str, QuantizedWeight]:
    """Return the quantized layers' weights as trained now: key in the released network's state dict → weight.

    Copies, on the CPU. What each dequantizes to is, to the bit, the weight that `release_` leaves.

    Raises:
        ValueError: a trained tensor is not finite; the message names the layer.
    """
    weights = {}
    for name, layer in coded_layers(network).items():
        coding = parametrization_of(layer)
        if isinstance(coding, CodedWeight):
            original = layer.get_parameter("parametrizations.weight.original")
            if not original.isfinite().all():
                raise ValueError(f"what {name!r} was quantized to is not finite after training: it has diverged")
            weights[f"{name}.weight".lstrip(".")] = _on_cpu(coding.quantized(original))
    return weights


def _lloyd(sorted_N: Floats, count: int) -> NDArray[np.float64]:
    """Run Lloyd's iteration from `count` equally spaced centres until it stands still; returns C centres, ascending."""
    totals_N1 = np.zeros(len(sorted_N) + 1)
    totals_N1[1:] = sorted_N
    np.cumsum(totals_N1, out=totals_N1)  # in place: given the values, it would convert a second copy of them
    centres_C = np.linspace(float(sorted_N[0]), float(sorted_N[-1]), count)
    # Rounding could make two assignments that are equally good alternate for ever, so any repetition ends it.
    seen: set[int] = set()
    while True:
        inner = np.searchsorted(sorted_N, _borders(centres_C, sorted_N.dtype), side="right")
        edges = np.concatenate(([0], inner, [len(sorted_N)]))
        if (assignment := hash(edges.tobytes())) in seen:
            return centres_C
        seen.add(assignment)
        centres_C = _means(sorted_N, totals_N1, edges, centres_C)


def _means(
    sorted_N: Floats, totals_N1: NDArray[np.float64], edges: NDArray[np.intp], centres_C: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Return the mean of each slice between two edges; its old centre where a slice is empty."""
    first_C, behind_C = edges[:-1], edges[1:]
    filled_C = behind_C > first_C
    means_C = (totals_N1[behind_C] - totals_N1[first_C]) / np.maximum(behind_C - first_C, 1)
    # Totals of millions of values cancel to a few digits less; no mean may leave its slice by that.
    last = len(sorted_N) - 1
    means_C = np.clip(means_C, sorted_N[np.minimum(first_C, last)], sorted_N[np.maximum(behind_C - 1, 0)])
    return np.where(filled_C, means_C, centres_C)


def _borders(centres_C: NDArray[np.float64], dtype: np.dtype) -> Floats:
    """Return, for each centre but the last, the largest value that is no nearer to the next centre; shape C − 1.

    In the values' own type, so that millions of them need not be converted to compare them.
    """
    middles = (centres_C[:-1] + centres_C[1:]) / 2
    rounded = middles.astype(dtype)
    return np.where(rounded > middles, np.nextafter(rounded, dtype.type(-np.inf)), rounded)


def _grid(weight: Tensor, kept: Tensor, bits: int) -> QuantizedWeight:
    rows = (len(weight), -1)
    low_O = torch.where(kept, weight, torch.inf).reshape(rows).amin(dim=1)
    high_O = torch.where(kept, weight, -torch.inf).reshape(rows).amax(dim=1)
    empty_O = low_O > high_O
    step_O = ((high_O - low_O) / (2**bits - 1)).masked_fill(empty_O, 0.0)
    low_O = low_O.masked_fill(empty_O, 0.0)
    # A row of equal weights would divide zero by zero.
    steps = (weight - _column(low_O, weight)) / _column(step_O.masked_fill(step_O == 0, 1.0), weight)
    codes = torch.where(kept, steps.round_().clamp_(0, 2**bits - 1), 0.0).to(torch.uint8)
    return QuantizedWeight(codes=codes, kept=kept, bits=bits, low_O=low_O, step_O=step_O)


def _column(values_O: Tensor, weight: Tensor) -> Tensor:
    """Return one value a row in a shape that broadcasts over the rows of the weight."""
    return values_O.view(-1, *(1,) * (weight.dim() - 1))


def _kept_of(layer: nn.Module) -> Tensor:
    held = parametrization_of(layer)
    return torch.ones_like(weight_of(layer), dtype=torch.bool) if held is None else held.kept


def _on_cpu(weight: QuantizedWeight) -> QuantizedWeight:
    def copied(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor.detach().to("cpu", copy=True)

    return QuantizedWeight(
        codes=weight.codes.to("cpu", copy=True),
        kept=weight.kept.to("cpu", copy=True),
        bits=weight.bits,
        centres_C=copied(weight.centres_C),
        low_O=copied(weight.low_O),
        step_O=copied(weight.step_O),
    )


def _check_bits(bits: int) -> None:
    if not isinstance(bits, int) or not FEWEST_BITS <= bits <= MOST_BITS:
        raise ValueError(f"bits is {bits}; it must be {FEWEST_BITS} to {MOST_BITS}, a whole number")


def _check_kept(weight: Tensor, kept: Tensor) -> None:
    if kept.dtype != torch.bool or kept.shape != weight.shape:
        raise ValueError(
            f"kept is {kept.dtype} of shape {tuple(kept.shape)}; it must be bool of shape {tuple(weight.shape)}"
        )


def _check_quantizable(name: str, weight: Tensor, kept: Tensor, bits: int) -> None:
    """Find every reason to refuse a layer before any is changed."""
    if weight.dtype != torch.float32:
        raise ValueError(f"the weight of {name!r} is {weight.dtype}; it must be torch.float32")
    if not kept.any():
        raise ValueError(f"the mask of {name!r} keeps none of {kept.numel()} weights; it must keep at least 1")
    try:
        _check_bits(bits)
        checked_weight(weight)
    except ValueError as error:
        raise ValueError(f"{name!r} cannot be quantized: {error}") from error
