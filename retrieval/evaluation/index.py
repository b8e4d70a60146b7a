"""Ranking a database for each query: exactly, or by one of faiss's approximate indices.

Letters: Q queries, N database images, D descriptor size, K best ranks kept.
"""

import re
import time
from collections.abc import Iterator
from contextlib import contextmanager

import faiss
import numpy as np

from retrieval.evaluation.exact_search import Gallery, blocks, distance_rows, gallery_parts
from retrieval.evaluation.ranks import nearest
from retrieval.text import one_line

EXACT = "Flat"
"""The factory string of the exact index: faiss's own word for it."""

_MOST_TRAINING_VECTORS = 2**17


def rank(queries_QD: np.ndarray, database_ND: Gallery, count: int | None = None) -> np.ndarray:
    """Return database indices Q×K, best first, by exact inner product; equal scores rank by lowest index.

    Args:
        queries_QD: unit vectors, float32.
        database_ND: unit vectors, float32.
        count: K, how many to keep; None keeps all N.
    """
    total = sum(len(part) for part in gallery_parts(database_ND, queries_QD.shape[1]))
    keep = total if count is None else min(count, total)
    ranks_QK = np.empty((len(queries_QD), keep), dtype=np.int64)
    for row, distance_N in zip(ranks_QK, distance_rows(queries_QD, database_ND), strict=True):
        row[:] = nearest(distance_N, keep)
    return ranks_QK


def build_index(gallery: Gallery, factory: str, *, training_ND: np.ndarray | None = None) -> faiss.Index:
    """Build a faiss index over the database, by inner product.

    Args:
        gallery: the database's unit vectors.
        factory: faiss's factory string ("Flat", "IVF64,Flat", "OPQ16,PQ16", "SQ8", "HNSW32"), and after a `;`, if
            anything, parameters of the search ("IVF64,Flat;nprobe=8").
        training_ND: what clusters and codes are fitted to; None takes the database's own vectors, evenly spread over
            it where they are more than 131,072.

    Raises:
        ValueError: for a string that faiss does not know, or that these vectors are too few or too short for.
    """
    parts = [gallery] if isinstance(gallery, np.ndarray) else list(gallery)
    description, _, parameters = factory.partition(";")
    try:
        index = faiss.index_factory(parts[0].shape[1], description, faiss.METRIC_INNER_PRODUCT)
        _skip_polysemous_training(index)
        if not index.is_trained:
            index.train(_sample(parts) if training_ND is None else np.ascontiguousarray(training_ND, np.float32))
        for block in blocks(parts):
            index.add(block)
        if parameters:
            # faiss's stubs know neither this string nor, below, the writer.
            faiss.ParameterSpace().set_index_parameters(index, parameters)  # type: ignore[arg-type]
    except RuntimeError as error:
        raise ValueError(
            f"faiss makes no index {factory!r} of {sum(map(len, parts))} vectors of size {parts[0].shape[1]}: "
            f"{_reason(error)}; a factory string such as 'IVF64,Flat', 'PQ16' or 'SQ8' that suits them is right"
        ) from error
    return index


def search(index: faiss.Index, queries_QD: np.ndarray, count: int) -> np.ndarray:
    """Return database indices Q×K, best first, −1 where the index has fewer; equal scores rank by lowest index.

    On a machine whose faiss sees GPUs they are used, for the kinds of index that they know.
    """
    scores_QK, ranks_QK = on_gpu(index).search(_float32(queries_QD), min(count, index.ntotal))
    # faiss leaves the order of equal scores open. Its −1 have the least score there is, so they stay last.
    order_QK = np.lexsort((ranks_QK, -scores_QK), axis=1)
    return np.take_along_axis(ranks_QK, order_QK, axis=1)


def on_gpu(index: faiss.Index) -> faiss.Index:
    """Return a copy of the index on all GPUs; the index itself where faiss sees none or they cannot hold its kind."""
    if not faiss.get_num_gpus():
        return index
    try:
        return faiss.index_cpu_to_all_gpus(index)
    except RuntimeError:
        return index


def index_bytes(index: faiss.Index) -> int:
    """Return the size in bytes of the file that faiss writes: codes, lists, ids, codebooks and graph.

    A device that serves the index needs as much memory, apart from the allocator's overhead.
    """
    written = 0

    def count(piece: bytes) -> None:
        nonlocal written
        written += len(piece)

    faiss.write_index(index, faiss.PyCallbackIOWriter(count))  # type: ignore[attr-defined]
    return written


def search_ms(index: faiss.Index, queries_QD: np.ndarray, count: int, *, rounds: int = 5) -> float:
    """Return the milliseconds to search for one query on one CPU thread: mean over queries, in the best round.

    Args:
        index: as `build_index` made it.
        queries_QD: what to search for; at most the first 64 are, one after the other.
        count: K.
        rounds: how often; ≥ 1. The first runs once more, unmeasured.
    """
    queries_QD = _float32(queries_QD[:64])
    with _one_thread():
        times_ms = [_round_ms(index, queries_QD, count) for _ in range(rounds + 1)]
    return min(times_ms[1:])


def _round_ms(index: faiss.Index, queries_QD: np.ndarray, count: int) -> float:
    start = time.perf_counter()
    for position in range(len(queries_QD)):
        index.search(queries_QD[position : position + 1], count)
    return 1000 * (time.perf_counter() - start) / len(queries_QD)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = faiss.omp_get_max_threads()
    faiss.omp_set_num_threads(1)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)


def _skip_polysemous_training(index: faiss.Index) -> None:
    """Switch off a training step that renumbers codes for an unused filter and takes seconds per byte of a code."""
    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    if isinstance(inner, faiss.IndexPQ):
        inner.do_polysemous_training = False  # type: ignore[attr-defined]


def training_stride(count: int) -> int:
    """Return how far apart the vectors lie, of `count` in a database, that clusters and codes are fitted to."""
    return max(1, -(-count // _MOST_TRAINING_VECTORS))


def _sample(parts: list[np.ndarray]) -> np.ndarray:
    stride = training_stride(sum(len(part) for part in parts))
    return np.concatenate([_float32(part[::stride]) for part in parts])


def _float32(rows: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(rows, dtype=np.float32)


def _reason(error: RuntimeError) -> str:
    """Return faiss's message without the line of its source and the condition there."""
    return re.sub(r"^Error in .*?\.(?:cpp|h):\d+: (?:Error: '.*?' failed: )?", "", one_line(error))
