"""The scores that a random order of the database gets: below them a network has learned nothing.

R relevant images among N ranked ones, those that are junk left out of both. Letters: Q queries.
"""

import numpy as np
from numpy.typing import NDArray

from retrieval.datasets.base import Indices, RetrievalSet
from retrieval.evaluation.metrics import CMC_RANKS, DEPTHS

Numbers = NDArray[np.float64]


def step_precision(relevant_Q: Indices, ranked_Q: Indices) -> Numbers:
    """Return the expected average precision of a random order by the step rule, one number a query.

    (H + (R − 1) / (N − 1) · (N − H)) / N with H = 1 + 1/2 + … + 1/N (Bestgen, "Exact Expected Average Precision of the
    Random Baseline for System Evaluation", PBML 103, 2015); 0 where nothing is relevant.
    """
    highest = int(ranked_Q.max(initial=1))
    harmonic_Q = np.cumsum(1 / np.arange(1, highest + 1))[np.maximum(ranked_Q, 1) - 1]
    others_Q = (relevant_Q - 1) / np.maximum(ranked_Q - 1, 1)
    expected_Q = (harmonic_Q + others_Q * (ranked_Q - harmonic_Q)) / np.maximum(ranked_Q, 1)
    return np.where(relevant_Q > 0, expected_Q, 0.0)


def trapezoid_precision(relevant_Q: Indices, ranked_Q: Indices) -> Numbers:
    """Return the expected average precision of a random order by the trapezoid rule of Oxford5k.

    The rule averages the precision at each hit, whose mean is that of the step rule, with the one just before it, whose
    expectation over all ranks is R / N.
    """
    return (step_precision(relevant_Q, ranked_Q) + relevant_Q / np.maximum(ranked_Q, 1)) / 2


def found_among_first(relevant_Q: Indices, ranked_Q: Indices, first: int) -> Numbers:
    """Return how likely a random order has a relevant image among the `first` ones (hypergeometric)."""
    drawn_F1 = np.arange(first)[:, None]
    left_FQ = np.maximum(ranked_Q - drawn_F1, 0)
    missed_FQ = np.maximum(ranked_Q - relevant_Q - drawn_F1, 0) / np.maximum(left_FQ, 1)
    return 1 - missed_FQ.prod(axis=0, where=left_FQ > 0)


def chance_scores(retrieval_set: RetrievalSet) -> dict[str, float]:
    """Return what a random order of the database scores, by the keys of a trial's metrics.

    Args:
        retrieval_set: with its protocol.

    Returns:
        `map`, and by protocol `map_easy` and `map_hard`, `map_step` and `cmc_at_k`, or `recall_at_n`.
    """
    relevant_Q, ranked_Q = count_ranked(retrieval_set)
    has_answer_Q = relevant_Q > 0
    expected_Q = trapezoid_precision(relevant_Q, ranked_Q)
    scores = {"map": _mean(expected_Q[has_answer_Q])}
    match retrieval_set.protocol:
        case "market":
            scores["map"] = _mean(expected_Q)
            scores["map_step"] = _mean(step_precision(relevant_Q, ranked_Q)[has_answer_Q])
            scores |= {f"cmc_at_{k}": _mean(found_among_first(relevant_Q, ranked_Q, k)) for k in CMC_RANKS}
        case "places":
            scores |= {f"recall_at_{n}": _mean(found_among_first(relevant_Q, ranked_Q, n)) for n in DEPTHS}
        case "revisited":
            hard_Q = np.array([query.hard.size for query in retrieval_set.queries])
            for level, others_Q in (("easy", relevant_Q - hard_Q), ("hard", hard_Q)):
                # The other level's positives are junk in this one.
                ranked_here_Q = ranked_Q - relevant_Q + others_Q
                scores[f"map_{level}"] = _mean(trapezoid_precision(others_Q, ranked_here_Q)[others_Q > 0])
    return scores


def count_ranked(retrieval_set: RetrievalSet) -> tuple[Indices, Indices]:
    """Return how many images are relevant to each query, and how many are ranked for it: all but its junk.

    Of a set of panoramas both count panoramas, of which only the best ranked image counts.
    """
    size = retrieval_set.panorama
    relevant_Q = np.array([np.unique(query.positives // size).size for query in retrieval_set.queries])
    junk_Q = np.array([query.junk.size for query in retrieval_set.queries])
    ranked = len(retrieval_set.images) // size
    return relevant_Q, ranked - junk_Q * (size == 1)


def _mean(values: Numbers) -> float:
    return float(values.mean()) if values.size else 0.0
