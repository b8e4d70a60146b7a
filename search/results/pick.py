"""The choice of one trial of a finished sweep under limits, with the reason."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, isfinite

from search.errors import FailedError
from tracking.front import Front, FrontPoint
from tracking.record import METRICS

LOSS_TAKEN = 0.05
"""How much of the dense network's quality may be lost where the user sets no limit."""


@dataclass(frozen=True)
class Limit:
    """A bound on one metric: at least `value` where higher is better, else at most `value`.

    Attributes:
        option: the command-line option that sets it.
        metric: the metric's key.
        value: the bound, in the metric's own unit.
        unit: of the option, in the metric's own unit, as 1e6 for megabytes.

    Raises:
        ValueError: the value is not finite.
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
        """Return whether a trial is within the limit."""
        value = point.metrics[self.metric]
        return value >= self.value if self.is_floor else value <= self.value

    def loosening(self, point: FrontPoint) -> float:
        """Return by what share the limit would have to move to admit a trial."""
        return abs(point.metrics[self.metric] - self.value) / max(abs(self.value), 1e-12)

    def admitting(self, point: FrontPoint) -> str:
        """Return the option's value that just admits a trial, rounded to the side that still does."""
        digits = point.metrics[self.metric] / self.unit * 1000
        return f"{(floor(digits) if self.is_floor else ceil(digits)) / 1000:g}"

    def __str__(self) -> str:
        sign = "≥" if self.is_floor else "≤"
        return f"{METRICS[self.metric].label} {sign} {METRICS[self.metric].show(self.value)}"


class NothingFitsError(FailedError):
    """No trial is within all limits; the message says which limit to loosen, and how far."""


@dataclass(frozen=True)
class Choice:
    """A chosen trial.

    Attributes:
        point: the trial.
        runner_up: the next best within the limits; None if there is no other.
        why: the reason in one sentence.
    """

    point: FrontPoint
    runner_up: FrontPoint | None
    why: str


def pick(front: Front, limits: Sequence[Limit]) -> Choice:
    """Choose the best finished trial within the limits.

    The best is the most accurate if only costs are limited. If a quality is limited, it is the fastest, or the best by
    the sweep's own cost where that is not the speedup. Without any limit, the sweep's quality must be within 0.05 of
    the dense network's. Qualities are those of the validation queries: choosing by the test queries would make them
    useless as a report.

    Args:
        front: of the sweep.
        limits: all of which must hold.

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
    """Return the command-line option that limits the sweep's own quality."""
    return "--min-map" if front.quality == "map" else "--min-quality"


def _advice(front: Front, limits: Sequence[Limit]) -> str:
    """Return which limit has to move least, and the trial that it then admits."""
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
    """Return one trial in one line, for a person.

    Args:
        point: the trial.
        objectives: of its sweep, which are shown too.
    """
    asked = (name for key in objectives for name in (key, f"test_{key}") if name in METRICS)
    keys = dict.fromkeys(("map", "test_map", *asked, "speedup", "mac_ratio", "size_bytes"))
    figures = ", ".join(f"{METRICS[key].label} {METRICS[key].show(point.metrics.get(key))}" for key in keys)
    return f"trial {point.number} ({point.method}): {figures}"
