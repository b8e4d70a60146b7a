"""Proposals that are worth training: inside the limits, and not tried before."""

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

# After so many repeats in a row the sampler has run into a corner, and chance takes over …
REPEATS_UNTIL_CHANCE = 25
# … and after so many there is nothing new left.
REPEATS_UNTIL_EXHAUSTED = 50


class NoProposalError(Exception):
    """There is nothing left to try; the message says why."""


@dataclass(frozen=True)
class Proposal:
    """A trial to hand out: what it does, and what it will cost as far as that is counted."""

    trial: OptunaTrial
    schedule: Schedule
    costs: dict[str, float]

    @property
    def number(self) -> int:
        """Its identity, for good."""
        return self.trial.number

    @property
    def config(self) -> dict[str, Any]:
        """What its worker is given."""
        return {"number": self.number, "schedule": self.schedule.model_dump_json(), "costs": self.costs}


class Proposals:
    """Asks a study, and hands on what should be trained.

    A proposal whose counted cost lies outside the limits is told as a violated constraint, an exact repeat is answered
    from the study; either way another one is asked for.

    Args:
        interrupted: trials that were handed out before and come first, with the same schedules.
        enqueued_only: whether only what was enqueued is proposed: a grid ends.
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
        # A repeat does not bear the attribute: the first trial with a schedule is who answers for it.
        self._numbers = {trial.user_attrs[IDENTITY]: trial.number for trial in trials if IDENTITY in trial.user_attrs}

    def next(self) -> Proposal:
        """The next trial to hand out.

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
