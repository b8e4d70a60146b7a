"""The front as rows of text, for the terminal and for the page."""

from collections.abc import Mapping
from typing import Literal

from tracking.front import Front
from tracking.record import METRICS

_COSTS = ("speedup", "mac_ratio", "size_bytes")  # shown whatever the objectives of the sweep are


def front_columns(front: Front) -> tuple[str, ...]:
    """Return the titles of the columns."""
    quality, test, *costs = (METRICS[key].label for key in _keys(front))
    return ("trial", "method", quality, "vs dense", test, *costs)


def front_rows(front: Front) -> list[tuple[str, ...]]:
    """Return a row of `front_columns` for each network: the dense one, then the front, the costliest first."""
    return [
        _row("dense", "–", front.dense, front),
        *(_row(f"{point.number}", point.method, point.metrics, front) for point in front.members()),
    ]


def show_with_interval(metrics: Mapping[str, float], key: str) -> str:
    """Return the metric and, where known, the ends of its interval: "82.4% [80.1%, 84.5%]"."""
    show = METRICS[key].show
    low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
    value = show(metrics.get(key))
    return value if low is None or high is None else f"{value} [{show(low)}, {show(high)}]"


def show_change(metrics: Mapping[str, float], front: Front) -> str:
    """Return how the quality differs from the dense network's, in percentage points ("−1.2"); a dash if unknown."""
    key, dense = front.quality, front.dense
    if metrics is dense or key not in metrics or key not in dense:
        return "–"
    return f"{100 * (metrics[key] - dense[key]):+.1f}".replace("-", "−")


def interval_reach(metrics: Mapping[str, float], key: str, end: Literal["low", "high"]) -> float:
    """Return how far the end of a metric's interval is from it; 0 without an interval."""
    return abs(metrics[f"{key}_{end}"] - metrics[key]) if f"{key}_{end}" in metrics else 0.0


def _keys(front: Front) -> tuple[str, ...]:
    """Return the metrics that are shown: the quality, the same on the test queries, and the costs."""
    costs = dict.fromkeys((*_COSTS, *front.objectives[1:]))
    return (front.quality, f"test_{front.quality}", *costs)


def _row(name: str, method: str, metrics: Mapping[str, float], front: Front) -> tuple[str, ...]:
    quality, test, *costs = (show_with_interval(metrics, key) for key in _keys(front))
    return (name, method, quality, show_change(metrics, front), test, *costs)
