"""The points that a new study tries first, and their order."""

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
    """Enqueue points before everything that the sampler will propose, unless that was done before.

    If a driver is killed while it enqueues, the next driver enqueues the rest.

    Args:
        study: of the sweep.
        points: called only where they are needed: making them takes time.
    """
    if _ENQUEUED in study.user_attrs:
        return
    for point in points():
        study.enqueue_trial(point, skip_if_exists=True)
    study.set_user_attr(_ENQUEUED, True)


def spread_out(points: Iterable[Point], space: Space, costs: Callable[[Schedule], dict[str, float]]) -> list[Point]:
    """Order points so that the costs of any first few of them lie far apart.

    The point of middle cost comes first, then always the one that is farthest from all before it, measured by the
    logarithms of mac_ratio and compression; of equally far ones the earlier. So of points that cost the same, such as
    one rung of the ladder with several methods, one comes early and the others after every cost has been tried.

    Args:
        points: params; of several that give the same schedule the first is kept.
        space: that turns params into schedules.
        costs: the counted costs of a schedule.

    Returns:
        The params, completed by the dimensions that they left out, in order.
    """
    by_schedule: dict[str, tuple[Point, Schedule]] = {}
    for point in points:
        scripted = ScriptedSampler(point)
        schedule = space.propose(scripted)
        by_schedule.setdefault(schedule.identity, (scripted.params, schedule))
    if not by_schedule:
        return []
    ordered = [point for point, _ in by_schedule.values()]
    log_costs_N2 = np.array([_log_costs(costs(schedule)) for _, schedule in by_schedule.values()])
    return [ordered[index] for index in farthest_first(log_costs_N2, [middle(log_costs_N2)], len(ordered))]


def _log_costs(costs: dict[str, float]) -> tuple[float, float]:
    return math.log(costs["mac_ratio"]), math.log(costs["compression"])
