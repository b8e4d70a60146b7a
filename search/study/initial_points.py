"""What a new study tries first, and in which order."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import optuna

from pruning.schedule import Schedule
from spaces.scripted_sampler import ScriptedSampler
from spaces.space import Space
from tracking.farthest_first import farthest_first, middle

Point = dict[str, Any]

_ENQUEUED = "enqueued"


def enqueue_once(study: optuna.Study, points: Callable[[], Iterable[Point]]) -> None:
    """Put points before everything that the sampler will propose, if that was not done yet.

    A driver that was killed between two of them has the rest enqueued by the next.
    """
    if _ENQUEUED in study.user_attrs:
        return
    for point in points():
        study.enqueue_trial(point, skip_if_exists=True)
    study.set_user_attr(_ENQUEUED, True)


def spread_out(points: Iterable[Point], space: Space, costs: Callable[[Schedule], dict[str, float]]) -> list[Point]:
    """Order points so that the first few lie far apart in cost already, wherever the sweep is looked at.

    The one of middling cost comes first, then always the one that lies farthest from all before it, by the logarithms
    of mac_ratio and compression; of equally far ones the earlier. So of points that cost the same, as a ladder's rung
    with several methods, one comes early and the others when every cost has been tried. Of points that are the same
    schedule the first is kept.
    """
    by_schedule: dict[str, tuple[Point, Schedule]] = {}
    for point in points:
        scripted = ScriptedSampler(point)
        schedule = space.propose(scripted)
        by_schedule.setdefault(schedule.identity, (scripted.params, schedule))
    if not by_schedule:
        return []
    ordered = [point for point, _ in by_schedule.values()]
    places_N2 = np.array([_place(costs(schedule)) for _, schedule in by_schedule.values()])
    return [ordered[index] for index in farthest_first(places_N2, [middle(places_N2)], len(ordered))]


def _place(costs: dict[str, float]) -> tuple[float, float]:
    return math.log(costs["mac_ratio"]), math.log(costs["compression"])
