"""The length of a safetensors file as a function of its tensors' shapes, without their values.

Letters: T tensors, R axes (shapes with fewer axes are padded with 1).
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self, TypeAlias

import numpy as np
import safetensors.torch
import torch
from numpy.typing import NDArray
from torch import Tensor

Integers: TypeAlias = NDArray[np.int64]

_ALIGNMENT = 8  # bytes; safetensors pads the header to a multiple of this
_POWERS = 10 ** np.arange(1, 19, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class WeightFile:
    """Names and types of tensors in a file.

    Attributes:
        order_T: indices of the tensors in the order in which the file holds them.
        item_bytes_T: bytes of one element.
        is_axis_TR: which of the axes a tensor really has; the others are padding.
        letters: length of the header without the digits of shapes and offsets: only those depend on the shapes.
    """

    order_T: Integers
    item_bytes_T: Integers
    is_axis_TR: NDArray[np.bool_]
    letters: int

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], ranks: int) -> Self:
        """Describe the file of these tensors, none of which has more than `ranks` axes."""
        # Written without a single value: only names, types and numbers of axes matter.
        empty = {name: torch.empty([0] * tensor.dim(), dtype=tensor.dtype) for name, tensor in tensors.items()}
        names, header = list(tensors), _header(safetensors.torch.save(empty))
        position = {name: header.index(f"{json.dumps(name, ensure_ascii=False)}:{{".encode()) for name in names}
        is_axis_TR = np.array([[axis < tensor.dim() for axis in range(ranks)] for tensor in tensors.values()])
        file = cls(
            order_T=np.array(sorted(range(len(names)), key=lambda index: position[names[index]])),
            item_bytes_T=np.array([tensor.element_size() for tensor in tensors.values()]),
            is_axis_TR=is_axis_TR,
            letters=0,
        )
        letters = len(header) - file._digits(np.where(is_axis_TR, 0, 1))
        return cls(file.order_T, file.item_bytes_T, is_axis_TR, letters)

    def size_bytes(self, shapes_TR: Integers) -> int:
        """Return the length of the whole file when its tensors have these shapes."""
        header = self.letters + self._digits(shapes_TR)
        return _ALIGNMENT + -(-header // _ALIGNMENT) * _ALIGNMENT + int(self._tensor_bytes(shapes_TR).sum())

    def _tensor_bytes(self, shapes_TR: Integers) -> Integers:
        sizes: Integers = shapes_TR.prod(axis=1) * self.item_bytes_T
        return sizes

    def _digits(self, shapes_TR: Integers) -> int:
        """Count the digits of all shapes, and of the offsets where each tensor begins and ends."""
        ends = self._tensor_bytes(shapes_TR)[self.order_T].cumsum()
        numbers = np.concatenate([shapes_TR[self.is_axis_TR], ends, ends[:-1], [0]])
        return int(np.searchsorted(_POWERS, numbers, side="right").sum()) + len(numbers)


def _header(file: bytes) -> bytes:
    (length,) = struct.unpack("<Q", file[:8])
    return file[8 : 8 + length].rstrip(b" ")
