"""The features of a proposal that the model sees: what the network is after the cut, not how it was asked for.

Kept shares come from the schedule, so two proposals that cut alike are one point, whichever level, tilt and offsets
came to it. What a proposal does not have (the decay of a method without one, the bits of weights that are not coded)
stands in the middle of its range.

Letters: F features.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pruning.methods.registry import all_hyperparameters, get_method
from pruning.schedule import Schedule
from spaces.dimensions import Dimension, dimensions
from spaces.params import BITS, RATIO, params_of
from spaces.space import BITS_OFFSET, OFFSET, Space

Floats = NDArray[np.float64]

# Where `params_of` has the value of a dimension that is no hyperparameter.
_KEYS = {
    "epochs": "epochs",
    "learning_rate": "learning_rate",
    "share": "sparsity.share",
    "threshold": "sparsity.threshold",
    "bits": "quantization.bits",
}
# These end as kept shares and bits of groups, which are features themselves.
_ENDS_IN_GROUPS = ("method", "allocation", "level", "tilt")
_NEUTRAL = 0.5
# Counted costs that sum up what went: nearly the whole trend of the quality lies along them.
_SUMS = ("mac_ratio", "compression")


@dataclass(frozen=True)
class Features:
    """The features of proposals of one space, each about as wide as [0, 1].

    Attributes:
        space: of the sweep.
    """

    space: Space

    @property
    def count(self) -> int:
        """Number of features."""
        return len(self.names)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the features, in order; that of a method is the method's."""
        methods = self.space.preset.methods
        return (
            *_SUMS,
            *(f"{RATIO}{group.id}" for group in self.space.free_groups),
            *(f"{BITS}{name}" for name in self._coded_groups),
            *(methods if len(methods) > 1 else ()),
            *self._numbers,
        )

    @property
    def kept_shares(self) -> tuple[int, ...]:
        """The places of the kept shares of groups among the features."""
        return tuple(place for place, name in enumerate(self.names) if name.startswith(RATIO))

    def of(self, schedule: Schedule, costs: Mapping[str, float]) -> Floats:
        """Return the features of a schedule.

        Args:
            schedule: of the space.
            costs: its counted costs.
        """
        params = params_of(schedule)
        own = get_method(schedule.method).hyperparameters()
        values = [1 / math.sqrt(costs.get(key, 1.0)) for key in _SUMS]
        values += [1 - float(params.get(f"{RATIO}{group.id}", 0.0)) for group in self.space.free_groups]
        values += [self._bits(params.get(f"{BITS}{name}")) for name in self._coded_groups]
        values += [float(name == schedule.method) for name in self.names if name in self.space.preset.methods]
        for name, dimension in self._numbers.items():
            has = name not in all_hyperparameters() or name in own
            values.append(_share(dimension, params.get(_KEYS.get(name, name)) if has else None))
        return np.array(values, dtype=np.float64)

    @cached_property
    def _numbers(self) -> dict[str, Dimension]:
        """The dimensions that are features themselves, by name."""
        ends = (OFFSET, RATIO, BITS_OFFSET)
        return {
            each.name: each
            for each in dimensions(self.space)
            if each.name not in _ENDS_IN_GROUPS and not each.name.startswith(ends)
        }

    @cached_property
    def _coded_groups(self) -> tuple[str, ...]:
        """The groups that have bits of their own."""
        bounds = self.space.preset.quantization
        return tuple(group.id for group in self.space.groups) if bounds and bounds.bits_offset else ()

    def _bits(self, bits: Any) -> float:
        bounds = self.space.preset.quantization
        if bits is None or bounds is None:
            return _NEUTRAL
        low, high = bounds.bits[0] - bounds.bits_offset, bounds.bits[1] + bounds.bits_offset
        return float((bits - low) / (high - low))


def _share(dimension: Dimension, value: Any) -> float:
    """Return where in its range a value lies, from 0 to 1; the middle where there is none."""
    low, high = dimension.low, dimension.high
    if value is None or low is None or high is None or low == high:
        return _NEUTRAL
    if dimension.log:
        return math.log(value / low) / math.log(high / low)
    return (float(value) - low) / (high - low)
