from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from retrieval.datasets.base import Images, Query, RetrievalSet
from retrieval.evaluation.chance import chance_scores, found_among_first, step_precision, trapezoid_precision
from retrieval.evaluation.evaluate import score
from retrieval.evaluation.metrics import trapezoid
from retrieval.evaluation.ranks import Hits


def orders(relevant: int, ranked: int):
    """Yield the ranks, from 0, of the relevant images in every order."""
    return [np.array(ranks) for ranks in combinations(range(ranked), relevant)]


@pytest.mark.parametrize(("relevant", "ranked"), [(1, 1), (1, 5), (2, 5), (3, 7), (5, 5)])
def test_expected_precision_is_the_mean_over_all_orders(relevant, ranked):
    step = np.mean([np.mean((np.arange(relevant) + 1) / (ranks + 1)) for ranks in orders(relevant, ranked)])
    both = np.array([relevant]), np.array([ranked])
    assert step_precision(*both)[0] == pytest.approx(step)
    by_trapezoid = np.mean([trapezoid(Hits(ranks, relevant)) for ranks in orders(relevant, ranked)])
    assert trapezoid_precision(*both)[0] == pytest.approx(by_trapezoid)


@pytest.mark.parametrize(("relevant", "ranked", "first"), [(1, 5, 1), (2, 5, 3), (3, 4, 2), (1, 3, 10), (0, 4, 2)])
def test_expected_recall_is_the_share_of_all_orders(relevant, ranked, first):
    found = np.mean([bool((ranks < first).any()) for ranks in orders(relevant, ranked)])
    assert found_among_first(np.array([relevant]), np.array([ranked]), first)[0] == pytest.approx(found)


def retrieval_set(protocol: str) -> RetrievalSet:
    rng = np.random.default_rng(0)
    queries = []
    for number in range(300):
        chosen = rng.permutation(40)[: rng.integers(2, 12)]
        cut = int(rng.integers(1, len(chosen) + 1)) if number % 7 else 0
        positives, junk = np.sort(chosen[:cut]), np.sort(chosen[cut:])
        hard = positives[::2] if protocol == "revisited" else positives[:0]
        queries.append(Query(str(number), Path(f"{number}.jpg"), None, positives, junk, hard))
    return RetrievalSet("drawn", Images(Path(), [f"{i}.jpg" for i in range(40)]), tuple(queries), protocol=protocol)


@pytest.mark.parametrize("protocol", ["classic", "revisited", "market", "places"])
def test_the_protocols_score_of_random_descriptors_is_near_chance(protocol):
    drawn = retrieval_set(protocol)
    rng = np.random.default_rng(1)
    scores = []
    for _ in range(8):
        queries_QD, images_ND = (
            rng.standard_normal((len(each), 16)).astype(np.float32) for each in (drawn.queries, drawn.images)
        )
        both = [each / np.linalg.norm(each, axis=1, keepdims=True) for each in (queries_QD, images_ND)]
        evaluation = score(*both, drawn)
        scores.append({"map": evaluation.map, **evaluation.more})
    expected = chance_scores(drawn)
    assert expected["map"] > 0
    for key, value in expected.items():
        assert np.mean([each[key] for each in scores]) == pytest.approx(value, abs=0.03), key
