"""The goal of a search, as far as a proposal depends on it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from pruning.schedule import Schedule
from spaces.space import Space
from tracking.limits import Limits
from tracking.reference import DENSE_RATIOS, Given


@dataclass(frozen=True)
class Goal:
    """What a search is after.

    Attributes:
        space: of the sweep.
        costs: the counted costs of a schedule.
        objectives: metric keys, the quality first.
        limits: on costs.
        dense: the dense network's metrics, as far as they are known.
        reference: that the hypervolume is measured from, as the sweep file gives it.
    """

    space: Space
    costs: Callable[[Schedule], dict[str, float]]
    objectives: tuple[str, ...]
    limits: Limits = field(default_factory=Limits)
    dense: Mapping[str, float] = field(default_factory=dict)
    reference: Given = field(default_factory=dict)

    @property
    def uncut(self) -> Schedule:
        """A schedule that removes nothing, and codes nothing; the method is one that has no hyperparameters."""
        return Schedule(
            method="l1",
            ratios={group.id: 0.0 for group in self.space.free_groups},
            epochs=max(self.space.epochs, 1),
            learning_rate=self.space.learning_rate,
            round_to=self.space.preset.round_to,
            open_descriptor=self.space.preset.descriptor == "open",
        )

    @cached_property
    def uncut_metrics(self) -> dict[str, float]:
        """What is known of the network that nothing is removed from: its costs, and its quality if it was scored."""
        return {**DENSE_RATIOS, **self.uncut_counted, **self.dense}

    @cached_property
    def uncut_counted(self) -> dict[str, float]:
        """The counted costs of the network that nothing is removed from."""
        return self.costs(self.uncut)


def knows_uncut(goal: Goal) -> bool:
    """Return whether all values of the uncut network are known, so that no trial need be spent on it.

    Where weights are quantized every trial differs from the dense network.
    """
    return goal.space.preset.quantization is None and all(key in goal.uncut_metrics for key in goal.objectives)
