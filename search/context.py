"""What one sweep works with, as two values: its search problem, and, once that is measured, its context."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pruning.predicted_cost import CostModel
from search.config import SweepConfig
from search.study.initial_points import Point
from spaces.space import Space
from tracking.sensitivity import SensitivityMap


@dataclass(frozen=True)
class SearchProblem:
    """What a sweep may try, and what each try costs.

    Attributes:
        space: the schedules, over the groups of the dense network.
        costs: the counted costs of every schedule; exact, also before the dense network is trained.
    """

    space: Space
    costs: CostModel


@dataclass(frozen=True)
class SweepContext:
    """What the search of one sweep needs, complete once its dense network is scored and its map measured.

    Attributes:
        config: of the sweep.
        storage: the sweep's folder, or another one for a rehearsal.
        problem: the search problem, with what the map and the trained weights say about its space.
        slots: how many trials run at once.
        sensitivity: the map; None where the sweep measures none.
        warm: params from the front of a former sweep, tried first.
        dense: the dense network's metrics; empty in a rehearsal.
    """

    config: SweepConfig
    storage: Path
    problem: SearchProblem
    slots: int
    sensitivity: SensitivityMap | None = None
    warm: tuple[Point, ...] = ()
    dense: Mapping[str, float] = field(default_factory=dict)
