"""Choosing one trial of a finished sweep under limits, and saying why."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite

from search.errors import FailedError
from tracking.front import Front, FrontPoint
from tracking.record import METRICS

LOSS_TAKEN = 0.05
"""Of the dense network's quality, where nobody says how much may be lost."""


@dataclass(frozen=True)
class Limit:
    """One bound on one metric: at least `value` where higher is better, else at most.

    `option` is how it is asked for, in multiples of `unit`; `value` is in the metric's own unit.
    """

    option: str
    metric: str
    value: float
    unit: float = 1.0

    def __post_init__(self) -> None:
        if not isfinite(self.value):
            raise ValueError(f"{self.option} is {self.value}, must be a finite number")

    @property
    def is_floor(self) -> bool:
        """Whether the value is a lower bound."""
        return METRICS[self.metric].better == "higher"

    def holds(self, point: FrontPoint) -> bool:
        """Whether a trial keeps within it."""
        value = point.metrics[self.metric]
        return value >= self.value if self.is_floor else value <= self.value

    def loosening(self, point: FrontPoint) -> float:
        """By what share the limit would have to move to let this trial in."""
        return abs(point.metrics[self.metric] - self.value) / max(abs(self.value), 1e-12)

    def admitting(self, point: FrontPoint) -> str:
        """The option's value that just lets this trial in, rounded to the side that still does."""
        digits = point.metrics[self.metric] / self.unit * 1000
        return f"{(floor(digits) if self.is_floor else ceil(digits)) / 1000:g}"

    def __str__(self) -> str:
        sign = "≥" if self.is_floor else "≤"
        return f"{METRICS[self.metric].label} {sign} {METRICS[self.metric].show(self.value)}"


class NothingFitsError(FailedError):
    """No trial keeps within all limits; the message says which limit is the one to loosen, and how far."""


@dataclass(frozen=True)
class Choice:
    """The trial chosen, the next best within the limits (None when it is alone), and the reason in one sentence."""

    point: FrontPoint
    runner_up: FrontPoint | None
    why: str


def pick(front: Front, limits: Sequence[Limit]) -> Choice:
    """The best finished trial within the limits.

    Best is the objective that is not limited: when a quality is (or when nothing is: then the sweep's own must be
    within 0.05 of the dense network's), the fastest, or the best by the cost that the sweep was after instead; else
    the most accurate.
    Qualities are those of the validation queries: choosing by the test queries would spoil them as a report.

    Raises:
        NothingFitsError: no trial is within all limits.
        ValueError: the front has no finished trial.
    """
    if not front.points:
        raise ValueError(f"sweep {front.sweep!r} has no finished trial to pick from")
    limits = list(limits) or [Limit(option_of(front), front.quality, front.dense[front.quality] - LOSS_TAKEN)]
    fitting = [point for point in front.points if all(limit.holds(point) for limit in limits)]
    if not fitting:
        raise NothingFitsError(_advice(front, limits))
    cost = "speedup" if "speedup" in front.objectives else front.cost
    is_quality_limited = any(METRICS[limit.metric].is_quality for limit in limits)
    goal, other = (cost, front.quality) if is_quality_limited else (front.quality, cost)
    fitting.sort(key=lambda point: tuple(METRICS[key].sign * point.metrics[key] for key in (goal, other)), reverse=True)
    among = "the only trial" if len(fitting) == 1 else f"the {METRICS[goal].best} of {len(fitting)} trials"
    why = f"{among} with {' and '.join(map(str, limits))}"
    return Choice(fitting[0], fitting[1] if len(fitting) > 1 else None, why)


def option_of(front: Front) -> str:
    """What a limit on the sweep's own quality is asked for with."""
    return "--min-map" if front.quality == "map" else "--min-quality"


def _advice(front: Front, limits: Sequence[Limit]) -> str:
    """Name the limit that has to move least, and the trial that it then lets in."""
    asked = " and ".join(map(str, limits))
    moves = []
    for limit in limits:
        others = [other for other in limits if other is not limit]
        rest = [point for point in front.points if all(other.holds(point) for other in others)]
        moves += [(limit.loosening(point), limit, point) for point in rest]
    if not moves:
        return f"no trial has {asked}, and loosening one limit is not enough: loosen two"
    _, limit, point = min(moves, key=lambda move: move[0])
    return f"no trial has {asked}: loosen {limit.option} to {limit.admitting(point)} and trial {point.number} fits"


def describe(point: FrontPoint, objectives: Sequence[str] = ()) -> str:
    """One trial in one line, for a person, with what its sweep was after."""
    asked = (name for key in objectives for name in (key, f"test_{key}") if name in METRICS)
    keys = dict.fromkeys(("map", "test_map", *asked, "speedup", "mac_ratio", "size_bytes"))
    figures = ", ".join(f"{METRICS[key].label} {METRICS[key].show(point.metrics.get(key))}" for key in keys)
    return f"trial {point.number} ({point.method}): {figures}"
