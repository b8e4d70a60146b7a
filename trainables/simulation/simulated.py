"""Trials that train nothing: a black box gives the result of each epoch of a schedule.

The search that runs them is the real one, so it can be tested and measured over thousands of trials in minutes.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from torch import nn

from pruning.graph.groups import PrunableGroup
from pruning.schedule import Schedule
from spaces.space import Space
from tracking.record import EpochPoint
from trainables.speed.latency_cache import Measure
from trainables.trial_protocol import Outcome


class Blackbox(Protocol):
    """The results of trials without a network. The same schedule always has the same results; picklable."""

    @property
    def groups(self) -> tuple[PrunableGroup, ...]:
        """The groups of the dense network."""

    @property
    def epochs(self) -> int:
        """Epochs of every trial."""

    def costs(self, schedule: Schedule) -> dict[str, float]:
        """Return all costs of the cut network, `speedup` among them, under the keys of `tracking.record`."""

    def curve(self, schedule: Schedule) -> tuple[EpochPoint, ...]:
        """Return all epochs, in order; their `seconds` are virtual."""

    def expected_map(self, schedule: Schedule) -> float:
        """Return the mAP after the last epoch as the mean over trials of this schedule would have it: without noise."""

    def space(self, allocation: str = ...) -> Space:
        """Return the space that a sweep over this network would have, with its sensitivity as measured by a sweep."""


class SimulatedTrial:
    """A trial that `trainables.ray_trainable.RayTrial` can run, without a network.

    Args:
        schedule: of the trial.
        blackbox: gives its results.
        before_epoch: called with the number of each epoch (from 1) before it begins.
        epoch_seconds: wall time of an epoch.
    """

    def __init__(
        self,
        schedule: Schedule,
        blackbox: Blackbox,
        *,
        before_epoch: Callable[[int], None] = lambda epoch: None,
        epoch_seconds: float = 0.0,
    ) -> None:
        self.schedule = schedule
        self.curve: list[EpochPoint] = []
        self._blackbox, self._before_epoch, self._epoch_seconds = blackbox, before_epoch, epoch_seconds
        self._whole = blackbox.curve(schedule)

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.curve) == len(self._whole)

    def step(self) -> EpochPoint:
        """Wait for `epoch_seconds`, and return the next epoch."""
        self._before_epoch(len(self.curve) + 1)
        time.sleep(self._epoch_seconds)
        self.curve.append(self._whole[len(self.curve)])
        return self.curve[-1]

    @property
    def quality(self) -> dict[str, float]:
        """The mAP of the last epoch; empty before the first."""
        return {"map": self.curve[-1].map} if self.curve else {}

    def costs(self, measure: Measure | None) -> dict[str, float]:
        """Return all costs; nothing is measured, because the black box knows the speed."""
        return self._blackbox.costs(self.schedule)

    def finish(self, measure: Measure | None) -> Outcome:
        """Return all metrics; there is no network."""
        return Outcome(nn.Identity(), {}, (), simulated_metrics(self.curve, self.costs(measure)))

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on."""
        return {"epoch": len(self.curve)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state of the same schedule."""
        self.curve = list(self._whole[: state["epoch"]])


def simulated_metrics(curve: Sequence[EpochPoint], costs: dict[str, float]) -> dict[str, float]:
    """Return what a trial with this curve reports: all costs, its time and, after the first epoch, its quality."""
    quality = {"map": curve[-1].map} if curve else {}
    return {**quality, **costs, "seconds": sum(point.seconds for point in curve)}
