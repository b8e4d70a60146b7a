"""The yardstick: which share of the best known hypervolume a search has after so many trials.

Both sides are free of noise: of every trial that finished counts the mAP that its schedule has in the mean, so that no
search is praised for luck. Hypervolumes are measured from the same point for all (`benchmarks.search.best_known`).
Best known is the front of a long evolutionary search together with all that any contender found on the same problem.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from benchmarks.search.best_known import BestFront, BestKnown
from benchmarks.search.contenders import BY_TRIALS, DEFAULT, SAMPLER_ROWS
from benchmarks.search.figures import Results
from benchmarks.search.problems import RECORDED, Problem
from benchmarks.search.runs import Run, Spread, spread
from tracking.pareto import GrowingFront, pareto_front

COUNTS = (8, 16, 32, 64)


@dataclass(frozen=True)
class Shares:
    """Shares of the best known hypervolume.

    after: problem → contender → seed → share after each trial. most: problem → seed → number of trials → what as many
    points of the best known front have, chosen with full knowledge.
    """

    after: Mapping[str, Mapping[str, Mapping[int, tuple[float, ...]]]]
    most: Mapping[str, Mapping[int, Mapping[int, float]]]

    @classmethod
    def of(cls, results: Results, found: Mapping[str, Problem], best: BestKnown) -> "Shares":
        """Of all runs by equal trials.

        Raises:
            ValueError: a best front is missing, or of another problem.
        """
        after: dict[str, dict[str, dict[int, tuple[float, ...]]]] = {}
        most: dict[str, dict[int, dict[int, float]]] = {}
        for problem, contenders in results.runs.items():
            fronts = {seed: best.front(problem, seed, found[problem](seed)) for seed in contenders[DEFAULT]}
            volumes = _best_volumes(problem, contenders, fronts)
            after[problem] = {
                name: {seed: _shares(run, fronts[seed], volumes[seed]) for seed, run in runs.items()}
                for name, runs in contenders.items()
                if name in BY_TRIALS
            }
            most[problem] = {
                seed: {trials: front.most(trials) / volumes[seed] for trials in COUNTS}
                for seed, front in fronts.items()
            }
        return cls(after, most)

    def at(self, problem: str, contender: str, trials: int) -> dict[int, float]:
        """Seed → share after so many trials; of a shorter run, at its end."""
        runs = self.after[problem][contender]
        return {seed: shares[min(trials, len(shares)) - 1] for seed, shares in runs.items()}

    def spread(self, problem: str, contender: str, trials: int) -> Spread:
        """Median and quartiles over seeds."""
        return spread(list(self.at(problem, contender, trials).values()))

    def ceiling(self, problem: str, trials: int) -> Spread:
        """The same of what no sampler can pass."""
        return spread([of_seed[trials] for of_seed in self.most[problem].values()])

    def lead(self, problem: str, trials: int, contender: str = DEFAULT) -> Spread:
        """How far one is ahead of the best other sampler, seed by seed; negative where it is behind.

        The best other is the one of the highest median, so that no seed picks its own.
        """
        others = [name for name in SAMPLER_ROWS if name != contender and name in self.after[problem]]
        best = max(others, key=lambda name: self.spread(problem, name, trials).median)
        own, other = self.at(problem, contender, trials), self.at(problem, best, trials)
        return spread([own[seed] - other[seed] for seed in own])

    def worst(self, contender: str = DEFAULT, problems: Iterable[str] | None = None) -> dict[str, float]:
        """Number of trials → the median over seeds of the problem where it is lowest."""
        names = list(self.after if problems is None else problems)
        return {
            str(trials): round(min(self.spread(name, contender, trials).median for name in names), 3)
            for trials in COUNTS
        }


def _best_volumes(
    problem: str, contenders: Mapping[str, Mapping[int, Run]], fronts: Mapping[int, BestFront]
) -> dict[int, float]:
    """Seed → the hypervolume of the best front and of all that was found on that problem."""
    volumes = {}
    for seed, front in fronts.items():
        runs = (
            run for by_seed in contenders.values() for of, run in by_seed.items() if problem == RECORDED or of == seed
        )
        found = [points_N2[pareto_front(points_N2)] for points_N2 in (run.finished_N2 for run in runs)]
        volumes[seed] = front.hypervolume_with(np.vstack(found))
        if problem == RECORDED:
            return dict.fromkeys(fronts, volumes[seed])
    return volumes


def _shares(run: Run, best: BestFront, volume: float) -> tuple[float, ...]:
    front, now = GrowingFront(np.array(best.reference)), 0.0
    shares = []
    for point in run.expected:
        now = now if point is None else front.add(np.array(point))
        shares.append(round(now / volume, 4))
    return tuple(shares)
