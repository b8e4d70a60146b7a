"""The bytes of a MATLAB 5 to 7 .mat file as numpy arrays: numbers, texts, cells and structs.

Read here, in Python, because `scipy.io.loadmat` walks the file in compiled code that trusts it: a few bytes changed
in the middle end the process with a segmentation fault, where a damaged file must end in a message. The format is
that of "MAT-File Format" (MathWorks, R2024a), chapter 1; sparse arrays, objects and functions are refused.
"""

import math
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_MATRIX, _COMPRESSED = 14, 15
_NUMBERS = {1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_NUMERIC_CLASSES = range(6, 16)
_COMPLEX_FLAG = 0x0800
# Most bytes that compressed variables of a file may grow to; the largest published list of images is a tenth of it.
_MAX_BYTES = 1 << 28


class Element(NamedTuple):
    """One tagged stretch of a file: what kind of data, and the data."""

    kind: int
    data: memoryview


class Matrix(NamedTuple):
    """One array of a file, its values not yet read. `parts` are the elements that hold them."""

    name: str
    kind: int
    shape: tuple[int, ...]
    is_complex: bool
    parts: tuple[Element, ...]
    order: str

    @property
    def size(self) -> int:
        """The number of its values."""
        return math.prod(self.shape)


def read_matrices(content: bytes) -> dict[str, Matrix]:
    """Return the variables of a .mat file by name.

    Raises:
        ValueError: the bytes are no such file; says what is wrong with them.
    """
    order = {b"IM": "<", b"MI": ">"}.get(content[126:128])
    if order is None:
        raise ValueError("no header of MATLAB 5 to 7")
    version = struct.unpack_from(order + "H", content, 124)[0]
    if version != 0x0100:
        raise ValueError(f"version {version >> 8}.{version & 255}, saved with -v7.3; save it with -v7")
    matrices = (_matrix(element, order) for element in _variables(memoryview(content)[128:], order))
    return {matrix.name: matrix for matrix in matrices if matrix.name}


def read_values(matrix: Matrix) -> NDArray[Any]:
    """Return the values of an array, shaped as MATLAB shows them.

    Numbers are float64, integers of 64 bits excepted; texts are `str`, one a row (their last dimension is the
    text); cells and the fields of structs are objects, each of them an array again.

    Raises:
        ValueError: the bytes of the array are damaged.
    """
    if matrix.kind in _NUMERIC_CLASSES:
        return _numbers(matrix)
    reader: Callable[[Matrix], NDArray[Any]] | None = {_CELL: _cells, _STRUCT: _structs, _CHAR: _texts}.get(matrix.kind)
    if reader is None:
        raise ValueError(f"an array of class {matrix.kind} (only numbers, texts, cells and structs are read)")
    return reader(matrix)


def _variables(content: memoryview, order: str) -> Iterator[Element]:
    left = _MAX_BYTES
    for element in _elements(content, order):
        if element.kind != _COMPRESSED:
            yield element
            continue
        inflater = zlib.decompressobj()
        try:
            # One more than may be: no limit at all would be 0.
            inflated = inflater.decompress(element.data, left + 1)
        except zlib.error as error:
            raise ValueError(f"a compressed variable is damaged ({error})") from error
        left -= len(inflated)
        if not inflater.eof or left < 0:
            raise ValueError(f"a compressed variable is cut off, or all are above {_MAX_BYTES} bytes")
        yield from _elements(memoryview(inflated), order)


def _elements(content: memoryview, order: str) -> Iterator[Element]:
    at = 0
    while at < len(content):
        if len(content) - at < 8:
            raise ValueError("the file is cut off")
        kind, length = struct.unpack_from(order + "II", content, at)
        start = at + 8
        if kind >> 16:  # up to four bytes of data fit into the tag itself
            kind, length, start = kind & 0xFFFF, kind >> 16, at + 4
            if length > 4:
                raise ValueError(f"a short element of {length} bytes")
        if start + length > len(content):
            raise ValueError("the file is cut off")
        yield Element(kind, content[start : start + length])
        at = start + length
        if kind != _COMPRESSED:
            at += -at % 8


def _matrix(element: Element, order: str) -> Matrix:
    if element.kind != _MATRIX:
        raise ValueError(f"an element of type {element.kind} where an array must be")
    if not len(element.data):  # a cell that was never filled
        return Matrix("", _NUMERIC_CLASSES[0], (0, 0), False, (Element(9, element.data),), order)
    flags, shape, name, *parts = (*_elements(element.data, order), None, None, None)
    if flags is None or shape is None or name is None or len(flags.data) < 4:
        raise ValueError("an array without flags, shape or name")
    bits = struct.unpack_from(order + "I", flags.data)[0]
    sizes = tuple(int(size) for size in _plain(shape, order))
    if len(sizes) < 2 or min(sizes) < 0:
        raise ValueError(f"an array of shape {sizes}")
    values = tuple(part for part in parts if part is not None)
    return Matrix(bytes(name.data).decode("latin1"), bits & 0xFF, sizes, bool(bits & _COMPLEX_FLAG), values, order)


def _plain(element: Element, order: str) -> NDArray[Any]:
    if element.kind not in _NUMBERS:
        raise ValueError(f"an element of type {element.kind} where numbers must be")
    return np.frombuffer(element.data, dtype=order + _NUMBERS[element.kind])


def _numbers(matrix: Matrix) -> NDArray[Any]:
    if matrix.is_complex or len(matrix.parts) != 1:
        raise ValueError("an array of complex numbers, or of none")
    values = _plain(matrix.parts[0], matrix.order)
    if values.size != matrix.size:
        raise ValueError(f"{values.size} numbers for a shape of {matrix.shape}")
    # MATLAB packs whole numbers into the smallest type that holds them, where subtracting one could wrap around.
    exact = values.dtype.kind in "iu" and values.dtype.itemsize == 8
    return values.astype(values.dtype.newbyteorder("=") if exact else np.float64).reshape(matrix.shape, order="F")


def _texts(matrix: Matrix) -> NDArray[Any]:
    encodings = {1: "latin1", 2: "latin1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
    if len(matrix.parts) != 1 or matrix.parts[0].kind not in encodings:
        raise ValueError("a text without its letters")
    encoding = encodings[matrix.parts[0].kind]
    if encoding.startswith("utf-") and encoding != "utf-8":
        encoding += "-le" if matrix.order == "<" else "-be"
    letters = bytes(matrix.parts[0].data).decode(encoding)
    width = matrix.shape[-1]
    if len(letters) != matrix.size:
        raise ValueError(f"{len(letters)} letters for a shape of {matrix.shape}")
    rows = matrix.size // width if width else 0
    # Letters lie column by column: those of row r are every rows-th from r on.
    return np.array([letters[row::rows] for row in range(rows)], dtype=str).reshape(matrix.shape[:-1] if rows else (0,))


def _cells(matrix: Matrix) -> NDArray[Any]:
    if len(matrix.parts) != matrix.size:
        raise ValueError(f"{len(matrix.parts)} cells for a shape of {matrix.shape}")
    return _objects([_matrix(part, matrix.order) for part in matrix.parts], matrix.shape)


def _structs(matrix: Matrix) -> NDArray[Any]:
    if len(matrix.parts) < 2:
        raise ValueError("a struct without the names of its fields")
    length, names_at, *parts = matrix.parts
    width = int(_plain(length, matrix.order)[0]) if len(length.data) else 0
    packed = bytes(names_at.data)
    if width < 1 or len(packed) % width:
        raise ValueError(f"{len(packed)} bytes for names of {width}")
    names = [packed[at : at + width].split(b"\0")[0].decode("latin1") for at in range(0, len(packed), width)]
    if len(set(names)) != len(names) or not all(names) or len(parts) != matrix.size * len(names):
        raise ValueError(f"{len(parts)} values for a shape of {matrix.shape} and the fields {names}")
    structs = np.empty(matrix.shape, dtype=[(name, object) for name in names])
    for column, name in enumerate(names):
        structs[name] = _objects([_matrix(part, matrix.order) for part in parts[column :: len(names)]], matrix.shape)
    return structs


def _objects(matrices: list[Matrix], shape: tuple[int, ...]) -> NDArray[Any]:
    # An array made from a list would be opened up wherever its items happen to be of one shape.
    objects = np.empty(len(matrices), dtype=object)
    for index, matrix in enumerate(matrices):
        objects[index] = read_values(matrix)
    return objects.reshape(shape, order="F")
