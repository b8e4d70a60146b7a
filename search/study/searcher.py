"""The searcher that Ray Tune asks what to try next, answered by an Optuna study on a journal.

The journal is the truth about what was tried (docs/architecture.md). A trial's identity is its Optuna number, and all
files of a trial are kept under that number, so that a new driver goes on where a killed one was:

1. trials that ended without the study being told are told now, and those that the scheduler stopped get their record;
2. trials that were handed out and have no record are handed out again: same number, same schedule;
3. then the study is asked for new ones, as long as the budget lasts.
"""

from collections.abc import Mapping
from typing import Any

from ray.tune.search import Searcher

from search.study.constraints import AllExcludedError
from search.study.driver_records import failed_record, stopped_record
from search.study.proposals import NoProposalError, Proposal
from search.study.search_spec import SearchSpec
from search.study.session import StudySession
from tracking.record import TrialRecord
from trainables.folder import TrialFolder


class StudySearcher(Searcher):
    """A Tune searcher over an ask/tell study with several objectives.

    The study is told the values of finished trials only: finished → COMPLETE, stopped → PRUNED, failed → FAIL with the
    message. Neither a proposal whose cost lies outside the limits nor an exact repeat is handed out
    (search.study.proposals).

    Args:
        spec: the specification of the search.
    """

    def __init__(self, spec: SearchSpec) -> None:
        # No metric for Tune: it takes one, and the values are read from the records, not from its results.
        super().__init__()
        self._spec = spec
        self._running: dict[str, Proposal] = {}  # by Tune's id
        self._opened: StudySession | None = None
        self._trouble: OSError | None = None
        self._all_excluded: str | None = None
        self.reason: str | None = None
        """Why the search is over, in words; None while it is not."""

    @property
    def _session(self) -> StudySession:
        # Opened on first use, in whatever process uses it: Tune pickles its searcher, an open study does not travel.
        if self._opened is None:
            self._opened = StudySession(self._spec, self._ended_meanwhile)
        return self._opened

    @property
    def spec(self) -> SearchSpec:
        """The specification of the search."""
        return self._spec

    @property
    def finished(self) -> int:
        """Number of trials that count towards the budget."""
        return self._session.spent.trials

    @property
    def failed(self) -> int:
        """Number of trials that failed for good."""
        return self._session.failed

    @property
    def hours(self) -> float:
        """Hours that drivers of this sweep have run so far, including the current one."""
        return self._session.spent.hours

    @property
    def gave_up(self) -> bool:
        """Whether more trials failed than the sweep allows, or nothing lies inside its limits."""
        return self._all_excluded is not None or self.failed > self._spec.max_failures

    # Tune's own annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """Return a trial's config; None while enough trials run; FINISHED when the search is over, see `reason`.

        Args:
            trial_id: Tune's, by which it later says what became of the trial.

        Raises:
            OSError: the journal cannot be written; the same sweep goes on once it can.
        """
        if self._trouble is not None:
            raise self._trouble
        self._session.tick()
        if (over := self._over()) is not None:
            # A running trial may yet fail, or make the front grow: then another one is needed.
            return self._end(over) if self.gave_up or not self._running else None
        running = [proposal.schedule.total_epochs for proposal in self._running.values()]
        if len(running) >= self._spec.concurrent or self._session.used_up(running) is not None:
            return None
        try:
            proposal = self._session.propose()
        except NoProposalError as none_left:
            return self._end(str(none_left))
        except AllExcludedError as excluded:
            self._all_excluded = str(excluded)
            return self._end(self._all_excluded)
        self._running[trial_id] = proposal
        return proposal.config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study what became of a trial, from the record that it left.

        A trial without a record was stopped by the scheduler, or its worker was lost: then the record is written here.
        One that was neither (Tune is shutting down) stays as it is, and the next driver hands it out again.

        Args:
            trial_id: Tune's.
            result: what the trial reported last.
            error: whether its worker was lost.
        """
        proposal = self._running.pop(trial_id)
        try:
            record = self._ending(proposal, result or {}, error=error)
            if record is not None:
                self._session.tell(proposal.trial, record)
        except AllExcludedError as excluded:
            self._all_excluded = str(excluded)
        except OSError as trouble:
            # Raised by the next `suggest`: from here, Tune would only write it into its log.
            self._trouble = trouble

    def save(self, checkpoint_path: str) -> None:
        """Do nothing: the journal and the records are the state, and a restart reads those."""

    def restore(self, checkpoint_path: str) -> None:
        """Do nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None, "_running": {}}

    def _over(self) -> str | None:
        """Return why no trial is started beyond those that run; None while one may be."""
        if self._all_excluded is not None:
            return self._all_excluded
        if self.gave_up:
            return f"{self.failed} trials failed, more than max_failures = {self._spec.max_failures}"
        return self._session.used_up([])

    def _end(self, reason: str) -> str:
        self.reason = reason
        self._session.tick(force=True)
        return Searcher.FINISHED

    def _ending(self, proposal: Proposal, result: Mapping[str, Any], *, error: bool) -> TrialRecord | None:
        folder = TrialFolder(self._spec.storage, proposal.number)
        if (record := folder.record()) is not None:
            return record
        stopped = self._spec.was_stopped(proposal.number)
        if not (error or stopped):
            return None
        # The lease is taken first: a worker that is still alive must not write a second record.
        folder.acquire("driver")
        if (record := folder.record()) is not None:
            return record
        if stopped:
            record = stopped_record(proposal.number, proposal.schedule, folder.curve(), result)
        else:
            record = failed_record(proposal.number, proposal.schedule, folder.last_error())
        folder.finish(record)
        return record

    def _ended_meanwhile(self, proposal: Proposal) -> TrialRecord | None:
        """Return the record of a trial that a former driver handed out, written now if the scheduler had stopped it."""
        curve = TrialFolder(self._spec.storage, proposal.number).curve()
        result = proposal.costs | ({"map": curve[-1].map} if curve else {})
        return self._ending(proposal, result, error=False)
