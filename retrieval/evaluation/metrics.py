"""Retrieval metrics, as fractions in [0, 1]: each published benchmark's own rules.

All of them are functions of the junk-free ranks of a query's positives (`retrieval.evaluation.ranks.Hits`). The
`evaluate_*` functions take rankings or distances, the `*_scores` functions take such ranks.

A mean without members is NaN. Letters: Q queries, N database images, K best ranks kept, P positives found.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.spatial import cKDTree

from retrieval.evaluation.ranks import Hits, Indices, Ranked, as_indices, ranked_by_distance, ranked_in_list

Truth = Mapping[str, Collection[int]]
"""Ground truth of one query: kind → database indices. A kind that is left out has none."""

KAPPAS = (1, 5, 10)
DEPTHS = (1, 5, 10, 20)
CMC_RANKS = (1, 5, 10)


@dataclass(frozen=True)
class Scores:
    """Average precisions and their mean.

    Attributes:
        map: the mean average precision.
        aps: average precision of each query, NaN where a query has no positives.
    """

    map: float
    aps: np.ndarray


@dataclass(frozen=True)
class RevisitedScores(Scores):
    """Scores by one protocol of the revisited benchmarks.

    Attributes:
        mp_at: the mean precision at k, by k.
    """

    mp_at: dict[int, float]


@dataclass(frozen=True)
class MarketScores(Scores):
    """Market-1501's figures.

    `map` is the published benchmark's: the trapezoid rule, over all queries. `aps` are its terms, 0 for a query whose
    identity no other camera saw.

    Attributes:
        map_step: the mAP of later libraries: the step rule, over the queries that have a positive.
        cmc: the share of all queries with a positive among the first k, by k.
    """

    map_step: float
    cmc: dict[int, float]


def average_precision(ranking: Sequence[int], positives: Collection[int], junk: Collection[int] = ()) -> float:
    """Return the average precision by the trapezoid rule of the Oxford buildings evaluator.

    Args:
        ranking: database indices, best first; may be truncated.
        positives: indices that are right; all of them count in the denominator, ranked or not.
        junk: indices that are taken out of the ranking, neither right nor wrong.

    Returns:
        `trapezoid` of the positives' ranks; NaN without positives.
    """
    return trapezoid(_hits(ranking, positives, junk))


def trapezoid(hits: Hits) -> float:
    """Return the area under the precision-recall curve with straight lines between points; NaN without positives.

    Σ_i [i/t_i + (i+1)/(t_i+1)] / (2·total), t_i the 0-based rank of the i-th positive, i from 0, the first term being
    1 where t_i = 0.

    Source: Philbin et al., "Object retrieval with large vocabularies and fast spatial matching", CVPR 2007, and the
    closed form of its evaluator's loop. Differs from it: double precision; an index both positive and junk is junk.
    """
    if not hits.total:
        return float("nan")
    order_P = np.arange(hits.positions.size, dtype=np.float64)
    before_P = np.divide(order_P, hits.positions, out=np.ones_like(order_P), where=hits.positions > 0)
    after_P = (order_P + 1) / (hits.positions + 1)
    return float((before_P + after_P).sum() / (2 * hits.total))


def step(hits: Hits) -> float:
    """Return the mean precision at the ranks of the positives, 0 for those not found; NaN without positives.

    The rule of later re-identification libraries; never below `trapezoid`, half to one point above it on Market-1501.
    """
    if not hits.total:
        return float("nan")
    return float((np.arange(1, hits.positions.size + 1) / (hits.positions + 1)).sum() / hits.total)


def precision_at(hits: Hits, kappa: int) -> float:
    """Return the precision among the first `kappa` ranks or up to the last positive found, whichever is earlier.

    Two positives at the first two ranks therefore give 1 at every kappa. NaN if the query has no positives, 0 if the
    ranking holds none.

    Source: Radenović et al., "Revisiting Oxford and Paris", CVPR 2018, as its published evaluation computes it.
    Differs from that: a truncated ranking without a positive is 0, not an error.
    """
    if not hits.total:
        return float("nan")
    if not hits.positions.size:
        return 0.0
    depth = min(int(hits.positions[-1]) + 1, kappa)
    return float(np.count_nonzero(hits.positions < depth) / depth)


def classic_scores(hits_Q: Sequence[Hits]) -> Scores:
    """Return the mAP over the queries that have positives."""
    aps_Q = _each(trapezoid, hits_Q)
    return Scores(map=_mean(aps_Q), aps=aps_Q)


def revisited_scores(hits_Q: Sequence[Hits], kappas: Sequence[int] = KAPPAS) -> RevisitedScores:
    """Return the mAP and mean precisions over the queries that have positives, for one of the three protocols."""
    aps_Q = _each(trapezoid, hits_Q)
    mp_at = {k: _mean(np.array([precision_at(hits, k) for hits in hits_Q])) for k in kappas}
    return RevisitedScores(map=_mean(aps_Q), aps=aps_Q, mp_at=mp_at)


def market_scores(hits_Q: Sequence[Hits]) -> MarketScores:
    """Return both mAPs and the CMC of re-identification; `MarketScores` says what each is a mean over."""
    # The published evaluation divides by all queries: one without a positive counts as a miss.
    aps_Q = np.nan_to_num(_each(trapezoid, hits_Q), nan=0.0)
    return MarketScores(
        map=_mean(aps_Q), aps=aps_Q, map_step=_mean(_each(step, hits_Q)), cmc=recalls(hits_Q, CMC_RANKS)
    )


def recalls(hits_Q: Sequence[Hits], ns: Sequence[int] = DEPTHS) -> dict[int, float]:
    """Return the share of all queries with a positive among the first n; a query without positives is a miss."""
    first_Q = np.array([hits.positions[0] if hits.positions.size else np.inf for hits in hits_Q])
    return {n: _mean((first_Q < n).astype(np.float64)) for n in ns}


def evaluate_classic(ranks_QN: np.ndarray, gnd: Sequence[Truth]) -> Scores:
    """Return the mAP of Oxford5k and Paris6k over the queries with positives; NaN when there is none.

    Args:
        ranks_QN: database indices, best first, one row a query; may be truncated to the best K.
        gnd: one mapping a query with `positives` and `junk`.
    """
    return classic_scores(
        [
            _hits(ranking, truth.get("positives", ()), truth.get("junk", ()))
            for ranking, truth in zip(ranks_QN, gnd, strict=True)
        ]
    )


def evaluate_revisited(
    ranks_QN: np.ndarray, gnd: Sequence[Truth], kappas: Sequence[int] = KAPPAS
) -> dict[str, RevisitedScores]:
    """Score by the three protocols of ROxford and RParis: Easy, Medium and Hard, keyed E, M, H.

    Easy: the easy are positives, the hard are junk too. Medium: both are positives. Hard: the hard are positives, the
    easy are junk too. Each leaves its own queries without positives out of its means.

    Args:
        ranks_QN: database indices, best first, one row a query; may be truncated to the best K.
        gnd: one mapping a query with `easy`, `hard` and `junk`.
        kappas: the depths of `mp_at`.

    Source: Radenović et al., "Revisiting Oxford and Paris: Large-Scale Image Retrieval Benchmarking", CVPR 2018.
    """
    hits: dict[str, list[Hits]] = {"E": [], "M": [], "H": []}
    for ranking, truth in zip(ranks_QN, gnd, strict=True):
        easy, hard, junk = (as_indices(truth.get(kind, ())) for kind in ("easy", "hard", "junk"))
        ranked = ranked_in_list(ranking, as_indices(np.concatenate([easy, hard, junk])))
        for protocol, own_hits in revisited_hits(ranked, easy, hard, junk).items():
            hits[protocol].append(own_hits)
    return {protocol: revisited_scores(hits_Q, kappas) for protocol, hits_Q in hits.items()}


def revisited_hits(ranked: Ranked, easy: Indices, hard: Indices, junk: Indices) -> dict[str, Hits]:
    """Return one query's hits by each of the three protocols, keyed E, M, H."""
    return {
        "E": ranked.hits(easy, np.concatenate([junk, hard])),
        "M": ranked.hits(np.concatenate([easy, hard]), junk),
        "H": ranked.hits(hard, np.concatenate([junk, easy])),
    }


def evaluate_market(
    distance_QN: np.ndarray,
    query_pids: Sequence[int] | np.ndarray,
    gallery_pids: Sequence[int] | np.ndarray,
    query_cameras: Sequence[int] | np.ndarray,
    gallery_cameras: Sequence[int] | np.ndarray,
) -> MarketScores:
    """Score by Market-1501's single-query evaluation.

    Junk of a query are the gallery's images of its own identity by its own camera, and all of identity −1. Its
    positives are those of its identity by other cameras. Identity 0 and all others are wrong.

    Args:
        distance_QN: any distances, least is best; equals rank by lowest index, NaN last.
        query_pids: identities of the Q queries.
        gallery_pids: identities of the N gallery images.
        query_cameras: cameras of the Q queries.
        gallery_cameras: cameras of the N gallery images.

    Source: Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015, and its published evaluation.
    Differs from it: the order of equal distances, which it leaves open.
    """
    query_pids, query_cameras, gallery_pids, gallery_cameras = (
        np.asarray(each) for each in (query_pids, query_cameras, gallery_pids, gallery_cameras)
    )
    distance_QN = np.asarray(distance_QN)
    if (query_cameras.size, gallery_cameras.size) != (query_pids.size, gallery_pids.size):
        raise ValueError(
            f"{query_pids.size} and {gallery_pids.size} identities of queries and gallery have "
            f"{query_cameras.size} and {gallery_cameras.size} cameras; one each is right"
        )
    wanted = (query_pids.size, gallery_pids.size)
    if 0 not in wanted and distance_QN.shape != wanted:
        raise ValueError(f"distances have shape {distance_QN.shape}; queries × gallery images, {wanted}, is right")
    # Junk of every query: leaving it out is the same, and cheaper than ranking it.
    kept = np.flatnonzero(gallery_pids != -1)
    pids, cameras = gallery_pids[kept], gallery_cameras[kept]
    hits_Q = []
    for distance_N, pid, camera in zip(distance_QN, query_pids, query_cameras, strict=True):
        same = np.flatnonzero(pids == pid)
        own = cameras[same] == camera
        hits_Q.append(ranked_by_distance(distance_N[kept], same).hits(same[~own], same[own]))
    return market_scores(hits_Q)


def recall_at(
    ranks_QN: np.ndarray, positives: Sequence[Collection[int]], ns: Sequence[int] = DEPTHS
) -> dict[int, float]:
    """Return the share of queries with a positive among the first n results; one without positives is a miss.

    Args:
        ranks_QN: database indices, best first; where they hold fewer than n, all of them count.
        positives: those of each query, as `positives_within` gives them.
        ns: the depths n.

    Source: Arandjelović et al., "NetVLAD: CNN architecture for weakly supervised place recognition", CVPR 2016.
    """
    return recalls([_hits(ranking, right) for ranking, right in zip(ranks_QN, positives, strict=True)], ns)


def positives_within(database_utm: np.ndarray, query_utm: np.ndarray, metres: float = 25.0) -> list[Indices]:
    """Return, for each query, the database images within `metres` (inclusive) as sorted indices.

    Args:
        database_utm: metres east and north, N×2, float64.
        query_utm: Q×2.
        metres: the radius, ≥ 0.

    A northing of seven digits is held to a billionth of a metre, so two places exactly 25 m apart on paper can come
    out a little further: a distance counts as within when it is so up to that rounding.

    Raises:
        ValueError: for coordinates that are not pairs of finite numbers, or a radius below 0.
    """
    if not metres >= 0:
        raise ValueError(f"radius is {metres} m; it must be at least 0")
    database_N2, query_Q2 = _coordinates("database", database_utm), _coordinates("query", query_utm)
    if not len(database_N2) or not len(query_Q2):
        return [np.empty(0, dtype=np.int64) for _ in query_Q2]
    largest = max(np.abs(database_N2).max(), np.abs(query_Q2).max())
    radius = metres + 4 * np.spacing(largest)
    near_Q = cKDTree(database_N2).query_ball_point(query_Q2, radius, return_sorted=True)
    return [np.array(near, dtype=np.int64) for near in near_Q]


def _coordinates(whose: str, utm: np.ndarray) -> np.ndarray:
    pairs = np.asarray(utm, dtype=np.float64)
    if not pairs.size:
        return pairs.reshape(-1, 2)
    if pairs.ndim != 2 or pairs.shape[1] != 2 or not np.isfinite(pairs).all():
        raise ValueError(
            f"{whose} coordinates of shape {pairs.shape}, {np.count_nonzero(~np.isfinite(pairs))} numbers not finite; "
            "pairs of finite metres, east and north, are right"
        )
    return pairs


def _hits(ranking: Sequence[int] | np.ndarray, positives: Collection[int], junk: Collection[int] = ()) -> Hits:
    right, neither = as_indices(positives), as_indices(junk)
    return ranked_in_list(np.asarray(ranking), np.union1d(right, neither)).hits(right, neither)


def _each(rule: Callable[[Hits], float], hits_Q: Sequence[Hits]) -> np.ndarray:
    return np.array([rule(hits) for hits in hits_Q], dtype=np.float64)


def _mean(values: np.ndarray) -> float:
    valid = values[~np.isnan(values)]
    return float(valid.mean()) if valid.size else float("nan")
