"""One simulated sweep as numbers: what its front dominates after each trial, and what that took."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from benchmarks.search.contenders import OBJECTIVES, REFERENCE, Contender, scratch
from benchmarks.search.evolution import Point, expected_point
from search.simulation.virtual_time import Simulation
from search.study.budget import Budget
from trainables.simulation.simulated import Blackbox


class Run(BaseModel):
    """One sweep: for each trial that ended, finished or stopped, in order.

    hypervolumes: of the front then. epochs: that all trials had trained then. expected: mAP without noise and speedup
    of the trial; None of one that did not finish.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    hypervolumes: tuple[float, ...]
    epochs: tuple[int, ...]
    expected: tuple[Point | None, ...] = ()

    @property
    def finished_N2(self) -> np.ndarray:  # noqa: N802
        """The points of the trials that finished, N×2."""
        return np.array([point for point in self.expected if point is not None]).reshape(-1, 2)

    @property
    def last(self) -> float:
        """The hypervolume at the end."""
        return self.hypervolumes[-1]

    def trials_to(self, hypervolume: float) -> float:
        """Trials until the front dominates that much; infinite where it never does."""
        return next(
            (float(trial) for trial, found in enumerate(self.hypervolumes, 1) if found >= hypervolume), math.inf
        )

    def epochs_to(self, hypervolume: float) -> float:
        """Epochs until the front dominates that much; infinite where it never does."""
        trials = self.trials_to(hypervolume)
        return trials if math.isinf(trials) else float(self.epochs[int(trials) - 1])

    def after_epochs(self, epochs: int) -> float:
        """The hypervolume when so many epochs were trained."""
        ended = sum(each <= epochs for each in self.epochs)
        return self.hypervolumes[ended - 1] if ended else 0.0


@dataclass(frozen=True)
class Spread:
    """Median and quartiles; infinite where so many runs did not reach what was asked."""

    low: float
    median: float
    high: float


def spread(values: Sequence[float]) -> Spread:
    """Of any numbers, infinite ones among them: the quartiles are values that occurred."""
    low, median, high = np.quantile(np.array(values), (0.25, 0.5, 0.75), method="inverted_cdf")
    return Spread(float(low), float(median), float(high))


def search(contender: Contender, blackbox: Blackbox, budget: Budget, seed: int) -> Run:
    """Simulate one sweep and keep its numbers."""
    return run_of(simulated(contender, blackbox, budget, seed), blackbox)


def simulated(contender: Contender, blackbox: Blackbox, budget: Budget, seed: int) -> Simulation:
    """One sweep in a folder of its own, which is gone afterwards."""
    with scratch() as folder:
        return contender.run(blackbox, budget, seed, Path(folder))


def run_of(simulation: Simulation, blackbox: Blackbox) -> Run:
    """The numbers of a simulated sweep."""
    volumes, now = iter(simulation.hypervolumes(OBJECTIVES, REFERENCE)), 0.0
    after: list[float] = []
    expected: list[Point | None] = []
    for ended in simulation.ended:
        finished = ended.record.status == "finished"
        now = next(volumes) if finished else now
        after.append(round(now, 6))
        schedule = ended.record.schedule if finished else None
        expected.append(None if schedule is None else expected_point(blackbox, schedule))
    epochs = tuple(ended.epochs for ended in simulation.ended)
    return Run(hypervolumes=tuple(after), epochs=epochs, expected=tuple(expected))
