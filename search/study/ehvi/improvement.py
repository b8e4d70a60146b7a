"""How much the front of a study may grow by a candidate: model, front and acquisition put together.

Letters: N trials, M objectives, C candidates, K costs, V values that measured costs may have.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from search.study.ehvi.acquisition import Front
from search.study.ehvi.candidates import Candidate
from search.study.ehvi.gaussian_process import Floats, GaussianProcess
from search.study.ehvi.goal import Goal
from search.study.ehvi.outcomes import Outcomes, features_of, learn
from search.study.ehvi.trials import Trials
from tracking.pareto import pareto_front
from tracking.record import METRICS
from tracking.reference import reference_point

# In place of −∞, which no order can be drawn from.
_HOPELESS = -1e300


@dataclass(frozen=True)
class Improvement:
    """What candidates promise, given all trials so far.

    The front is that of the means under the model, at all trials that ended or are running: a lucky measurement does
    not hide what is better, and a trial that runs is not proposed a second time.

    Attributes:
        outcomes: the model of trials that have ended.
        quality: that of the quality, with the running trials believed.
        front: that is to be enlarged.
        members: candidates on it.
    """

    outcomes: Outcomes
    quality: GaussianProcess
    front: Front
    members: tuple[Candidate, ...]

    @classmethod
    def given(cls, trials: Trials, goal: Goal, kept_shares: Sequence[int]) -> Self:
        """Fit the model to trials.

        Args:
            trials: at least one of them with values.
            goal: of the search.
            kept_shares: see `search.study.ehvi.features.Features.kept_shares`.
        """
        outcomes = learn(trials.observed, goal.objectives, kept_shares)
        known = [*(each.candidate for each in trials.valued), *trials.pending]
        points_NM = np.column_stack([outcomes.quality.predict(features_of(known)).mean_C, outcomes.mean_costs(known)])
        reference_M = _signs(goal) * _reference(goal, np.array([each.values for each in trials.valued]))
        on_front_N = pareto_front(points_NM)
        worth_N = on_front_N & (points_NM > reference_M).all(axis=1)
        chosen_N = worth_N if worth_N.any() else on_front_N
        return cls(
            outcomes=outcomes,
            quality=outcomes.quality.believing(features_of(trials.pending)) if trials.pending else outcomes.quality,
            front=Front.of(points_NM[:, 0], points_NM[:, 1:], reference_M),
            members=tuple(each for each, chosen in zip(known, chosen_N, strict=True) if chosen),
        )

    def logs(self, candidates: Sequence[Candidate]) -> Floats:
        """Return the logarithm of the expected hypervolume improvement of each candidate, inside the limits."""
        features_CF = features_of(candidates)
        quality = self.quality.predict(features_CF)
        costs_VCK, weights_V = self.outcomes.costs(candidates)
        logs_VC = np.stack([self.front.log_improvement(quality, costs_CK) for costs_CK in costs_VCK])
        logs_C = np.logaddexp.reduce(logs_VC + np.log(weights_V)[:, None], axis=0)
        return np.maximum(logs_C + self.outcomes.log_feasible(features_CF), _HOPELESS)


def _signs(goal: Goal) -> Floats:
    return np.array([METRICS[key].sign for key in goal.objectives], dtype=np.float64)


def _reference(goal: Goal, values_NM: Floats) -> tuple[float, ...]:
    """Return the point that the hypervolume is measured from.

    What is not known of the dense network is taken from the trials: its quality is the best so far, a cost that is
    neither counted nor a ratio to the dense network's the worst.
    """
    signs_M = _signs(goal)
    best_M, worst_M = signs_M * (signs_M * values_NM).max(axis=0), signs_M * (signs_M * values_NM).min(axis=0)
    seen = {
        key: float(best if METRICS[key].is_quality else worst)
        for key, best, worst in zip(goal.objectives, best_M, worst_M, strict=True)
    }
    return reference_point(goal.objectives, {**seen, **goal.uncut_metrics}, goal.reference)
