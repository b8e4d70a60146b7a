"""What `trainables.ray_trainable.RayTrial` carries out: a `trainables.trial.Trial`, or a simulated one."""

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
    """What a finished trial gives: the cut network, the plan that cut it, asked against achieved, and its metrics.

    `network` is `nn.Identity()` where nothing was really trained. `packed` is the file of its coded weights (see
    `pruning.coding.packing`), None when they are plain float32.
    """

    network: nn.Module
    plan: Plan
    ledger: tuple[LedgerRow, ...]
    metrics: dict[str, float]
    packed: bytes | None = None


class Runnable(Protocol):
    """One trial, epoch by epoch: `costs` at any time, `step` until it is `finished`, then `finish`.

    Between two steps all of it is in `state_dict`: whoever makes the same trial anew and loads that goes on from there.
    All metrics are under the keys of `tracking.record.METRICS`.
    """

    @property
    def curve(self) -> Sequence[EpochPoint]:
        """The epochs so far."""

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""

    @property
    def quality(self) -> dict[str, float]:
        """The figures of the network as it was after the last step; empty when this process has done none."""

    def costs(self, measure: Measure | None) -> dict[str, float]:
        """What the finished network will cost, known before the first step; without its speed when `measure` is None.

        The speed that was measured here is the one that `finish` reports.
        """

    def step(self) -> EpochPoint:
        """One epoch."""

    def finish(self, measure: Measure | None) -> Outcome:
        """End the trial: all its metrics, and what is delivered."""

    def state_dict(self) -> dict[str, Any]:
        """Everything that the next step depends on; loadable with `torch.load(weights_only=True)`."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a saved state."""
