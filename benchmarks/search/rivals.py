"""Other searchers, driven bare: no ladder, no map, none of this project's own.

Each answers the calls that `search.simulation.virtual_time.simulate` makes: of a searcher, and of rungs where trials
are stopped.
"""

import warnings
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from optuna.samplers import BaseSampler

from pruning.schedule import Schedule
from search.study.budget import Budget, Spent
from search.study.driver_records import stopped_record
from spaces.scripted_sampler import ScriptedSampler, Suggestion
from spaces.space import Space
from trainables.folder import TrialFolder

FINISHED = "FINISHED"


class BareStudy:
    """An Optuna study in memory, asked and told.

    Args:
        space: proposes schedules.
        objectives: metric keys, all maximised.
        budget: what may be spent.
        sampler: as Optuna makes it, with its own defaults.
        first_points: params that are tried first.
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[str],
        budget: Budget,
        sampler: BaseSampler,
        first_points: Sequence[dict[str, Any]] = (),
    ) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space, self._objectives, self._purse = space, tuple(objectives), _Purse(budget, space.longest_trial)
        self._study = optuna.create_study(directions=["maximize"] * len(self._objectives), sampler=sampler)
        self._running: dict[str, optuna.Trial] = {}
        for point in first_points:
            self._study.enqueue_trial(point)

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next trial's config."""
        if not self._purse.take():
            return FINISHED
        trial = self._running[trial_id] = self._study.ask()
        return {"number": trial.number, "schedule": self._space.propose(trial).model_dump_json()}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the values of a trial that finished."""
        self._purse.spend(result["epoch"])
        self._study.tell(self._running.pop(trial_id), [result[key] for key in self._objectives])


class Moasha:
    """Syne Tune's MOASHA: random proposals, and rungs with its default rule (non-dominated sort and epsilon-net).

    Salinas et al., "A multi-objective perspective on jointly tuning hardware and hyperparameters", 2021.

    Args:
        space: proposes schedules, from numbers that Syne Tune draws.
        objectives: metric keys, all maximised.
        budget: what may be spent.
        storage: where the trials' records go.

    Raises:
        ImportError: Syne Tune is not installed (`uv pip install -e '.[bench]'`).
    """

    def __init__(
        self,
        space: Space,
        objectives: Sequence[str],
        budget: Budget,
        storage: Path,
        *,
        grace: int,
        reduction: int,
        seed: int,
    ) -> None:
        moasha = _import_moasha()
        self._space, self._objectives, self._storage = space, tuple(objectives), storage
        self._purse = _Purse(budget, space.longest_trial)
        np.random.seed(seed)  # it draws from numpy's global generator
        self._scheduler = moasha(
            config_space=_config_space(space),
            metrics=list(self._objectives),
            do_minimize=False,
            time_attr="epoch",
            max_t=space.longest_trial,
            grace_period=grace,
            reduction_factor=reduction,
            random_seed=seed,
        )
        self._trials: dict[int, Any] = {}
        self._numbers: dict[str, int] = {}
        self._schedules: dict[int, Schedule] = {}

    def suggest(self, trial_id: str) -> dict[str, Any] | str:
        """The next trial's config."""
        from syne_tune.backend.trial_status import Trial

        if not self._purse.take():
            return FINISHED
        number = self._numbers[trial_id] = len(self._trials)
        config = self._scheduler.suggest().config
        self._trials[number] = Trial(number, config, datetime.now(UTC))
        self._scheduler.on_trial_add(self._trials[number])
        self._schedules[number] = self._space.propose(ScriptedSampler(config))
        return {"number": number, "schedule": self._schedules[number].model_dump_json()}

    def decide(self, number: int, epoch: int, values: Sequence[float]) -> bool:
        """Whether a trial goes on."""
        result = {"epoch": epoch, **dict(zip(self._objectives, values, strict=True))}
        go_on: bool = self._scheduler.on_trial_result(self._trials[number], result) == "CONTINUE"
        return go_on

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """Tell the end of a trial; write the record of one that was stopped, as our searcher does."""
        self._purse.spend(result["epoch"])
        number = self._numbers.pop(trial_id)
        if result["status"] != "stopped":
            self._scheduler.on_trial_complete(self._trials[number], dict(result))
            return
        self._scheduler.on_trial_remove(self._trials[number])
        folder = TrialFolder(self._storage, number)
        folder.acquire("driver")
        folder.finish(stopped_record(number, self._schedules[number], folder.curve(), result))


class _Purse:
    """A budget, and what is spent of it: a trial that runs counts as if it took all its epochs."""

    def __init__(self, budget: Budget, longest_trial: int) -> None:
        self._budget, self._longest = budget, longest_trial
        self._trials, self._running, self._epochs = 0, 0, 0

    def take(self) -> bool:
        """Whether one more trial may start; it has, then."""
        spent = Spent(self._trials, self._epochs + self._running * self._longest)
        if self._budget.used_up(spent, self._longest) is not None:
            return False
        self._trials, self._running = self._trials + 1, self._running + 1
        return True

    def spend(self, epochs: int) -> None:
        """A trial has ended after so many."""
        self._running, self._epochs = self._running - 1, self._epochs + epochs


def has_moasha() -> bool:
    """Whether Syne Tune is installed."""
    try:
        _import_moasha()
    except ImportError:
        return False
    return True


def _import_moasha() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of packages that it imports and we do not use
        from syne_tune.optimizer.schedulers.multiobjective.moasha import MOASHA
    return MOASHA


def _config_space(space: Space) -> dict[str, Any]:
    """Every dimension that any method asks for; a trial whose method has no use for one leaves it."""
    questions: dict[str, Suggestion] = {}
    for method in space.preset.methods:
        asked = ScriptedSampler({"method": method})
        space.propose(asked)
        questions |= {question.name: question for question in asked.suggestions}
    return {name: _domain(question) for name, question in questions.items()}


def _domain(question: Suggestion) -> Any:
    from syne_tune.config_space import choice, loguniform, randint, uniform

    if question.kind == "choice":
        return choice(list(question.choices))
    if question.kind == "int":
        return randint(question.low, question.high)
    return (loguniform if question.log else uniform)(question.low, question.high)
