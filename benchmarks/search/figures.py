"""What is compared between runs: trials and epochs to a hypervolume, and hypervolumes after trials and epochs."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import median

from benchmarks.search.contenders import BASELINE, BASELINE_RUNGS, DEFAULT, DEFAULT_RUNGS
from benchmarks.search.problems import RECORDED
from benchmarks.search.runs import Run, Spread, spread


@dataclass(frozen=True)
class Results:
    """Runs by problem, contender and seed; every contender of a problem has the same seeds.

    H64 is what the front of the baseline dominates after its last trial: on a closed form that of the same seed, since
    each seed is another problem; on the table the median over seeds.
    """

    runs: Mapping[str, Mapping[str, Mapping[int, Run]]]

    @classmethod
    def of(cls, runs: Iterable[tuple[str, str, int, Run]]) -> "Results":
        """From (problem, contender, seed, run) in any order."""
        found: dict[str, dict[str, dict[int, Run]]] = defaultdict(lambda: defaultdict(dict))
        for problem, contender, seed, run in runs:
            found[problem][contender][seed] = run
        return cls({problem: dict(of_problem) for problem, of_problem in found.items()})

    def level(self, problem: str, contender: str = BASELINE) -> dict[int, float]:
        """Seed → the hypervolume at the contender's end: of the baseline, H64."""
        lasts = {seed: run.last for seed, run in self.runs[problem][contender].items()}
        return dict.fromkeys(lasts, median(lasts.values())) if problem == RECORDED else lasts

    def trials_to(self, problem: str, contender: str) -> Spread:
        """Trials until H64."""
        level = self.level(problem)
        return spread([run.trials_to(level[seed]) for seed, run in self.runs[problem][contender].items()])

    def epochs_to(self, problem: str, contender: str, of: str = BASELINE, goal: float = 1.0) -> Spread:
        """Epochs until a share, `goal`, of what another contender's front dominates at its end."""
        level = self.level(problem, of)
        return spread([run.epochs_to(goal * level[seed]) for seed, run in self.runs[problem][contender].items()])

    def over_random(self, problem: str, contender: str) -> Spread:
        """The hypervolume at the end over H64."""
        level = self.level(problem)
        return spread([run.last / level[seed] for seed, run in self.runs[problem][contender].items()])

    def epochs_share(self, problem: str, plain: str, stopped: str, of: str = BASELINE, goal: float = 1.0) -> Spread:
        """Epochs until a share of what `of` dominates at its end: of `stopped` over those of `plain`, seed by seed.

        Where `plain` never gets there, all epochs that it had are counted: the true share is lower. Where neither gets
        there the seed says nothing, and is left out.
        """
        level, pairs = self.level(problem, of), self.runs[problem]
        shares = []
        for seed, run in pairs[plain].items():
            wanted, other = goal * level[seed], pairs[stopped][seed]
            if wanted <= max(run.last, other.last):
                shares.append(other.epochs_to(wanted) / min(run.epochs_to(wanted), run.epochs[-1]))
        return spread(shares or [math.nan])

    def at_epochs(self, problem: str, contender: str, share: float) -> Spread:
        """The hypervolume over H64 after a share of the epochs that the baseline's trials take."""
        level, baseline = self.level(problem), self.runs[problem][BASELINE]
        return spread(
            [
                run.after_epochs(int(share * baseline[seed].epochs[-1])) / level[seed]
                for seed, run in self.runs[problem][contender].items()
            ]
        )

    def headline(self) -> dict[str, float | None]:
        """The median over seeds on the problem where it is worst, of the default; None: not reached."""
        return {
            "trials_to_random64": _finite(max(self.trials_to(each, DEFAULT).median for each in self.runs)),
            "hypervolume_over_random64": _finite(min(self.over_random(each, DEFAULT).median for each in self.runs)),
            "epochs_share": _finite(max(self.epochs_share(each, DEFAULT, DEFAULT_RUNGS).median for each in self.runs)),
        }


def _finite(value: float) -> float | None:
    return round(value, 3) if math.isfinite(value) else None


PAIRS = (
    (DEFAULT, DEFAULT_RUNGS, BASELINE, 1.0),
    (BASELINE, BASELINE_RUNGS, BASELINE, 1.0),
    (DEFAULT, DEFAULT_RUNGS, DEFAULT, 0.9),
    (DEFAULT, DEFAULT_RUNGS, DEFAULT, 1.0),
)
"""What the scheduler is judged by: without, with, and what share of whose last hypervolume is to be reached."""
