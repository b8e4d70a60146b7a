"""What to try next: Ray Tune asks, an Optuna study on a journal answers.

The journal is the truth about what was tried (docs/architecture.md). A trial's identity is its Optuna number; what it
does and leaves is kept under that number, so that a new driver can go on where a killed one was:

1. trials whose record lies on disk but was never told are told, and those that the scheduler stopped get their record;
2. trials that were handed out and have no record are handed out again: same number, same schedule;
3. then new ones are asked for, as long as the budget lasts.
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

    Only values at full fidelity are told: finished → COMPLETE, stopped → PRUNED, failed → FAIL with the message. A
    proposal whose cost lies outside the limits is never handed out, an exact repeat neither (search.study.proposals).

    Args:
        spec: of the search.
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
    def finished(self) -> int:
        """Trials that count towards the budget."""
        return self._session.spent.trials

    @property
    def failed(self) -> int:
        """Trials that failed for good."""
        return self._session.failed

    @property
    def hours(self) -> float:
        """That the sweep's drivers have run, this one until now."""
        return self._session.spent.hours

    @property
    def gave_up(self) -> bool:
        """Whether more trials failed than the sweep allows, or nothing lies inside its limits."""
        return self._all_excluded is not None or self.failed > self._spec.max_failures

    # Tune's own annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """A trial's config; None while enough are running; FINISHED when none is wanted any more, see `reason`.

        Raises:
            OSError: the journal cannot be written. The same sweep goes on when that is mended.
        """
        if self._trouble is not None:
            raise self._trouble
        self._session.tick()
        if (over := self._over()) is not None:
            # What runs may yet fail, or grow the front: then another one is wanted.
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
        One that was neither (its driver is being ended) stays as it is, and the next driver hands it out again.
        """
        proposal = self._running.pop(trial_id)
        try:
            record = self._ending(proposal, result or {}, error=error)
            if record is not None:
                self._session.tell(proposal.trial, record)
        except AllExcludedError as excluded:
            self._all_excluded = str(excluded)
        except OSError as trouble:
            # Tune would write this into its log, and go on.
            self._trouble = trouble

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal and the records are the state, and a restart reads those."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None, "_running": {}}

    def _over(self) -> str | None:
        """Why no trial is wanted beyond those that run."""
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
        # Taken over first: a worker that is still on its way must not write a second record.
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
        """Of a trial that a former driver handed out: its record, or the one that this driver was to write."""
        curve = TrialFolder(self._spec.storage, proposal.number).curve()
        result = proposal.costs | ({"map": curve[-1].map} if curve else {})
        return self._ending(proposal, result, error=False)
