"""Distances of a few queries at a time to a whole database, by inner product; the database may lie in parts on disk.

Letters: Q queries, B of them in one tile, N database images, D descriptor size.
"""

from collections.abc import Iterator, Sequence
from functools import cache

import numpy as np
import onnxruntime
import torch
from onnx import TensorProto, helper

from retrieval.runtime.onnx_model import open_session

Gallery = np.ndarray | Sequence[np.ndarray]
"""Descriptors of a database, N×D: one array, or consecutive parts of it, which may be memory-mapped."""

_TILE = 2**27
"""Most distances held at once: half a gigabyte. One query's are always held whole."""

_BLOCK = 2**21
"""Most numbers of the database multiplied at once: 8 MiB, which also is all that converting float16 parts costs."""


def gallery_parts(gallery: Gallery, size: int) -> list[np.ndarray]:
    """Return the database as parts N_i×D.

    Raises:
        ValueError: for a part that is not N_i × `size`.
    """
    parts = [gallery] if isinstance(gallery, np.ndarray) else list(gallery)
    for part in parts:
        if part.ndim != 2 or part.shape[1] != size:
            raise ValueError(f"database descriptors of shape {part.shape}; N × {size}, the queries' size, is right")
    return parts


def distance_rows(queries_QD: np.ndarray, gallery: Gallery, *, tile: int = _TILE) -> Iterator[np.ndarray]:
    """Yield the negated inner products with all N images, float32, one row per query, in order.

    At most `tile` numbers are in memory at a time, or those of one query. Equal descriptors get equal distances.

    Args:
        queries_QD: unit vectors.
        gallery: unit vectors of the database.
        tile: most distances in memory at a time.

    Raises:
        ValueError: when the database's descriptors are not of the queries' size.
    """
    parts = gallery_parts(gallery, queries_QD.shape[1])
    count = sum(len(part) for part in parts)
    passes = -(-len(queries_QD) * max(count, 1) // tile)
    if not len(queries_QD):
        return
    for queries_BD in np.array_split(queries_QD, max(1, min(passes, len(queries_QD)))):
        yield from _tile(-queries_BD.astype(np.float32, copy=False), parts, count)[: len(queries_BD)]


def blocks(parts: Sequence[np.ndarray], numbers: int = 2**24) -> Iterator[np.ndarray]:
    """Yield the parts in pieces of at most so many `numbers` (64 MiB), or of one row, as contiguous float32."""
    for part in parts:
        rows = max(1, numbers // max(1, part.shape[1]))
        for start in range(0, len(part), rows):
            yield np.ascontiguousarray(part[start : start + rows], dtype=np.float32)


def _tile(negated_BD: np.ndarray, parts: Sequence[np.ndarray], count: int) -> np.ndarray:
    # A vector's product with a matrix is rounded differently at the matrix's edges: a lone query goes twice.
    negated_BD = np.repeat(negated_BD, 2, axis=0) if len(negated_BD) == 1 else negated_BD
    distance_BN = np.empty((len(negated_BD), count), dtype=np.float32)
    session, start = _product(torch.get_num_threads()), 0
    for block in blocks(parts, _BLOCK):
        (distance_BN[:, start : start + len(block)],) = session.run(None, {"queries": negated_BD, "block": block})
        start += len(block)
    return distance_BN


@cache
def _product(threads: int) -> onnxruntime.InferenceSession:
    """Return a session that computes inner products, B×D and N×D → B×N, float32.

    The BLAS in numpy, and torch's own, choose their kernels by the processor's name, and on one they do not know leave
    half of it idle. ONNX Runtime goes by what the processor says it can do.
    """
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None, None]) for name in ("queries", "block")]
    output = helper.make_tensor_value_info("products", TensorProto.FLOAT, [None, None])
    node = helper.make_node("Gemm", [each.name for each in inputs], [output.name], transB=1)
    graph = helper.make_graph([node], "products", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    return open_session(model.SerializeToString(), threads=threads)
