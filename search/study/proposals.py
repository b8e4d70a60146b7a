"""Proposals of the study that are inside the limits and were not tried before."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import optuna
from optuna.samplers import RandomSampler
from optuna.trial import Trial as OptunaTrial
from optuna.trial import TrialState

from pruning.schedule import Schedule
from search.study.constraints import Exclusions
from search.study.search_spec import Costs
from search.study.tell import IDENTITY, constrain, tell_excluded, tell_repeat
from spaces.space import Space
from tracking.limits import Limits

# After so many repeats in a row the sampler has converged, and random proposals take over …
REPEATS_UNTIL_CHANCE = 25
# … and after so many the space counts as exhausted.
REPEATS_UNTIL_EXHAUSTED = 50


class NoProposalError(Exception):
    """The space is exhausted; the message says why."""


@dataclass(frozen=True)
class Proposal:
    """A trial to hand out.

    Attributes:
        trial: of the study.
        schedule: what the trial does to the network.
        costs: its counted costs.
    """

    trial: OptunaTrial
    schedule: Schedule
    costs: dict[str, float]

    @property
    def number(self) -> int:
        """The trial's number in the study: its identity."""
        return self.trial.number

    @property
    def config(self) -> dict[str, Any]:
        """The config that its worker is given."""
        return {"number": self.number, "schedule": self.schedule.model_dump_json(), "costs": self.costs}


class Proposals:
    """The proposals of a study that should be trained.

    A proposal whose counted cost lies outside the limits is told to the study as a violated constraint, an exact repeat
    with the values of the first trial; either way the study is asked for another one.

    Args:
        study: of the sweep.
        space: turns a proposal into a schedule.
        costs: the counted costs of a schedule.
        limits: on these costs.
        interrupted: trials that were handed out before and come first, with the same schedules.
        enqueued_only: whether nothing is proposed beyond what was enqueued, as for a grid.
        seed: of the random proposals.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        costs: Costs,
        limits: Limits,
        *,
        interrupted: list[OptunaTrial],
        enqueued_only: bool,
        seed: int,
    ) -> None:
        self._study, self._space, self._costs, self._limits = study, space, costs, limits
        self._interrupted, self._enqueued_only = deque(interrupted), enqueued_only
        self._sampler, self._chance = study.sampler, RandomSampler(seed)
        trials = study.get_trials(deepcopy=False)
        # A repeat does not have the attribute: only the first trial with a schedule does.
        self._numbers = {trial.user_attrs[IDENTITY]: trial.number for trial in trials if IDENTITY in trial.user_attrs}

    def next(self) -> Proposal:
        """Return the next trial to hand out.

        Raises:
            NoProposalError: the space is exhausted.
            AllExcludedError: nothing seems to lie inside the limits.
        """
        repeats, exclusions = 0, Exclusions()
        while True:
            trial = self._ask(by_chance=repeats >= REPEATS_UNTIL_CHANCE)
            schedule = self._space.propose(trial)
            costs = self._costs(schedule)
            violations = self._limits.violations(costs)
            constrain(trial, violations)
            if (message := self._limits.explain(costs)) is not None:
                tell_excluded(trial, message)
                exclusions.add(violations)
                continue
            first = self._numbers.setdefault(schedule.identity, trial.number)
            if first == trial.number:
                trial.set_user_attr(IDENTITY, schedule.identity)
                return Proposal(trial, schedule, costs)
            tell_repeat(trial, first)
            repeats += 1
            if repeats >= REPEATS_UNTIL_EXHAUSTED:
                raise NoProposalError(f"the last {repeats} proposals were tried before: the space is exhausted")

    def _ask(self, *, by_chance: bool) -> OptunaTrial:
        if self._interrupted:
            return self._interrupted.popleft()
        if self._enqueued_only and not self._study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            raise NoProposalError("every point of the grid has been handed out")
        self._study.sampler = self._chance if by_chance else self._sampler
        return self._study.ask()
