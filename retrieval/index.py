"""Ranking a database for each query. Letters: Q queries, N database images, D descriptor size."""

import faiss
import numpy as np


def rank(queries_QD: np.ndarray, database_ND: np.ndarray, count: int | None = None) -> np.ndarray:
    """Database indices Q×K, best first, by exact inner product; equal scores rank by lowest index.

    Args:
        queries_QD, database_ND: unit vectors, float32.
        count: K, how many to keep; None keeps all N.
    """
    database_ND = np.ascontiguousarray(database_ND, dtype=np.float32)
    index = faiss.IndexFlatIP(database_ND.shape[1])
    index.add(database_ND)
    keep = min(count or index.ntotal, index.ntotal)
    scores_QK, ranks_QK = index.search(np.ascontiguousarray(queries_QD, dtype=np.float32), keep)
    # faiss leaves the order of equal scores open; the protocols want the database's.
    order_QK = np.lexsort((ranks_QK, -scores_QK), axis=1)
    return np.take_along_axis(ranks_QK, order_QK, axis=1)
