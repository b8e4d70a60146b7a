"""Early stopping of a whole search: whether its front still grows."""

from collections.abc import Mapping, Sequence

import numpy as np

from search.study.budget import StagnationSettings
from tracking.pareto import GrowingFront
from tracking.record import METRICS
from tracking.reference import Given, reference_point


class HypervolumeStagnation:
    """The hypervolume of the front after each finished trial, and whether it has stopped growing.

    It is measured from the same reference as in `tracking.front.build_front`.

    Args:
        objectives: metric keys, the quality first.
        dense: the dense network's metrics; its speedup, mac_ratio and compression are 1.
        reference: as the sweep file gives it, see `tracking.reference`.

    Raises:
        ValueError: the dense network's value of a cost is not known.
    """

    def __init__(self, objectives: Sequence[str], dense: Mapping[str, float], reference: Given | None = None) -> None:
        self._signs_M = np.array([METRICS[key].sign for key in objectives], dtype=np.float64)
        self._front = GrowingFront(self._signs_M * reference_point(objectives, dense, reference))
        self._volumes: list[float] = []

    def add(self, values: Sequence[float]) -> None:
        """Add a finished trial.

        Args:
            values: its objectives, in their own units.
        """
        self._volumes.append(self._front.add(self._signs_M * values))

    def reason(self, settings: StagnationSettings) -> str | None:
        """Return, in words, that the front has grown too little; None while it grows or too few trials have finished.

        Args:
            settings: by how much, and over how many trials, a front has to grow.
        """
        if len(self._volumes) <= settings.trials:
            return None
        before, now = self._volumes[-1 - settings.trials], self._volumes[-1]
        # A front that dominates nothing yet is not stagnating: it has not begun to grow.
        if now == 0 or now - before >= settings.growth * before:
            return None
        growth = now / before - 1
        return (
            f"the front's hypervolume has grown by {growth:.2%} in the last {settings.trials} finished trials, "
            f"less than {settings.growth:.2%}"
        )
