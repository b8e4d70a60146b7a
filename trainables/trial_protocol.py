"""The interface that `trainables.ray_trainable.RayTrial` runs: a `trainables.trial.Trial`, or a simulated trial."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from torch import nn

from pruning.ledger import LedgerRow
from pruning.surgery import Plan
from tracking.record import EpochPoint
from trainables.speed.latency_cache import Measure


@dataclass(frozen=True)
class Outcome:
    """The result of a finished trial.

    Attributes:
        network: the cut network; `nn.Identity()` where a simulated trial trained nothing.
        plan: group id → kept channels.
        ledger: asked and achieved widths, a row a group.
        metrics: under the keys of `tracking.record.METRICS`.
        packed: the packed file of quantized weights (see `pruning.coding.packing`); None for plain float32.
    """

    network: nn.Module
    plan: Plan
    ledger: tuple[LedgerRow, ...]
    metrics: dict[str, float]
    packed: bytes | None = None


class TrialProtocol(Protocol):
    """One trial, epoch by epoch: `costs` at any time, `step` until it is `finished`, then `finish`.

    Between two steps `state_dict` holds its whole state: the same trial created anew continues after loading it.
    All metrics are under the keys of `tracking.record.METRICS`.
    """

    @property
    def curve(self) -> Sequence[EpochPoint]:
        """The epochs that are done."""

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""

    @property
    def quality(self) -> dict[str, float]:
        """The metrics of the network after the last step; empty when this process has done none."""

    def costs(self, measure: Measure | None) -> dict[str, float]:
        """Return what the finished network will cost, before the first step; without its speed when `measure` is None.

        `finish` reports the speed that was measured here.
        """

    def step(self) -> EpochPoint:
        """Train one epoch and return it."""

    def finish(self, measure: Measure | None) -> Outcome:
        """End the trial; return all its metrics and what is delivered."""

    def state_dict(self) -> dict[str, Any]:
        """Return everything that the next step depends on; loadable with `torch.load(weights_only=True)`."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
