"""One quantized weight ↔ its entry and sections in a packed file, in whichever form takes the fewest bytes.

Letters: N weights, C codes, K weights that are kept, O out channels.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pruning.coding.packed import huffman
from pruning.coding.packed.bits import pack_fields, unpack_fields
from pruning.coding.packed.file import PackedEntry
from pruning.coding.packed.index import WeightEntry
from pruning.coding.packed.positions import Dense, possible_forms, read_positions, write_positions
from pruning.coding.quantize import QuantizedWeight


def pack_weight(name: str, weight: QuantizedWeight, *, huffman_allowed: bool) -> PackedEntry:
    """Write a weight in the cheapest of all forms.

    Raises:
        ValueError: its parts contradict one another.
    """
    check_weight(name, weight)
    entry = min(
        possible_entries(name, weight, huffman_allowed=huffman_allowed), key=lambda each: sum(each.section_bytes)
    )
    return write_weight(entry, weight)


def possible_entries(name: str, weight: QuantizedWeight, *, huffman_allowed: bool) -> list[WeightEntry]:
    """Return the weight's entry in each form that can be the cheapest, its symbols written in the cheaper way."""
    kept_N = _flat(weight.kept)
    counts_C = huffman.count_symbols(_flat(weight.codes)[kept_N], 2**weight.bits)
    pruned = len(kept_N) - int(counts_C.sum())
    entries = []
    for form in possible_forms(counts_C, kept_N):
        entry = WeightEntry(
            name=name,
            shape=tuple(weight.codes.shape),
            kind="uniform" if weight.centres_C is None else "codebook",
            bits=weight.bits,
            kept=len(kept_N) - pruned,
            positions=form,
        )
        entries.append(_with_huffman(entry, counts_C, pruned) if huffman_allowed else entry)
    return entries


def write_weight(entry: WeightEntry, weight: QuantizedWeight) -> PackedEntry:
    """Write a weight in the form that the entry says."""
    kept_N, codes_N = _flat(weight.kept), _flat(weight.codes)
    if not isinstance(entry.positions, Dense):
        symbols = codes_N[kept_N]
    elif entry.positions.zero is None:
        symbols = codes_N
    else:
        symbols = np.where(kept_N, codes_N, np.uint16(entry.positions.zero))
    coded = entry.huffman_bytes is not None
    return PackedEntry(
        entry,
        (
            b"".join(_flat(values).astype("<f4").tobytes() for values in _values(weight)),
            write_positions(entry.positions, kept_N),
            huffman.encode(symbols, entry.alphabet) if coded else pack_fields(symbols, entry.symbol_bits),
        ),
    )


def read_weight(entry: WeightEntry, sections: Sequence[bytes | memoryview]) -> QuantizedWeight:
    """Read the sections that `write_weight` wrote.

    Raises:
        ValueError: they contradict the entry.
    """
    codebook, positions, coded = sections
    symbols = _read_symbols(entry, coded)
    kept_N, codes_N = _spread(entry, positions, symbols)
    return QuantizedWeight(
        codes=torch.from_numpy(codes_N.reshape(entry.shape)),
        kept=torch.from_numpy(kept_N.reshape(entry.shape)),
        bits=entry.bits,
        **_read_values(entry, codebook),
    )


def check_weight(name: str, weight: QuantizedWeight) -> None:
    """Raise ValueError unless the parts of a weight are what the docstring of `QuantizedWeight` says of them."""
    codes, kept, shape = weight.codes, weight.kept, tuple(weight.codes.shape)
    if not 2 <= weight.bits <= 8:
        raise ValueError(f"{name!r} has codes of {weight.bits} bits; it must be 2 to 8")
    if codes.dtype != torch.uint8 or kept.dtype != torch.bool or kept.shape != codes.shape:
        raise ValueError(
            f"{name!r} has codes of type {codes.dtype} and shape {shape}, kept of type {kept.dtype} and shape "
            f"{tuple(kept.shape)}; it must be uint8 and bool of one shape"
        )
    if codes.numel() and int(codes.max()) >= 2**weight.bits:
        raise ValueError(
            f"{name!r} has the code {int(codes.max())}; with {weight.bits} bits the most is {2**weight.bits - 1}"
        )
    if bool((codes.bool() & ~kept).any()):
        raise ValueError(f"{name!r} has codes other than 0 where nothing is kept")
    _check_values(name, weight)


def _check_values(name: str, weight: QuantizedWeight) -> None:
    centres_C, low_O, step_O = weight.centres_C, weight.low_O, weight.step_O
    if (centres_C is None) == (low_O is None) or (low_O is None) != (step_O is None):
        raise ValueError(f"{name!r} must have either centres_C or both low_O and step_O")
    if centres_C is None and not weight.codes.dim():
        raise ValueError(f"{name!r} is a scalar, which has no out channels: it must have centres_C")
    length = len(weight.codes) if centres_C is None else 2**weight.bits
    for values in _values(weight):
        if values.dtype != torch.float32 or tuple(values.shape) != (length,):
            raise ValueError(
                f"{name!r} has a codebook or grid of type {values.dtype} and shape {tuple(values.shape)}; "
                f"it must be float32 of shape ({length},)"
            )


def _values(weight: QuantizedWeight) -> list[Tensor]:
    """Return the tensors whose values the file holds: the codebook's centres, or the grid's low, then its step."""
    return [values for values in (weight.centres_C, weight.low_O, weight.step_O) if values is not None]


def _read_values(entry: WeightEntry, data: bytes | memoryview) -> dict[str, Tensor]:
    values = torch.from_numpy(np.frombuffer(data, "<f4").astype(np.float32))
    if entry.kind == "codebook":
        return {"centres_C": values}
    return {"low_O": values[: entry.shape[0]], "step_O": values[entry.shape[0] :]}


def _with_huffman(entry: WeightEntry, counts_C: NDArray[np.int64], pruned: int) -> WeightEntry:
    """Return the same entry with Huffman-coded symbols, or as it is if that takes no fewer bytes."""
    counts_S = np.zeros(entry.alphabet, np.int64)
    counts_S[: len(counts_C)] = counts_C
    if isinstance(entry.positions, Dense) and entry.positions.zero is not None:
        counts_S[entry.positions.zero] = pruned
    coded = huffman.encoded_bytes(counts_S)
    return entry.model_copy(update={"huffman_bytes": coded}) if coded < entry.section_bytes[-1] else entry


def _read_symbols(entry: WeightEntry, data: bytes | memoryview) -> NDArray[np.uint16]:
    if entry.huffman_bytes is not None:
        return huffman.decode(data, entry.symbols, entry.alphabet)
    symbols = unpack_fields(data, entry.symbols, entry.symbol_bits)
    if len(symbols) and int(symbols.max()) >= entry.alphabet:
        raise ValueError(f"{entry.name!r} has the symbol {symbols.max()}; the most is {entry.alphabet - 1}")
    return symbols


def _spread(
    entry: WeightEntry, positions: bytes | memoryview, symbols: NDArray[np.uint16]
) -> tuple[NDArray[np.bool_], NDArray[np.uint8]]:
    """Return which elements are kept, and every element's code: 0 where it is pruned."""
    if isinstance(entry.positions, Dense):
        zero = entry.positions.zero
        kept_N = np.ones(len(symbols), np.bool_) if zero is None else symbols != zero
        return _checked_kept(entry, kept_N), np.where(kept_N, symbols, 0).astype(np.uint8)
    kept_N = _checked_kept(entry, read_positions(entry.positions, positions, entry.elements))
    codes_N = np.zeros(entry.elements, np.uint8)
    codes_N[kept_N] = symbols
    return kept_N, codes_N


def _checked_kept(entry: WeightEntry, kept_N: NDArray[np.bool_]) -> NDArray[np.bool_]:
    kept = int(np.count_nonzero(kept_N))
    if kept != entry.kept:
        raise ValueError(f"{entry.name!r} keeps {kept} elements, its entry says {entry.kept}")
    return kept_N


def _flat(tensor: Tensor) -> NDArray[Any]:
    return tensor.detach().cpu().numpy().reshape(-1)
