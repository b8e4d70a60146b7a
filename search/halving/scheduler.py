"""The scheduler that Ray Tune asks after every epoch whether a trial goes on."""

import math
from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from search.halving.successive_halving import SuccessiveHalving


class SuccessiveHalvingScheduler(FIFOScheduler):
    """A scheduler that stops the trials that `SuccessiveHalving` stops, and starts trials in the order of proposal.

    Tune's own schedulers take one metric and lose their rungs when the driver dies; this one has no state of its own.
    Tune never asks about a trial's last result (`done`), so no finished trial is stopped.

    Args:
        halving: decides; it keeps its decisions on disk.
        objectives: metric keys in a trial's results, in the order that `halving` takes: quality first.
    """

    def __init__(self, halving: SuccessiveHalving, objectives: Sequence[str]) -> None:
        super().__init__()
        self._halving, self._objectives = halving, tuple(objectives)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Return False where Tune is given a metric: it knows one, and this scheduler compares several."""
        return metric is None and mode is None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return STOP or CONTINUE; a trial whose result lacks the epoch or an objective is not judged."""
        if not {"epoch", *self._objectives} <= result.keys():
            return self.CONTINUE
        values = [result[key] for key in self._objectives]
        if not all(math.isfinite(cost) for cost in values[1:]):
            return self.CONTINUE
        return self.CONTINUE if self._halving.decide(trial.config["number"], result["epoch"], values) else self.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the waiting trial with the lowest number, looked up among live trials only: ended ones can be many."""
        waiting = (trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING)
        return min(waiting, key=lambda trial: trial.config["number"], default=None)

    def debug_string(self) -> str:
        """Return the epochs of the rungs, for Tune's log."""
        return f"rungs after {', '.join(map(str, self._halving.rungs))} epochs"
