"""Scoring a network on a data set by the data set's protocol.

Letters: Q queries, N database images, D descriptor size, K best ranks kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np

from retrieval.datasets.base import Protocol, RetrievalSet
from retrieval.descriptors.extract import Describe, Progress, extract
from retrieval.evaluation.exact_search import Gallery, distance_rows, gallery_parts
from retrieval.evaluation.index import EXACT, build_index, index_bytes, search, search_ms
from retrieval.evaluation.metrics import (
    Scores,
    classic_scores,
    market_scores,
    recalls,
    revisited_hits,
    revisited_scores,
)
from retrieval.evaluation.ranks import Hits, Indices, Ranked, best_of_each, ranked_by_distance, ranked_in_list
from retrieval.images import ImageReader

_DEPTH = 1000
"""Number of results that an approximate index is asked for; positives beyond them count as not retrieved."""


@dataclass(frozen=True)
class Evaluation(Scores):
    """The scores of one evaluation: the protocol's `map` and `aps`, and all else that it reports.

    | protocol | `map` | `more` |
    |---|---|---|
    | classic | trapezoid, over the queries with positives | |
    | revisited | Medium's | `map_easy`, `map_hard`; `mp_at_1`, `_5`, `_10`, bare (Medium), `_easy` and `_hard` |
    | market | trapezoid, over all queries | `map_step`; `cmc_at_1`, `_5`, `_10` |
    | places | trapezoid, over the queries with positives | `recall_at_1`, `_5`, `_10`, `_20` |

    The `map` of places is no published figure: recall moves in steps, so a search climbs this instead.
    An approximate index adds `index_bytes` and `search_ms`.

    Attributes:
        more: the other figures, by the keys of a trial's metrics.
    """

    more: dict[str, float] = field(default_factory=dict)


def evaluate(
    describe: Describe,
    retrieval_set: RetrievalSet,
    reader: ImageReader,
    *,
    batch_size: int = 64,
    index: str = EXACT,
    gallery_ND: Gallery | None = None,
    progress: Progress | None = None,
) -> Evaluation:
    """Describe the queries, cropped to their boxes, and the database, rank, and score by the set's protocol.

    Args:
        describe: the network; images to descriptors.
        retrieval_set: what to ask, of what, and by which rules.
        reader: how images are read.
        batch_size: images described at once.
        index: how to search: exactly, or a factory string of `retrieval.evaluation.index.build_index`.
        gallery_ND: the database's descriptors where there are some already: kept on disk, or another network's.
        progress: told of the images described: of the queries first, then of the database.

    Raises:
        UnreadableImagesError: names every image that could not be read.
        ValueError: see `score`.
    """
    extract_these = partial(extract, describe, reader=reader, batch_size=batch_size, progress=progress)
    queries_QD = extract_these([(query.path, query.box) for query in retrieval_set.queries])
    if gallery_ND is None:
        gallery_ND = extract_these([(path, None) for path in retrieval_set.images])
    return score(queries_QD, gallery_ND, retrieval_set, index)


def score(queries_QD: np.ndarray, gallery: Gallery, retrieval_set: RetrievalSet, index: str = EXACT) -> Evaluation:
    """Rank the database for each query and score by the set's protocol; no ranking is held or sorted whole.

    Args:
        queries_QD: unit vectors, in the order of the set's queries.
        gallery: those of its images.
        retrieval_set: positives, junk and protocol.
        index: "Flat" for exact ranks; else a factory string, its best 1,000 results, and two figures more.

    Raises:
        ValueError: for descriptors that are not one a query and one an image, of one size, or a bad factory string.
    """
    _check_counts(queries_QD, gallery, retrieval_set)
    if index == EXACT:
        return _PROTOCOLS[retrieval_set.protocol](_ranked_exactly(queries_QD, gallery, retrieval_set), retrieval_set)
    searched = build_index(gallery, index)
    ranks_QK = search(searched, queries_QD, _DEPTH)
    ranked_Q = [
        ranked_in_list(_first_of_panoramas(ranking_K, retrieval_set.panorama), images_T)
        for ranking_K, images_T in zip(ranks_QK, _images_that_matter(retrieval_set), strict=True)
    ]
    evaluation = _PROTOCOLS[retrieval_set.protocol](ranked_Q, retrieval_set)
    cost = {
        "index_bytes": float(index_bytes(searched)),
        "search_ms": search_ms(searched, queries_QD, _DEPTH),
    }
    return replace(evaluation, more=evaluation.more | cost)


def _check_counts(queries_QD: np.ndarray, gallery: Gallery, retrieval_set: RetrievalSet) -> None:
    given = (len(queries_QD), sum(len(part) for part in gallery_parts(gallery, queries_QD.shape[1])))
    wanted = (len(retrieval_set.queries), len(retrieval_set.images))
    if given != wanted:
        raise ValueError(
            f"{retrieval_set.name}: descriptors of {given[0]} queries and {given[1]} images; "
            f"it has {wanted[0]} and {wanted[1]}"
        )


def _images_that_matter(retrieval_set: RetrievalSet) -> list[Indices]:
    return [np.union1d(query.positives, query.junk) for query in retrieval_set.queries]


def _ranked_exactly(queries_QD: np.ndarray, gallery: Gallery, retrieval_set: RetrievalSet) -> list[Ranked]:
    rows = zip(distance_rows(queries_QD, gallery), _images_that_matter(retrieval_set), strict=True)
    if retrieval_set.panorama == 1:
        return [ranked_by_distance(distance_N, images_T) for distance_N, images_T in rows]
    ranked_Q = []
    for distance_N, images_T in rows:
        distance_G, image_G = best_of_each(distance_N, retrieval_set.panorama)
        ranked_Q.append(ranked_in_list(image_G[np.argsort(distance_G, kind="stable")], images_T))
    return ranked_Q


def _first_of_panoramas(ranking_K: Indices, size: int) -> Indices:
    """Return the best ranked image of each panorama, in order."""
    ranking_K = ranking_K[ranking_K >= 0]
    if size == 1:
        return ranking_K
    _, first_G = np.unique(ranking_K // size, return_index=True)
    return ranking_K[np.sort(first_G)]


def _classic(ranked_Q: Sequence[Ranked], retrieval_set: RetrievalSet) -> Evaluation:
    scores = classic_scores(_medium(ranked_Q, retrieval_set))
    return Evaluation(map=scores.map, aps=scores.aps)


def _revisited(ranked_Q: Sequence[Ranked], retrieval_set: RetrievalSet) -> Evaluation:
    each = [
        revisited_hits(ranked, np.setdiff1d(query.positives, query.hard), query.hard, query.junk)
        for ranked, query in zip(ranked_Q, retrieval_set.queries, strict=True)
    ]
    easy, medium, hard = (revisited_scores([hits[protocol] for hits in each]) for protocol in "EMH")
    more = {"map_easy": easy.map, "map_hard": hard.map}
    for suffix, scores in (("", medium), ("_easy", easy), ("_hard", hard)):
        more |= {f"mp_at_{k}{suffix}": value for k, value in scores.mp_at.items()}
    return Evaluation(map=medium.map, aps=medium.aps, more=more)


def _market(ranked_Q: Sequence[Ranked], retrieval_set: RetrievalSet) -> Evaluation:
    scores = market_scores(_medium(ranked_Q, retrieval_set))
    more = {"map_step": scores.map_step} | {f"cmc_at_{k}": value for k, value in scores.cmc.items()}
    return Evaluation(map=scores.map, aps=scores.aps, more=more)


def _places(ranked_Q: Sequence[Ranked], retrieval_set: RetrievalSet) -> Evaluation:
    hits_Q = _medium(ranked_Q, retrieval_set)
    if retrieval_set.panorama > 1:
        # A panorama can be found once, however many of its images are positives.
        hits_Q = [
            replace(hits, total=np.unique(query.positives // retrieval_set.panorama).size)
            for hits, query in zip(hits_Q, retrieval_set.queries, strict=True)
        ]
    scores = classic_scores(hits_Q)
    more = {f"recall_at_{n}": value for n, value in recalls(hits_Q).items()}
    return Evaluation(map=scores.map, aps=scores.aps, more=more)


def _medium(ranked_Q: Sequence[Ranked], retrieval_set: RetrievalSet) -> list[Hits]:
    """Return the hits by the positives and the junk that each query states."""
    return [
        ranked.hits(query.positives, query.junk) for ranked, query in zip(ranked_Q, retrieval_set.queries, strict=True)
    ]


_PROTOCOLS: dict[Protocol, Callable[[Sequence[Ranked], RetrievalSet], Evaluation]] = {
    "classic": _classic,
    "revisited": _revisited,
    "market": _market,
    "places": _places,
}
