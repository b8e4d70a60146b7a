"""Retrieval metrics, as fractions in [0, 1]. Letters: Q queries, N database images, K best ranks kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Scores:
    """Average precision of each query (`aps`, NaN where a query has no positives) and their mean `map`."""

    map: float
    aps: np.ndarray


def average_precision(ranking: Sequence[int], positives: Collection[int], junk: Collection[int] = ()) -> float:
    """Average precision by the trapezoid rule of the Oxford buildings evaluator.

    Args:
        ranking: database indices, best first; may be truncated.
        positives: indices that are right; all of them count in the denominator, ranked or not.
        junk: indices that are taken out of the ranking, neither right nor wrong.

    Returns:
        Σ_i [i/t_i + (i+1)/(t_i+1)] / (2·|positives|), t_i the junk-free 0-based rank of the i-th positive found,
        the first term being 1 where t_i = 0; NaN without positives.

    Source: Philbin et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007, and the
    closed form of its evaluator's loop. Differs from it: double precision; an index both positive and junk is junk.
    """
    positives_P = np.unique(np.asarray(list(positives), dtype=np.int64))
    if positives_P.size == 0:
        return float("nan")
    ranking_K = np.asarray(ranking, dtype=np.int64)
    ranking_K = ranking_K[~np.isin(ranking_K, np.asarray(list(junk), dtype=np.int64))]
    rank_t = np.flatnonzero(np.isin(ranking_K, positives_P)).astype(np.float64)
    hits_i = np.arange(rank_t.size, dtype=np.float64)
    before = np.divide(hits_i, rank_t, out=np.ones_like(rank_t), where=rank_t > 0)
    after = (hits_i + 1) / (rank_t + 1)
    return float((before + after).sum() / (2 * positives_P.size))


def evaluate_classic(ranks_QN: np.ndarray, gnd: Sequence[Mapping[str, Collection[int]]]) -> Scores:
    """mAP of Oxford5k and Paris6k: queries without positives are left out of the mean (NaN when none is left).

    Args:
        ranks_QN: database indices, best first, one row a query; may be truncated to the best K.
        gnd: one mapping a query with `positives` and `junk`.
    """
    aps = np.array(
        [
            average_precision(ranking, truth["positives"], truth["junk"])
            for ranking, truth in zip(ranks_QN, gnd, strict=True)
        ]
    )
    return Scores(map=float(np.nanmean(aps)) if np.isfinite(aps).any() else float("nan"), aps=aps)
