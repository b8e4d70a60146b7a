import math
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.datasets.base import Query, RetrievalSet
from retrieval.datasets.formats.oxford import load_oxford
from retrieval.descriptors.extract import extract
from retrieval.evaluation.evaluate import Evaluation, evaluate, score
from retrieval.evaluation.index import rank
from retrieval.evaluation.metrics import (
    evaluate_classic,
    evaluate_market,
    evaluate_revisited,
    positives_within,
    recall_at,
)
from retrieval.images import ImageReader

IMAGES = 240


def whole_numbers(count: int, seed: int) -> np.ndarray:
    """Descriptors whose inner products are exact and often equal."""
    return np.random.default_rng(seed).integers(-2, 3, (count, 4)).astype(np.float32)


QUERIES_QD, DATABASE_ND = whole_numbers(12, 0), whole_numbers(IMAGES, 1)


def make_set(truths, protocol, **more):
    queries = tuple(
        Query(f"q{i}", Path(f"q{i}.jpg"), None, *(np.array(sorted(each), dtype=np.int64) for each in truth))
        for i, truth in enumerate(truths)
    )
    return RetrievalSet("made", [Path(f"{i}.jpg") for i in range(IMAGES)], queries, protocol, **more)


def random_truths(*sizes):
    rng = np.random.default_rng(7)
    return [np.split(rng.permutation(IMAGES)[: sum(sizes)], np.cumsum(sizes)[:-1]) for _ in QUERIES_QD]


def sorted_ranks() -> np.ndarray:
    return np.argsort(-(QUERIES_QD @ DATABASE_ND.T), axis=1, kind="stable")


def test_the_classic_protocol_is_that_of_the_sorted_rankings():
    truths = random_truths(9, 20)
    found = score(QUERIES_QD, DATABASE_ND, make_set(truths, "classic"))
    expected = evaluate_classic(sorted_ranks(), [{"positives": p, "junk": j} for p, j in truths])
    assert np.array_equal(found.aps, expected.aps)
    assert found.map == expected.map
    assert found.more == {}


def test_the_revisited_protocols_are_those_of_the_sorted_rankings():
    truths = random_truths(6, 7, 20)
    made = make_set([(np.concatenate([easy, hard]), junk, hard) for easy, hard, junk in truths], "revisited")
    found = score(QUERIES_QD, DATABASE_ND, made)
    expected = evaluate_revisited(sorted_ranks(), [dict(zip(("easy", "hard", "junk"), t, strict=True)) for t in truths])
    assert found.map == expected["M"].map
    assert np.array_equal(found.aps, expected["M"].aps)
    assert (found.more["map_easy"], found.more["map_hard"]) == (expected["E"].map, expected["H"].map)
    for k in (1, 5, 10):
        assert found.more[f"mp_at_{k}"] == expected["M"].mp_at[k]
        assert found.more[f"mp_at_{k}_easy"] == expected["E"].mp_at[k]
        assert found.more[f"mp_at_{k}_hard"] == expected["H"].mp_at[k]
    assert len(found.more) == 11


def test_the_market_protocol_is_that_of_the_distances():
    rng = np.random.default_rng(3)
    pids, cameras = rng.integers(0, 8, IMAGES), rng.integers(1, 4, IMAGES)
    query_pids, query_cameras = np.arange(1, 13), rng.integers(1, 4, 12)
    truths = [
        (np.flatnonzero((pids == pid) & (cameras != camera)), np.flatnonzero((pids == pid) & (cameras == camera)))
        for pid, camera in zip(query_pids, query_cameras, strict=True)
    ]
    found = score(QUERIES_QD, DATABASE_ND, make_set(truths, "market"))
    expected = evaluate_market(-(QUERIES_QD @ DATABASE_ND.T), query_pids, pids, query_cameras, cameras)
    assert found.map == expected.map
    assert np.array_equal(found.aps, expected.aps)
    assert found.more == {"map_step": expected.map_step} | {f"cmc_at_{k}": v for k, v in expected.cmc.items()}
    assert found.map < found.more["map_step"]


def test_places_report_recall_and_misses_stay_in_it():
    rng = np.random.default_rng(4)
    coordinates = rng.uniform(0, 150, (IMAGES, 2)), rng.uniform(0, 150, (12, 2))
    coordinates[1][0] = (900, 900)
    positives = positives_within(*coordinates)
    made = make_set([(each, ()) for each in positives], "places", coordinates=coordinates)
    found = score(QUERIES_QD, DATABASE_ND, made)
    assert found.more == {f"recall_at_{n}": v for n, v in recall_at(sorted_ranks(), positives).items()}
    assert found.more["recall_at_20"] <= 11 / 12
    assert math.isnan(found.aps[0])
    assert found.map == pytest.approx(np.nanmean(found.aps))


def panorama_recall(ranking, positives, n, size):
    """Tokyo 24/7 as first published: search size·n, keep the first hit of each panorama, then the first n."""
    seen, firsts = set(), []
    for image in ranking[: size * n]:
        if image // size not in seen:
            seen.add(image // size)
            firsts.append(image)
    return any(image in positives for image in firsts[:n])


@pytest.mark.parametrize("index", ["Flat", "HNSW16"])
def test_of_a_panorama_only_the_first_hit_counts(index):
    positives = [set(each.tolist()) for (each,) in random_truths(9)]
    queries, database = (np.random.default_rng(seed).normal(size=(n, 8)) for seed, n in ((0, 12), (1, IMAGES)))
    queries, database = queries.astype(np.float32), database.astype(np.float32)
    found = score(queries, database, make_set([(each, ()) for each in positives], "places", panorama=12), index)
    rankings = rank(queries, database).tolist()
    for n in (1, 5, 10, 20):
        hits = [panorama_recall(ranking, right, n, 12) for ranking, right in zip(rankings, positives, strict=True)]
        assert found.more[f"recall_at_{n}"] == pytest.approx(np.mean(hits))


def test_a_panorama_wholly_right_counts_as_one_positive():
    positives = [set(range(24, 36))] * 12
    database = np.full((IMAGES, 4), -1, dtype=np.float32)
    database[24:36] = 1
    found = score(np.ones((12, 4), np.float32), database, make_set([(p, ()) for p in positives], "places", panorama=12))
    assert found.map == 1.0


def test_a_database_in_parts_scores_as_one():
    made = make_set(random_truths(9, 20), "classic")
    parts = [DATABASE_ND[:100], DATABASE_ND[100:101].astype(np.float16), DATABASE_ND[101:]]
    assert np.array_equal(score(QUERIES_QD, parts, made).aps, score(QUERIES_QD, DATABASE_ND, made).aps)


def test_an_approximate_index_adds_what_it_costs_and_keeps_the_protocols_keys():
    made = make_set([(p, j, p[:3]) for p, j in random_truths(9, 20)], "revisited")
    exact, coded = (score(QUERIES_QD, DATABASE_ND, made, index) for index in ("Flat", "IVF4,Flat;nprobe=2"))
    assert coded.more.keys() - exact.more.keys() == {"index_bytes", "search_ms"}
    assert coded.more["index_bytes"] > DATABASE_ND.nbytes
    assert coded.more["search_ms"] > 0
    assert 0 < coded.map < 1


def test_a_network_whose_descriptors_are_nan_does_not_score_well():
    made = make_set([({200, 201}, ())] * 12, "classic")
    spoilt = np.full_like(DATABASE_ND, np.nan)
    assert score(QUERIES_QD, spoilt, made).map < 0.02


def test_descriptors_that_are_not_one_an_image_are_refused():
    made = make_set(random_truths(9, 20), "classic")
    with pytest.raises(ValueError, match="12 queries and 239 images; it has 12 and 240"):
        score(QUERIES_QD, DATABASE_ND[1:], made)
    with pytest.raises(ValueError, match="11 queries"):
        score(QUERIES_QD[1:], DATABASE_ND, made)


def mean_colour(images_NCHW: torch.Tensor) -> np.ndarray:
    return torch.nn.functional.normalize(images_NCHW.mean((2, 3))).numpy()


def test_evaluating_is_extracting_then_scoring(tiny_data):
    town, reader, told = load_oxford(tiny_data / "val", name="val"), ImageReader(32), []
    found = evaluate(mean_colour, town, reader, progress=lambda done, of: told.append((done, of)))
    queries = extract(mean_colour, [(query.path, query.box) for query in town.queries], reader)
    database = extract(mean_colour, [(path, None) for path in town.images], reader)
    assert isinstance(found, Evaluation)
    assert np.array_equal(found.aps, score(queries, database, town).aps)
    assert told[-1] == (len(town.images), len(town.images))


def test_a_gallery_given_is_not_described_again(tiny_data):
    town, described = load_oxford(tiny_data / "val", name="val"), []

    def describe(images_NCHW):
        described.append(len(images_NCHW))
        return mean_colour(images_NCHW)

    gallery = extract(mean_colour, [(path, None) for path in town.images], ImageReader(32))
    found = evaluate(describe, town, ImageReader(32), gallery_ND=gallery)
    assert sum(described) == len(town.queries)
    assert found.map == evaluate(mean_colour, town, ImageReader(32)).map
