"""A network's state dict in a packed file: quantized weights by their codes, everything else as it is.

The format is described in docs/packed-format.md.

Source: the stages of Han et al., ICLR 2016 (sections 2 to 4), as used by Saha et al., ACPR 2017.
Differs from the papers: each tensor takes the cheapest of several forms, decided by exact byte counts. What
differs in each form is told in `pruning/coding/packed/positions.py` and `pruning/coding/packed/huffman.py`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from pruning.coding.packed.file import PackedEntry, read_file, write_file
from pruning.coding.packed.index import DTYPES, RawEntry, WeightEntry
from pruning.coding.packed.weight import check_weight, pack_weight, read_weight
from pruning.coding.quantize import QuantizedWeight
from pruning.names import nearest_name


@dataclass(frozen=True)
class PackedTensor:
    """Where one tensor's bytes in a packed file went.

    Attributes:
        form: "dense", "bitmap" or "relative" for a quantized weight; "raw" for a tensor kept as it is.
        bits: of a weight's codes; None for a raw tensor.
        huffman: whether the codes are Huffman-coded.
        position_bytes: what says which elements are kept.
        code_bytes: the codes, the Huffman tables included.
        codebook_bytes: centres, or low and step of each out channel.
        raw_bytes: the elements of a raw tensor.
    """

    name: str
    shape: tuple[int, ...]
    bits: int | None
    form: str
    huffman: bool
    position_bytes: int
    code_bytes: int
    codebook_bytes: int
    raw_bytes: int

    @property
    def size_bytes(self) -> int:
        """Bytes of the tensor in the file, without its line in the index."""
        return self.position_bytes + self.code_bytes + self.codebook_bytes + self.raw_bytes


def pack(state: Mapping[str, Tensor], quantized: Mapping[str, QuantizedWeight], *, huffman: bool = False) -> bytes:
    """Return a file that holds the state dict, with the weights in `quantized` in place of their tensors in `state`.

    The same input gives the same bytes everywhere. Tensors may lie on any device; nothing is changed.

    Args:
        state: a network's whole `state_dict`.
        quantized: its quantized weights, by their names in `state`.
        huffman: whether codes are Huffman-coded, in each tensor where that takes fewer bytes.

    Raises:
        ValueError: a quantized weight that `state` does not name, or of another shape, or whose parts contradict one
            another; a tensor of a type that the format does not have.
    """
    _check_named(state, quantized)
    return write_file(
        [
            pack_weight(name, quantized[name], huffman_allowed=huffman)
            if name in quantized
            else _pack_raw(name, tensor)
            for name, tensor in state.items()
        ]
    )


def unpack(data: bytes) -> dict[str, Tensor]:
    """Return the state dict that `pack` was given, quantized weights dequantized, on the CPU; all equal to the bit.

    Raises:
        ValueError: the data are no packed file of this version, or damaged.
    """
    return {
        packed.entry.name: _read_raw(packed.entry, packed.sections[0])
        if isinstance(packed.entry, RawEntry)
        else read_weight(packed.entry, packed.sections).dequantize()
        for packed in read_file(data)
    }


def unpack_quantized(data: bytes) -> dict[str, QuantizedWeight]:
    """Return the quantized weights that `pack` was given, on the CPU; all parts equal to the bit.

    Raises:
        ValueError: the data are no packed file of this version, or damaged.
    """
    return {
        packed.entry.name: read_weight(packed.entry, packed.sections)
        for packed in read_file(data)
        if isinstance(packed.entry, WeightEntry)
    }


def describe(data: bytes) -> list[PackedTensor]:
    """Say where the file's bytes went, tensor by tensor: all but the header and the index.

    Raises:
        ValueError: the data are no packed file of this version, or damaged.
    """
    return [_describe(packed.entry) for packed in read_file(data)]


def size_formula_bytes(state: Mapping[str, Tensor], quantized: Mapping[str, QuantizedWeight]) -> int:
    """Return the size that the papers state, by a formula.

    Quantized weights count 4 bytes · elements · (1 − pruned) · bits / 32, all other tensors their bytes as they are.

    It leaves out what a file needs beside that: the positions of the non-zeros, codebooks and grids, names and shapes;
    and it knows no Huffman coding. The bits are summed over all weights, then rounded up to whole bytes.

    Source: the MB column of Saha et al., ACPR 2017; Han et al., ICLR 2016, equation 1 without its codebook term.
    Differs from the paper: nothing that is known. Saha et al. do not say how they computed the column; this formula
    gives its numbers.

    Raises:
        ValueError: as `pack` does.
    """
    _check_named(state, quantized)
    for name, weight in quantized.items():
        check_weight(name, weight)
    code_bits = sum(int(weight.kept.sum()) * weight.bits for weight in quantized.values())
    return -(-code_bits // 8) + sum(tensor.nbytes for name, tensor in state.items() if name not in quantized)


def _check_named(state: Mapping[str, Tensor], quantized: Mapping[str, QuantizedWeight]) -> None:
    for name, weight in quantized.items():
        if name not in state:
            raise ValueError(f"the state names no {name!r}; nearest: {nearest_name(name, state)!r}")
        if weight.codes.shape != state[name].shape:
            shapes = f"{tuple(weight.codes.shape)}, in the state {tuple(state[name].shape)}"
            raise ValueError(f"{name!r} has codes of shape {shapes}: they must agree")


def _pack_raw(name: str, tensor: Tensor) -> PackedEntry:
    entry = RawEntry(name=name, shape=tuple(tensor.shape), dtype=str(tensor.dtype).removeprefix("torch."))
    flat = tensor.detach().cpu().contiguous().reshape(-1)
    return PackedEntry(entry, (flat.view(torch.uint8).numpy().tobytes(),))


def _read_raw(entry: RawEntry, data: bytes | memoryview) -> Tensor:
    if not len(data):
        return torch.empty(entry.shape, dtype=DTYPES[entry.dtype])  # frombuffer refuses an empty buffer
    return torch.frombuffer(bytearray(data), dtype=DTYPES[entry.dtype]).reshape(entry.shape)


def _describe(entry: RawEntry | WeightEntry) -> PackedTensor:
    if isinstance(entry, RawEntry):
        return PackedTensor(entry.name, entry.shape, None, "raw", False, 0, 0, 0, *entry.section_bytes)
    codebook_bytes, position_bytes, code_bytes = entry.section_bytes
    return PackedTensor(
        name=entry.name,
        shape=entry.shape,
        bits=entry.bits,
        form=entry.positions.form,
        huffman=entry.huffman_bytes is not None,
        position_bytes=position_bytes,
        code_bytes=code_bytes,
        codebook_bytes=codebook_bytes,
        raw_bytes=0,
    )
