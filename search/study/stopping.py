"""Whether a sweep's front still grows."""

from collections.abc import Mapping, Sequence

import numpy as np

from search.study.budget import Stall
from tracking.front import reference_of
from tracking.pareto import GrowingFront
from tracking.record import METRICS


class HypervolumeStagnation:
    """The front's hypervolume after each finished trial.

    The room is measured as `tracking.front.build_front` does: from 0 in quality and from the dense network's cost.

    Args:
        objectives: metric keys, the quality first.
        dense: the dense network's metrics; its speedup, mac_ratio and compression are 1.

    Raises:
        ValueError: the dense network's value of a cost is not known.
    """

    def __init__(self, objectives: Sequence[str], dense: Mapping[str, float]) -> None:
        dense = {"speedup": 1.0, "mac_ratio": 1.0, "compression": 1.0, **dense}
        self._signs_M = np.array([METRICS[key].sign for key in objectives], dtype=np.float64)
        self._front = GrowingFront(self._signs_M * [reference_of(key, dense) for key in objectives])
        self._volumes: list[float] = []

    def add(self, values: Sequence[float]) -> None:
        """A trial has finished with these values of the objectives, in their own units."""
        self._volumes.append(self._front.add(self._signs_M * values))

    def stalled(self, stall: Stall) -> str | None:
        """That the front has grown too little, in words; None while it grows, or too few trials have finished."""
        if len(self._volumes) <= stall.trials:
            return None
        before, now = self._volumes[-1 - stall.trials], self._volumes[-1]
        # A front that dominates nothing yet has not stalled: it has not begun.
        if now == 0 or now - before >= stall.growth * before:
            return None
        growth = now / before - 1
        return (
            f"the front's hypervolume has grown by {growth:.2%} in the last {stall.trials} finished trials, "
            f"less than {stall.growth:.2%}"
        )
