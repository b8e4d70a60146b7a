"""A study while one driver has it open: proposals, results, and counts that are updated as trials end."""

from collections.abc import Callable, Sequence
from datetime import datetime

import optuna
from optuna.trial import FrozenTrial, TrialState
from optuna.trial import Trial as OptunaTrial

from search.study.budget import Clock, Spent
from search.study.constraints import Exclusions
from search.study.initial_points import enqueue_once
from search.study.journal import Journal, open_study
from search.study.proposals import Proposal, Proposals
from search.study.samplers import make_sampler
from search.study.search_spec import SearchSpec
from search.study.stopping import HypervolumeStagnation
from search.study.tell import EPOCHS, counts, tell_record, trial_of
from tracking.record import TrialRecord


class StudySession:
    """The study of a sweep, from its opening to the end of the driver.

    Counts are updated as trials end: with a thousand trials, counting all of them at every call would cost more than
    the proposals.

    Args:
        spec: the specification of the search.
        ended_meanwhile: returns the record of a trial that a former driver handed out; None if it has not ended.
    """

    def __init__(self, spec: SearchSpec, ended_meanwhile: Callable[[Proposal], TrialRecord | None]) -> None:
        self._spec = spec
        self._journal = Journal(spec.storage / "journal.log")
        study = open_study(self._journal, spec.objectives)
        study.sampler = make_sampler(spec.sampler, spec.seed, spec.goal, len(study.get_trials(deepcopy=False)))
        enqueue_once(study, spec.initial_points)
        self._clock = Clock(spec.storage / "clock.json", spec.now)
        self._stagnation = (
            HypervolumeStagnation(spec.objectives, spec.dense, spec.reference) if spec.budget.stop else None
        )
        self._excluded_in_a_row = Exclusions()
        self._trials, self._epochs, self.failed = 0, 0, 0
        self._count_former(study)
        interrupted = self._tell_former(study, ended_meanwhile)
        self._proposals = Proposals(
            study,
            spec.space,
            spec.costs,
            spec.limits,
            interrupted=interrupted,
            enqueued_only=spec.sampler == "grid",
            seed=spec.seed + 1000 * len(study.get_trials(deepcopy=False)),
        )
        self._journal.sync()

    @property
    def spent(self) -> Spent:
        """What trials that have ended, and the drivers, have spent."""
        return Spent(self._trials, self._epochs, self._clock.hours)

    def used_up(self, running: Sequence[int]) -> str | None:
        """Return, in words, why no further trial may start; None while one may.

        Args:
            running: how many epochs each running trial trains in all.
        """
        spent = self.spent
        with_running = Spent(spent.trials + len(running), spent.epochs + sum(running), spent.hours)
        reason = self._spec.budget.used_up(with_running, self._spec.space.longest_trial)
        stop = self._spec.budget.stop
        if reason is None and self._stagnation is not None and stop is not None:
            reason = self._stagnation.reason(stop)
        return reason

    def propose(self) -> Proposal:
        """Return the next trial to hand out.

        Raises:
            NoProposalError: the space is exhausted.
            AllExcludedError: nothing seems to lie inside the limits.
            OSError: the disk is full.
        """
        try:
            return self._proposals.next()
        finally:
            self._journal.sync()

    def tell(self, trial: OptunaTrial, record: TrialRecord) -> None:
        """Tell the study what became of a trial.

        Args:
            trial: of the study.
            record: that the trial left.

        Raises:
            AllExcludedError: too many trials in a row were excluded by what they measured before they trained.
            OSError: the disk is full; the next driver tells the study.
        """
        self._count(tell_record(trial, record, self._spec.objectives, self._spec.limits))
        self._journal.sync()
        if record.status == "excluded":
            self._excluded_in_a_row.add(self._spec.limits.violations(record.metrics))
        else:
            self._excluded_in_a_row = Exclusions()

    def tick(self, *, force: bool = False) -> None:
        """Save the time that the driver has run, at most every few seconds.

        Args:
            force: whether it is saved however recent the last save is.
        """
        if force:
            self._clock.save()
        else:
            self._clock.tick()

    def _count(self, trial: FrozenTrial) -> None:
        self._trials += counts(trial)
        self._epochs += trial.user_attrs.get(EPOCHS, 0)
        self.failed += trial.state is TrialState.FAIL
        if self._stagnation is not None and trial.state is TrialState.COMPLETE and counts(trial):
            self._stagnation.add(trial.values)

    def _count_former(self, study: optuna.Study) -> None:
        ended = [trial for trial in study.get_trials(deepcopy=False) if trial.state.is_finished()]
        for trial in sorted(ended, key=lambda trial: trial.datetime_complete or datetime.min):
            self._count(trial)

    def _tell_former(
        self, study: optuna.Study, ended_meanwhile: Callable[[Proposal], TrialRecord | None]
    ) -> list[OptunaTrial]:
        """Tell the study of trials that ended without its being told, and return those that have not ended."""
        interrupted = []
        for number in [trial.number for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))]:
            trial = trial_of(study, number)
            schedule = self._spec.space.propose(trial)
            record = ended_meanwhile(Proposal(trial, schedule, self._spec.costs(schedule)))
            if record is None:
                interrupted.append(trial)
            else:
                self.tell(trial, record)
        return interrupted
