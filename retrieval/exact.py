"""Distances of a few queries at a time to a whole database, by inner product; the database may lie in parts on disk.

Letters: Q queries, B of them in one tile, N database images, D descriptor size.
"""

from collections.abc import Iterator, Sequence

import numpy as np

Gallery = np.ndarray | Sequence[np.ndarray]
"""Descriptors of a database, N×D: one array, or consecutive parts of it, which may be memory-mapped."""

_TILE = 2**27
"""Most distances held at once: half a gigabyte. One query's are always held whole."""

_BLOCK = 2**24
"""Most numbers of the database multiplied at once: 64 MiB, which also is all that converting float16 parts costs.

Much smaller ones lose time where the threads of the product wait for each other."""


def gallery_parts(gallery: Gallery, size: int) -> list[np.ndarray]:
    """The database as parts N_i×D.

    Raises:
        ValueError: for a part that is not N_i × `size`.
    """
    parts = [gallery] if isinstance(gallery, np.ndarray) else list(gallery)
    for part in parts:
        if part.ndim != 2 or part.shape[1] != size:
            raise ValueError(f"database descriptors of shape {part.shape}; N × {size}, the queries' size, is right")
    return parts


def distance_rows(queries_QD: np.ndarray, gallery: Gallery, *, tile: int = _TILE) -> Iterator[np.ndarray]:
    """The negated inner products with all N images, float32, one row a query, in order.

    Never more than `tile` numbers are held, or one query's. Two equal descriptors can come out a last digit apart, as
    the product's innermost loops round differently at their edges; rows equal as computed rank by lowest index.

    Raises:
        ValueError: when the database's descriptors are not of the queries' size.
    """
    parts = gallery_parts(gallery, queries_QD.shape[1])
    count = sum(len(part) for part in parts)
    passes = -(-len(queries_QD) * max(count, 1) // tile)
    for queries_BD in np.array_split(queries_QD, max(1, min(passes, len(queries_QD)))):
        yield from _tile(-queries_BD.astype(np.float32, copy=False), parts, count)


def blocks(parts: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """The parts cut into pieces of at most 64 MiB, as contiguous float32."""
    for part in parts:
        rows = max(1, _BLOCK // part.shape[1])
        for start in range(0, len(part), rows):
            yield np.ascontiguousarray(part[start : start + rows], dtype=np.float32)


def _tile(negated_BD: np.ndarray, parts: Sequence[np.ndarray], count: int) -> np.ndarray:
    distance_BN = np.empty((len(negated_BD), count), dtype=np.float32)
    start = 0
    for block in blocks(parts):
        np.matmul(negated_BD, block.T, out=distance_BN[:, start : start + len(block)])
        start += len(block)
    return distance_BN
