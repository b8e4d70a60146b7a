import math

import numpy as np
import pytest

from retrieval.evaluation.metrics import evaluate_revisited


def published_loop(ranks_QN, gnd, kappas):
    """The revisited benchmarks' own evaluation (protocols: revisited), query by query, position by position."""
    protocols = {
        "E": lambda truth: (truth["easy"], [*truth["junk"], *truth["hard"]]),
        "M": lambda truth: ([*truth["easy"], *truth["hard"]], truth["junk"]),
        "H": lambda truth: (truth["hard"], [*truth["junk"], *truth["easy"]]),
    }
    found = {}
    for protocol, of in protocols.items():
        aps, precisions = [], []
        for ranking, truth in zip(ranks_QN, gnd, strict=True):
            positives, junk = of(truth)
            if not positives:
                continue
            kept = [image for image in ranking if image not in junk]
            places = [place for place, image in enumerate(kept) if image in positives]
            area = sum(
                (order / place if place else 1.0) + (order + 1) / (place + 1) for order, place in enumerate(places)
            )
            aps.append(area / (2 * len(positives)))
            depths = [min(max(places) + 1, kappa) for kappa in kappas]
            precisions.append([sum(place < depth for place in places) / depth for depth in depths])
        found[protocol] = (np.mean(aps), np.mean(precisions, axis=0))
    return found


def test_the_three_protocols_by_hand():
    # Junk-free ranks: E drops 5, 7, 8: [1, 2, 0]; M drops 5: [7, 1, 2, 8, 0]; H drops 5, 2: [7, 1, 8, 0].
    scores = evaluate_revisited(np.array([[5, 7, 1, 2, 8, 0]]), [{"easy": [2], "hard": [7, 8], "junk": [5]}])
    assert scores["E"].map == pytest.approx((0 / 1 + 1 / 2) / 2)
    assert scores["M"].map == pytest.approx((1 + 1 + 1 / 2 + 2 / 3 + 2 / 3 + 3 / 4) / 6)
    assert scores["H"].map == pytest.approx((1 + 1 + 1 / 2 + 2 / 3) / 4)
    assert scores["E"].mp_at == pytest.approx({1: 0, 5: 1 / 2, 10: 1 / 2})
    assert scores["M"].mp_at == pytest.approx({1: 1, 5: 3 / 4, 10: 3 / 4})
    assert scores["H"].mp_at == pytest.approx({1: 1, 5: 2 / 3, 10: 2 / 3})


def test_precision_at_ten_of_two_positives_at_the_top_is_one():
    scores = evaluate_revisited(np.arange(50)[None], [{"easy": [0, 1], "hard": [], "junk": []}])
    assert scores["E"].mp_at == {1: 1.0, 5: 1.0, 10: 1.0}


def test_the_fast_form_equals_the_published_loop():
    rng = np.random.default_rng(1)
    gnd, ranks_QN = [], []
    for _ in range(25):
        named = rng.permutation(80)[: rng.integers(3, 30)].tolist()
        gnd.append({"easy": named[0::3], "hard": named[1::3], "junk": named[2::3]})
        ranks_QN.append(rng.permutation(80))
    scores = evaluate_revisited(np.stack(ranks_QN), gnd, kappas=(1, 3, 7))
    for protocol, (mean_ap, mean_precisions) in published_loop(np.stack(ranks_QN).tolist(), gnd, (1, 3, 7)).items():
        assert scores[protocol].map == pytest.approx(mean_ap, abs=1e-12)
        assert list(scores[protocol].mp_at.values()) == pytest.approx(mean_precisions, abs=1e-12)


def test_each_protocol_leaves_out_its_own_queries_without_positives():
    gnd = [{"easy": [0], "hard": [], "junk": []}, {"easy": [], "hard": [1], "junk": []}]
    scores = evaluate_revisited(np.array([[0, 1], [0, 1]]), gnd)
    assert np.isnan(scores["E"].aps).tolist() == [False, True]
    assert np.isnan(scores["H"].aps).tolist() == [True, False]
    assert scores["E"].map == 1.0
    assert scores["H"].map == pytest.approx(1 / 4)
    assert scores["M"].map == pytest.approx((1 + 1 / 4) / 2)


def test_a_truncated_ranking_without_a_positive_has_precision_nought():
    scores = evaluate_revisited(np.array([[3, 4]]), [{"easy": [0], "hard": [1], "junk": []}])
    assert scores["M"].map == 0.0
    assert scores["M"].mp_at == {1: 0.0, 5: 0.0, 10: 0.0}


@pytest.mark.parametrize(
    ("ranks", "gnd"), [([], []), ([[0, 1]], [{}]), ([[]], [{"easy": [], "hard": np.array([]), "junk": []}])]
)
def test_without_positives_every_revisited_mean_is_nan(ranks, gnd):
    for scores in evaluate_revisited(ranks, gnd).values():
        assert math.isnan(scores.map)
        assert all(math.isnan(value) for value in scores.mp_at.values())
