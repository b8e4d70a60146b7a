"""Retrieval metrics off fully sorted rankings, as the benchmarks' published evaluations compute them.

What `retrieval.evaluation.evaluate` and `retrieval.evaluation.metrics` must equal, and are timed against.
"""

from collections.abc import Sequence

import numpy as np

from retrieval.datasets.base import Query


def plain_revisited(queries_QD: np.ndarray, database_ND: np.ndarray, queries: Sequence[Query]) -> dict[str, float]:
    """mAP of Easy, Medium and Hard: all similarities, sorted whole, then looked through for each protocol."""
    ranks_NQ = np.argsort(-np.dot(database_ND, queries_QD.T), axis=0)
    easy = [np.setdiff1d(query.positives, query.hard) for query in queries]
    hard, junk = [query.hard for query in queries], [query.junk for query in queries]
    return {
        "E": _plain_map(ranks_NQ, easy, [np.concatenate(pair) for pair in zip(junk, hard, strict=True)]),
        "M": _plain_map(ranks_NQ, [query.positives for query in queries], junk),
        "H": _plain_map(ranks_NQ, hard, [np.concatenate(pair) for pair in zip(junk, easy, strict=True)]),
    }


def _plain_map(ranks_NQ: np.ndarray, positives: Sequence[np.ndarray], junk: Sequence[np.ndarray]) -> float:
    aps = []
    for query, (right, neither) in enumerate(zip(positives, junk, strict=True)):
        places = np.arange(len(ranks_NQ))
        places_P = places[np.isin(ranks_NQ[:, query], right)]
        places_J = places[np.isin(ranks_NQ[:, query], neither)]
        area = 0.0
        for order, place in enumerate(places_P - np.searchsorted(places_J, places_P)):
            area += ((order / place if place else 1.0) + (order + 1) / (place + 1)) / 2
        aps.append(area / len(right))
    return float(np.mean(aps))


def plain_market_map_step(
    distance_QN: np.ndarray,
    query_pids: np.ndarray,
    gallery_pids: np.ndarray,
    query_cameras: np.ndarray,
    gallery_cameras: np.ndarray,
) -> float:
    """Market-1501's mAP by the step rule: every row sorted whole, and every image of it looked at."""
    ranks_QN = np.argsort(distance_QN, axis=1, kind="stable")
    aps = []
    for ranking_N, pid, camera in zip(ranks_QN, query_pids, query_cameras, strict=True):
        pids_N, cameras_N = gallery_pids[ranking_N], gallery_cameras[ranking_N]
        right = (pids_N == pid)[(pids_N != -1) & ~((pids_N == pid) & (cameras_N == camera))]
        if right.any():
            precision = np.cumsum(right) / np.arange(1, right.size + 1)
            aps.append((precision * right).sum() / right.sum())
    return float(np.mean(aps))
