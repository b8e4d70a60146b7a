"""Optuna's sampler over the model: it proposes the candidate that promises to enlarge the front most.

For each proposal the model is fitted anew to what Optuna's storage holds, and every random number follows from the seed
and the number of the trial. So a driver that was started again proposes what the former one would have.
"""

import random
from collections.abc import Iterable
from typing import Any

import numpy as np
import optuna
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import FrozenTrial

from pruning.schedule import Schedule
from search.study.ehvi.candidates import Candidate, Candidates
from search.study.ehvi.goal import Goal
from search.study.ehvi.improvement import Improvement
from search.study.ehvi.trials import TrialReader, Trials
from spaces.dimensions import Dimension, dimensions

# Each proposal draws candidates anew, and has those of the proposals before it: 900 in all. Making a candidate takes a
# third of a millisecond, its score a tenth of that.
DRAWN, POOLED_PROPOSALS = 60, 15
# Neighbours of the front's members.
NEIGHBOURS = 100
# Then, a few times: neighbours of the best candidates so far.
CLIMBS, CLIMBERS, CLIMBED = 3, 6, 40


class EhviSampler(BaseSampler):
    """Propose by expected hypervolume improvement, see `search.study.ehvi.acquisition`.

    Args:
        goal: of the search.
        seed: of the sweep.
    """

    def __init__(self, goal: Goal, seed: int) -> None:
        self._goal, self._seed = goal, seed
        self._candidates = Candidates(goal.space, goal.costs)
        self._reader = TrialReader(goal, self._candidates)
        self._dimensions = {each.name: _distribution(each) for each in dimensions(goal.space)}
        self._drawn: dict[int, list[Candidate]] = {}
        self._by_chance = RandomSampler(seed)

    def infer_relative_search_space(self, study: optuna.Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return every dimension of the space; a trial is asked for those that suit its choices."""
        return self._dimensions

    def sample_relative(
        self, study: optuna.Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return the params of the next trial."""
        trials = self._reader.read(study, trial.number)
        rng, drawn = random.Random(f"{self._seed} {trial.number}"), self._pool(trial.number)
        chosen = self._most_promising(trials, drawn, rng) if trials.valued else None
        return (chosen or self._nearest(trials, drawn, rng)).params

    def sample_independent(
        self, study: optuna.Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a random value, for a dimension that is none of the space's."""
        return self._by_chance.sample_independent(study, trial, param_name, param_distribution)

    def _most_promising(self, trials: Trials, drawn: list[Candidate], rng: random.Random) -> Candidate | None:
        """Return the best candidate; None where no new one lies inside the limits."""
        improvement = Improvement.given(trials, self._goal, self._candidates.features.kept_shares)
        neighbours = self._candidates.neighbours(improvement.members, rng, NEIGHBOURS)
        pool = self._inside(_new([*drawn, *neighbours], trials.tried))
        if not pool:
            return None
        logs_C = improvement.logs(pool)
        for _ in range(CLIMBS):
            best = [pool[place] for place in np.argsort(-logs_C, kind="stable")[:CLIMBERS]]
            seen = trials.tried | {each.schedule for each in pool}
            climbed = self._inside(_new(self._candidates.neighbours(best, rng, CLIMBED), seen))
            if climbed:
                pool, logs_C = [*pool, *climbed], np.append(logs_C, improvement.logs(climbed))
        return pool[int(logs_C.argmax())]

    def _nearest(self, trials: Trials, drawn: list[Candidate], rng: random.Random) -> Candidate:
        """Return the first candidate inside the limits, or the one that misses them least; a repeat if none is new."""
        pool = _new(drawn, trials.tried)
        for _ in range(CLIMBS):
            if self._inside(pool):
                break
            nearest = sorted(pool, key=self._miss)[:CLIMBERS]
            pool = [*nearest, *_new(self._candidates.neighbours(nearest, rng, CLIMBED), trials.tried)]
        return next(iter([*self._inside(pool), *sorted(pool, key=self._miss), *drawn]))

    def _pool(self, number: int) -> list[Candidate]:
        """Return the candidates that were drawn for this proposal and for those before it, the latest first."""
        wanted = range(number, max(number - POOLED_PROPOSALS, -1), -1)
        self._drawn = {each: self._drawn[each] if each in self._drawn else self._draw(each) for each in wanted}
        return [candidate for each in wanted for candidate in self._drawn[each]]

    def _draw(self, number: int) -> list[Candidate]:
        return self._candidates.drawn(random.Random(f"{self._seed} {number} drawn"), DRAWN)

    def _inside(self, candidates: list[Candidate]) -> list[Candidate]:
        return [each for each in candidates if self._goal.limits.explain(each.costs) is None]

    def _miss(self, candidate: Candidate) -> float:
        """Return by which share of a limit the counted costs miss it at most."""
        return max(self._goal.limits.violations(candidate.costs).values(), default=0.0)


def _new(candidates: Iterable[Candidate], tried: set[Schedule]) -> list[Candidate]:
    """Return those whose schedule was not tried, each schedule once, the first of equal ones."""
    new: dict[Schedule, Candidate] = {}
    for each in candidates:
        if each.schedule not in tried:
            new.setdefault(each.schedule, each)
    return list(new.values())


def _distribution(dimension: Dimension) -> BaseDistribution:
    if dimension.kind == "choice":
        return CategoricalDistribution(dimension.choices)
    assert dimension.low is not None
    assert dimension.high is not None
    if dimension.kind == "int":
        return IntDistribution(int(dimension.low), int(dimension.high))
    return FloatDistribution(dimension.low, dimension.high, log=dimension.log)
