"""Small whole numbers in a fixed number of bits each, one behind the other.

The first field begins at the highest bit of the first byte; unused bits of the last byte are 0.

Letters: N fields, W bits of one field.
"""

import numpy as np
from numpy.typing import NDArray

MOST_BITS = 16
_BLOCK_FIELDS = 2**16  # a multiple of 8, so that every block but the last ends with a whole byte


def field_bytes(count: int, width: int) -> int:
    """Return how many bytes `count` fields of `width` bits take."""
    return -(-count * width // 8)


def pack_fields(values_N: NDArray[np.unsignedinteger], width: int) -> bytes:
    """Write every value in `width` bits, 1 to 16.

    Raises:
        ValueError: a value does not fit.
    """
    if values_N.size and int(values_N.max()) >= 2**width:
        raise ValueError(f"{values_N.max()} does not fit into {width} bits; the most is {2**width - 1}")
    starts = range(0, len(values_N), _BLOCK_FIELDS)
    return b"".join(_pack_block(values_N[start : start + _BLOCK_FIELDS], width) for start in starts)


def unpack_fields(data: bytes | memoryview, count: int, width: int) -> NDArray[np.uint16]:
    """Read what `pack_fields` wrote: `count` values.

    Raises:
        ValueError: the data are longer or shorter than so many values take.
    """
    if len(data) != field_bytes(count, width):
        raise ValueError(f"{count} fields of {width} bits take {field_bytes(count, width)} bytes, got {len(data)}")
    bytes_ = np.frombuffer(data, np.uint8)
    values_N = np.empty(count, np.uint16)
    for start in range(0, count, _BLOCK_FIELDS):
        block_N = values_N[start : start + _BLOCK_FIELDS]
        first = start * width // 8
        block_N[:] = _unpack_block(bytes_[first : first + field_bytes(len(block_N), width)], len(block_N), width)
    return values_N


def _pack_block(values_N: NDArray[np.unsignedinteger], width: int) -> bytes:
    octets_N2 = values_N.astype(">u2").view(np.uint8).reshape(-1, 2)
    return np.packbits(np.unpackbits(octets_N2, axis=1)[:, MOST_BITS - width :]).tobytes()


def _unpack_block(octets: NDArray[np.uint8], count: int, width: int) -> NDArray[np.uint16]:
    bits_NW = np.unpackbits(octets, count=count * width).reshape(count, width)
    values_N = np.zeros(count, np.uint16)
    for bit_N in bits_NW.T:
        values_N <<= 1
        values_N |= bit_N
    return values_N
