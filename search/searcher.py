"""What to try next: Ray Tune asks, an Optuna study on a journal answers.

The journal is the truth about what was tried (docs/architecture.md). A trial's identity is its Optuna number; what it
does and leaves is kept under that number, so that a new driver can go on where a killed one was:

1. trials whose record lies on disk but was never told are told;
2. trials that were handed out and have no record are handed out again: same number, same schedule;
3. then new ones are asked for, until as many as the budget says have finished.
"""

from collections import deque
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import Trial as OptunaTrial
from optuna.trial import TrialState
from ray.tune.search import Searcher

from pruning.schedule import Schedule
from search.journal import open_study
from spaces.params import params_of
from spaces.space import Space
from tracking.provenance import provenance
from tracking.record import TrialRecord
from trainables.folder import TrialFolder


class StudySearcher(Searcher):
    """A Tune searcher over an ask/tell study with several objectives.

    Only values at full fidelity are told: finished → COMPLETE, stopped → PRUNED, failed → FAIL with the message. The
    budget counts COMPLETE and PRUNED.

    Args:
        storage: the sweep's folder, with the journal and `trials/<number>/record.json`.
        space: proposes schedules.
        trials: how many must finish.
        concurrent: how many may run at once.
        max_failures: how many may fail before the sweep gives up.
    """

    def __init__(
        self,
        storage: Path,
        space: Space,
        *,
        objectives: tuple[str, ...],
        trials: int,
        concurrent: int,
        sampler: str,
        seed: int,
        max_failures: int,
    ) -> None:
        # No metric for Tune: it takes one, and the values are read from the records, not from its results.
        super().__init__()
        self._storage, self._space, self._objectives = storage, space, objectives
        self._trials, self._concurrent, self._max_failures = trials, concurrent, max_failures
        self._sampler, self._seed = sampler, seed
        self._running: dict[str, dict[str, Any]] = {}  # Tune's id → the config it was given
        self._interrupted = deque[int]()
        self._opened: optuna.Study | None = None

    @property
    def _study(self) -> optuna.Study:
        # Opened on first use, in whatever process uses it: Tune pickles its searcher, an open study does not travel.
        if self._opened is None:
            self._opened = self._open()
        return self._opened

    def _open(self) -> optuna.Study:
        study = open_study(self._storage / "journal.log", self._objectives, self._sampler, self._seed)
        for proposal in self._space.ladder():
            study.enqueue_trial(proposal, skip_if_exists=True)
        for trial in study.get_trials(states=[TrialState.RUNNING], deepcopy=False):
            record = TrialFolder(self._storage, trial.number).record()
            if record is None:
                self._interrupted.append(trial.number)
            else:
                self._tell(study, record)
        return study

    @property
    def finished(self) -> int:
        """Trials that count towards the budget."""
        return self._count(TrialState.COMPLETE, TrialState.PRUNED)

    @property
    def failed(self) -> int:
        """Trials that failed for good."""
        return self._count(TrialState.FAIL)

    @property
    def gave_up(self) -> bool:
        """Whether more trials failed than the sweep allows."""
        return self.failed > self._max_failures

    # Tune's own annotation leaves FINISHED out.
    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        """A trial's config; None while enough are running; FINISHED when none is wanted any more."""
        if self.gave_up or (not self._running and self.finished >= self._trials):
            return Searcher.FINISHED
        wanted = min(self._concurrent, self._trials - self.finished)
        if len(self._running) >= wanted:
            return None
        trial = self._next_trial()
        config = {"number": trial.number, "schedule": self._space.propose(trial).model_dump_json()}
        self._running[trial_id] = config
        return config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        """Tell the study what became of a trial, from the record that it left."""
        config = self._running.pop(trial_id)
        folder = TrialFolder(self._storage, config["number"])
        if folder.record() is None:
            # Taken over first: a worker that is still on its way must not write a second record.
            folder.acquire("driver")
        record = folder.record()
        if record is None:
            record = _failed_record(config, folder.last_error())
            folder.finish(record)
        self._tell(self._study, record)

    def save(self, checkpoint_path: str) -> None:
        """Nothing: the journal and the records are the state, and a restart reads those."""

    def restore(self, checkpoint_path: str) -> None:
        """Nothing, see `save`."""

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_opened": None, "_interrupted": deque()}

    def _next_trial(self) -> OptunaTrial:
        """An interrupted trial first; its dimensions are on the journal, so the space proposes the same again."""
        study = self._study
        if not self._interrupted:
            return study.ask()
        number = self._interrupted.popleft()
        return OptunaTrial(study, study.get_trials(deepcopy=False)[number]._trial_id)

    def _tell(self, study: optuna.Study, record: TrialRecord) -> None:
        if record.status == "finished":
            study.tell(record.number, [record.metrics[objective] for objective in self._objectives])
            return
        frozen = study.get_trials(deepcopy=False)[record.number]
        OptunaTrial(study, frozen._trial_id).set_user_attr("message", record.message)
        study.tell(record.number, state=TrialState.PRUNED if record.status == "stopped" else TrialState.FAIL)

    def _count(self, *states: TrialState) -> int:
        return len(self._study.get_trials(deepcopy=False, states=states))


def _failed_record(config: dict[str, Any], last_error: str | None) -> TrialRecord:
    schedule = Schedule.model_validate_json(config["schedule"])
    message = last_error or "its worker was lost more often than is tried again"
    return TrialRecord(
        number=config["number"],
        status="failed",
        message=message,
        schedule=schedule,
        params=params_of(schedule),
        provenance=provenance(),
    )
