"""Ray Tune asks after every epoch whether a trial goes on; the rungs answer."""

import math
from collections.abc import Sequence
from typing import Any

from ray.tune.experiment import Trial
from ray.tune.schedulers import FIFOScheduler

from search.halving.successive_halving import SuccessiveHalving


class SuccessiveHalvingScheduler(FIFOScheduler):
    """Stops trials that `SuccessiveHalving` does not let go on; starts them in the order they were proposed in.

    Tune's own schedulers take one metric and forget their rungs with the driver; this one has no state of its own.
    Tune never asks about a trial's last result (`done`): what has finished is not stopped.

    Args:
        rungs: which keep themselves on disk.
        objectives: their keys in a trial's results, in the order that `rungs` takes: quality first.
    """

    def __init__(self, rungs: SuccessiveHalving, objectives: Sequence[str]) -> None:
        super().__init__()
        self._rungs, self._objectives = rungs, tuple(objectives)

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        """Refuse a metric of Tune's: it has one, and here are several."""
        return metric is None and mode is None

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """STOP or CONTINUE; a result that lacks its epoch or an objective goes on, unjudged."""
        if not {"epoch", *self._objectives} <= result.keys():
            return self.CONTINUE
        values = [result[key] for key in self._objectives]
        if not all(math.isfinite(cost) for cost in values[1:]):
            return self.CONTINUE
        return self.CONTINUE if self._rungs.decide(trial.config["number"], result["epoch"], values) else self.STOP

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """The first trial that waits, looked for among those that live: at a thousand trials the ended are many."""
        waiting = (trial for trial in tune_controller.get_live_trials() if trial.status == Trial.PENDING)
        return min(waiting, key=lambda trial: trial.config["number"], default=None)

    def debug_string(self) -> str:
        """Where the rungs stand."""
        return f"rungs after {', '.join(map(str, self._rungs.heights))} epochs"
