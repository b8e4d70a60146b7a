import math

import numpy as np
import pytest

from retrieval.evaluation.metrics import evaluate_market


def library_loop(distance_QN, query_pids, gallery_pids, query_cameras, gallery_cameras):
    """Re-identification as later libraries score it (protocols: Market-1501): step rule, valid queries."""
    gallery, aps, firsts = list(zip(gallery_pids, gallery_cameras, strict=True)), [], []
    for distances, pid, camera in zip(distance_QN, query_pids, query_cameras, strict=True):
        order = sorted(range(len(gallery)), key=lambda i, row=distances: (row[i], i))
        kept = [gallery[i][0] == pid for i in order if gallery[i][0] != -1 and gallery[i] != (pid, camera)]
        places = [place for place, right in enumerate(kept) if right]
        if places:
            aps.append(np.mean([(order + 1) / (place + 1) for order, place in enumerate(places)]))
            firsts.append(places[0])
    return np.mean(aps), {k: np.mean([first < k for first in firsts]) for k in (1, 5, 10)}


def test_one_query_by_hand():
    #              own camera  junk  background  right  wrong  right
    gallery_pids = [1, -1, 0, 1, 2, 1]
    gallery_cameras = [1, 2, 2, 2, 2, 3]
    scores = evaluate_market(np.array([[0.1, 0.2, 0.3, 0.4, 0.5, 0.6]]), [1], gallery_pids, [1], gallery_cameras)
    # Junk-free: background, right, wrong, right: ranks 1 and 3.
    assert scores.map == pytest.approx((0 + 1 / 2 + 1 / 3 + 2 / 4) / 4)
    assert scores.map_step == pytest.approx((1 / 2 + 2 / 4) / 2)
    assert scores.cmc == {1: 0.0, 5: 1.0, 10: 1.0}


def test_a_query_that_no_other_camera_saw_counts_nought_or_is_left_out():
    scores = evaluate_market(np.array([[0.1, 0.2], [0.2, 0.1]]), [1, 2], [1, 2], [1, 1], [1, 2])
    assert scores.aps.tolist() == [0.0, 1.0]
    assert scores.map == 0.5
    assert scores.map_step == 1.0
    assert scores.cmc == {1: 0.5, 5: 0.5, 10: 0.5}


def test_the_step_figures_equal_the_libraries_loop_with_many_equal_distances():
    rng = np.random.default_rng(2)
    query_pids, query_cameras = np.repeat(np.arange(1, 11), 2), np.tile([1, 2], 10)
    gallery_pids, gallery_cameras = rng.integers(-1, 11, 300), rng.integers(1, 4, 300)
    distance_QN = rng.integers(0, 12, size=(20, 300)) / 8
    given = (distance_QN, query_pids, gallery_pids, query_cameras, gallery_cameras)
    scores = evaluate_market(*given)
    mean_ap, cmc = library_loop(*(each.tolist() for each in given))
    assert scores.map_step == pytest.approx(mean_ap, abs=1e-12)
    assert scores.cmc == pytest.approx(cmc)
    assert scores.map < scores.map_step


def test_identity_minus_one_in_the_gallery_changes_nothing():
    rng = np.random.default_rng(4)
    distance_QN = rng.uniform(size=(6, 40))
    pids, cameras = rng.integers(-1, 4, 40), rng.integers(1, 3, 40)
    kept = pids != -1
    full = evaluate_market(distance_QN, [1, 2, 3] * 2, pids, [1] * 6, cameras)
    without = evaluate_market(distance_QN[:, kept], [1, 2, 3] * 2, pids[kept], [1] * 6, cameras[kept])
    assert np.array_equal(full.aps, without.aps)
    assert (full.map, full.map_step, full.cmc) == (without.map, without.map_step, without.cmc)


def test_a_distance_that_is_nan_ranks_last():
    scores = evaluate_market(np.array([[np.nan, 0.5, 0.7]]), [1], [1, 2, 3], [1], [2, 2, 2])
    assert scores.map_step == pytest.approx(1 / 3)


@pytest.mark.parametrize("queries", [0, 2])
def test_without_queries_or_gallery_no_error_is_raised(queries):
    scores = evaluate_market(np.empty((queries, 0)), np.arange(queries), [], np.ones(queries), [])
    assert math.isnan(scores.map_step)
    assert scores.aps.tolist() == [0.0] * queries
    assert math.isnan(scores.map) == (queries == 0)
    assert math.isnan(scores.cmc[1]) == (queries == 0)


def test_distances_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 3\).*\(3, 2\)"):
        evaluate_market(np.zeros((2, 3)), [1, 2, 3], [1, 2], [1, 1, 1], [2, 2])


def test_distances_to_no_gallery_where_there_is_one_are_refused():
    with pytest.raises(ValueError, match=r"shape \(2, 0\).*\(2, 1\)"):
        evaluate_market(np.zeros((2, 0)), [1, 2], [1], [1, 1], [2])


def test_identities_without_cameras_are_refused():
    with pytest.raises(ValueError, match=r"1 and 2 identities .* 1 and 1 cameras"):
        evaluate_market(np.zeros((1, 2)), [1], [1, 2], [1], [2])
