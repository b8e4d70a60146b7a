"""Trials that train nothing: a black box says what each epoch of a schedule would have given.

The search above them is the real one, so it is tested, and measured, over thousands of trials in minutes.
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
    """A network's answers without the network. Pure: the same schedule gives the same answers; picklable."""

    @property
    def groups(self) -> tuple[PrunableGroup, ...]:
        """Of the dense network."""

    @property
    def epochs(self) -> int:
        """Of every trial."""

    def costs(self, schedule: Schedule) -> dict[str, float]:
        """All costs of the cut network, under the keys of `tracking.record`, `speedup` among them."""

    def curve(self, schedule: Schedule) -> tuple[EpochPoint, ...]:
        """All epochs, in order; their `seconds` are virtual."""

    def space(self, allocation: str = ...) -> Space:
        """The space that a sweep over this network would have, its sensitivity measured as a sweep would."""


class SimulatedTrial:
    """What `trainables.trial.Trial` is to its Ray wrapper, without a network.

    Args:
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
        """One epoch, which lasts as long as it was told to."""
        self._before_epoch(len(self.curve) + 1)
        time.sleep(self._epoch_seconds)
        self.curve.append(self._whole[len(self.curve)])
        return self.curve[-1]

    @property
    def quality(self) -> dict[str, float]:
        """The last epoch's; empty before the first."""
        return {"map": self.curve[-1].map} if self.curve else {}

    def costs(self, measure: Measure | None) -> dict[str, float]:
        """All costs; nothing is measured, the black box knows the speed."""
        return self._blackbox.costs(self.schedule)

    def finish(self, measure: Measure | None) -> Outcome:
        """All metrics; there is no network."""
        return Outcome(nn.Identity(), {}, (), simulated_metrics(self.curve, self.costs(measure)))

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        return {"epoch": len(self.curve)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state of the same schedule."""
        self.curve = list(self._whole[: state["epoch"]])


def simulated_metrics(curve: Sequence[EpochPoint], costs: dict[str, float]) -> dict[str, float]:
    """What a trial with this curve reports: its quality now, all costs, and the time that it took.

    Before the first epoch there is no quality.
    """
    quality = {"map": curve[-1].map} if curve else {}
    return {**quality, **costs, "seconds": sum(point.seconds for point in curve)}
