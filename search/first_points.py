"""What a new study tries first, and in which order."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import optuna

from pruning.schedule import Schedule
from spaces.answers import Answers
from spaces.space import Space

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
        answers = Answers(point)
        schedule = space.propose(answers)
        by_schedule.setdefault(schedule.identity, (answers.params, schedule))
    if not by_schedule:
        return []
    ordered = [point for point, _ in by_schedule.values()]
    places_N2 = np.array([_place(costs(schedule)) for _, schedule in by_schedule.values()])
    return [ordered[index] for index in farthest_first(places_N2)]


def _place(costs: dict[str, float]) -> tuple[float, float]:
    return math.log(costs["mac_ratio"]), math.log(costs["compression"])


def farthest_first(places_NK: np.ndarray) -> list[int]:
    """Order places: the one nearest to the middle, then always the one farthest from all before it.

    Args:
        places_NK: N places (at least 1) in K dimensions.

    Returns:
        Indices of all of them; of equally far ones the lower first.
    """
    middle_K = (places_NK.min(axis=0) + places_NK.max(axis=0)) / 2
    order = [int(_distances(places_NK, middle_K).argmin())]
    nearest_N = _distances(places_NK, places_NK[order[0]])
    while len(order) < len(places_NK):
        # What has been taken lies at 0, as its twins in cost do, which are still to come.
        nearest_N[order] = -1.0
        order.append(int(nearest_N.argmax()))
        nearest_N = np.minimum(nearest_N, _distances(places_NK, places_NK[order[-1]]))
    return order


def _distances(places_NK: np.ndarray, place_K: np.ndarray) -> np.ndarray:
    distances_N: np.ndarray = np.linalg.norm(places_NK - place_K, axis=1)
    return distances_N
