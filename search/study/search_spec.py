"""What a search is to do, as one value: where its study lies, what it varies, what it is after, and when it ends."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pruning.schedule import Schedule
from search.study.budget import Budget
from search.study.ehvi.goal import Goal, knows_uncut
from search.study.initial_points import Point, spread_out
from search.study.samplers import EHVI, GRID_STEPS, check_sampler
from search.study.stopping import HypervolumeStagnation
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space
from tracking.limits import Limits
from tracking.reference import Given

# From a schedule to the metrics of its cost that are counted, not timed.
Costs = Callable[[Schedule], dict[str, float]]

# So many first points are tried however few trials the budget has: the four rungs of the space's ladder.
FEWEST_FIRST_POINTS = 4
# With so many given, a sampler that learns leaves the ladder out.
ENOUGH_FIRST_POINTS = 3


def stops_no_trial(number: int) -> bool:
    """Return False: without a scheduler no trial is stopped early."""
    return False


@dataclass(frozen=True)
class SearchSpec:
    """The specification of one search, complete before its study is opened.

    Attributes:
        storage: the sweep's folder, with the journal and `trials/<number>/record.json`.
        space: proposes schedules.
        costs: the counted costs of a schedule.
        objectives: metric keys, the quality first.
        budget: what may be spent; with a larger one the same search goes on later.
        concurrent: how many trials may run at once.
        sampler: one of `search.study.samplers.SAMPLER_NAMES`.
        seed: of the sampler.
        max_failures: how many trials may fail before the search gives up.
        limits: on the counted costs, and on what a trial measures before it trains.
        first_points: params that a new study tries first, beside the space's ladder.
        was_stopped: whether the scheduler stopped the trial of that number
            (`search.halving.successive_halving.SuccessiveHalving.stopped`).
        dense: the dense network's metrics, needed where the budget has a `stop`.
        reference: that the hypervolume is measured from, see `tracking.reference`.
        now: a clock in seconds, whatever it counts from.

    Raises:
        ValueError: the sampler does not suit the space, the budget is less than one trial, or `budget.stop` needs a
            dense metric that is not given.
    """

    storage: Path
    space: Space
    costs: Costs
    objectives: tuple[str, ...]
    budget: Budget
    concurrent: int
    sampler: str
    seed: int
    max_failures: int
    limits: Limits = field(default_factory=Limits)
    first_points: tuple[Point, ...] = ()
    was_stopped: Callable[[int], bool] = stops_no_trial
    dense: Mapping[str, float] = field(default_factory=dict)
    reference: Given = field(default_factory=dict)
    now: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        check_sampler(self.sampler, self.space)
        self.budget.check_longest(self.space.longest_trial)
        if self.budget.stop is not None:
            HypervolumeStagnation(self.objectives, self.dense, self.reference)

    @property
    def goal(self) -> Goal:
        """What a proposal depends on."""
        return Goal(self.space, self.costs, self.objectives, self.limits, self.dense, self.reference)

    def initial_points(self) -> list[Point]:
        """Return what a new study tries before the sampler proposes anything, in order.

        No more than half of the budget's trials: a sampler that comes last has nothing to show. A sampler that learns
        needs few: the points that were given, or else the ladder, without the uncut network where that is known.
        """
        if self.sampler == "grid":
            return spread_out((*self.first_points, *self.space.grid(GRID_STEPS)), self.space, self.costs)
        points = spread_out(self._suggested(), self.space, self.costs)
        trials = self.budget.trials
        return points if trials is None else points[: max(FEWEST_FIRST_POINTS, trials // 2)]

    def _suggested(self) -> list[Point]:
        """Return the points that were given and those of the space's ladder, as far as the sampler needs them."""
        ladder = self.space.ladder()
        if self.sampler != EHVI:
            return [*self.first_points, *ladder]
        uncut = [point for point in ladder if not _removes(self.space, point)]
        cut = [*self.first_points] if len(self.first_points) >= ENOUGH_FIRST_POINTS else [*self.first_points, *ladder]
        known = knows_uncut(self.goal)
        return [point for point in [*cut, *uncut] if not known or _removes(self.space, point)]


def _removes(space: Space, point: Point) -> bool:
    schedule = space.propose(ScriptedSampler(point))
    return any(schedule.ratios.values()) or schedule.quantization is not None
