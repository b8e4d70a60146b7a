"""The front as rows of text, for the terminal and for the page."""

from collections.abc import Mapping

from tracking.front import Front
from tracking.record import METRICS

COLUMNS = ("trial", "method", "mAP", "vs dense", "test mAP", "speedup", "MACs ÷", "MB")


def front_rows(front: Front) -> list[tuple[str, ...]]:
    """Return one row of `COLUMNS` a network: the dense one, then the front by rising speedup."""
    return [
        _row("dense", "–", front.dense, front.dense),
        *(_row(f"{point.number}", point.method, point.metrics, front.dense) for point in front.members()),
    ]


def show_with_interval(metrics: Mapping[str, float], key: str) -> str:
    """Return the metric and, where known, the ends of its interval: "82.4% [80.1%, 84.5%]"."""
    show = METRICS[key].show
    low, high = metrics.get(f"{key}_low"), metrics.get(f"{key}_high")
    value = show(metrics.get(key))
    return value if low is None or high is None else f"{value} [{show(low)}, {show(high)}]"


def show_map_change(metrics: Mapping[str, float], dense: Mapping[str, float]) -> str:
    """Return the change of mAP against the dense network in percentage points ("−1.2"), a dash if unknown."""
    if metrics is dense or "map" not in metrics or "map" not in dense:
        return "–"
    return f"{100 * (metrics['map'] - dense['map']):+.1f}".replace("-", "−")


def interval_reach(metrics: Mapping[str, float], end: str) -> float:
    """Return how far `end` ("map_low" or "map_high") is from the mAP; 0 without an interval."""
    return abs(metrics.get(end, metrics["map"]) - metrics["map"])


def _row(name: str, method: str, metrics: Mapping[str, float], dense: Mapping[str, float]) -> tuple[str, ...]:
    return (
        name,
        method,
        show_with_interval(metrics, "map"),
        show_map_change(metrics, dense),
        show_with_interval(metrics, "test_map"),
        show_with_interval(metrics, "speedup"),
        METRICS["mac_ratio"].show(metrics.get("mac_ratio")),
        METRICS["size_bytes"].show(metrics.get("size_bytes")),
    )
