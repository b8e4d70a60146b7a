"""The trials of a study, as the model sees them: what was observed, what is being trained, what was tried."""

import math
from dataclasses import dataclass, field

import optuna
from optuna.trial import FrozenTrial, TrialState

from pruning.schedule import Schedule
from search.study.ehvi.candidates import Candidate, Candidates
from search.study.ehvi.goal import Goal, knows_uncut
from search.study.ehvi.outcomes import Observation


@dataclass(frozen=True)
class Trials:
    """What Optuna's storage says at one moment.

    Attributes:
        observed: trials that have ended with values, or were measured to lie outside a limit.
        pending: candidates that are being trained.
        tried: schedules of all trials, whatever became of them.
    """

    observed: list[Observation] = field(default_factory=list)
    pending: list[Candidate] = field(default_factory=list)
    tried: set[Schedule] = field(default_factory=set)

    @property
    def valued(self) -> list[Observation]:
        """Trials that have values."""
        return [each for each in self.observed if each.values is not None]


class TrialReader:
    """Reads the trials of a study; what a trial's params come to is worked out once.

    Args:
        goal: of the search.
        candidates: of its space.
    """

    def __init__(self, goal: Goal, candidates: Candidates) -> None:
        self._goal, self._candidates = goal, candidates
        self._known: dict[tuple[int, int], Candidate] = {}

    def read(self, study: optuna.Study, asking: int) -> Trials:
        """Return all trials but the one that a proposal is asked for.

        Args:
            study: of the sweep.
            asking: number of the trial that a proposal is asked for.
        """
        trials = Trials(observed=self._dense_network())
        for trial in study.get_trials(deepcopy=False):
            if trial.number != asking and trial.state is not TrialState.WAITING:
                self._add(trials, trial)
        return trials

    def _add(self, trials: Trials, trial: FrozenTrial) -> None:
        candidate = self._candidate(trial)
        if candidate.schedule in trials.tried:
            return  # a repeat
        trials.tried.add(candidate.schedule)
        if trial.state is TrialState.RUNNING:
            trials.pending.append(candidate)
        elif (seen := self._observation(candidate, trial)) is not None:
            trials.observed.append(seen)

    def _candidate(self, trial: FrozenTrial) -> Candidate:
        # A trial whose driver was killed while it was proposed has some of its params, and gets the others later.
        key = trial.number, len(trial.params)
        if key not in self._known:
            self._known[key] = self._candidates.of(trial.params)
        return self._known[key]

    def _observation(self, candidate: Candidate, trial: FrozenTrial) -> Observation | None:
        counted = self._goal.limits.violations(candidate.costs)
        violations = {name: value for name, value in trial.constraints.items() if name not in counted}
        values = tuple(trial.values) if trial.state is TrialState.COMPLETE else ()
        has_values = bool(values) and all(map(math.isfinite, values))
        return Observation(candidate, values if has_values else None, violations) if has_values or violations else None

    def _dense_network(self) -> list[Observation]:
        """Return the dense network as a trial that has ended, where it is known: its values cost nothing."""
        if not knows_uncut(self._goal):
            return []
        known = self._goal.uncut_metrics
        dense = self._candidates.at(self._goal.uncut)
        return [Observation(dense, tuple(known[key] for key in self._goal.objectives), {})]
