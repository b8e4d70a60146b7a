"""Colours, markers and axis titles that the interactive chart, the page and the picture share."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from tracking.front import Front
from tracking.record import METRICS

INK, MUTED, RULE, DENSE = "#1b1f24", "#6a737d", "#e3e6ea", "#24292f"
FONTS = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif"
_SPEEDUP_AXIS = "speedup over dense (ONNX Runtime, 1 thread, batch 1; ratio of minima)"


@dataclass(frozen=True)
class MethodStyle:
    """Colour and marker of one method.

    Attributes:
        colour: as "#rrggbb".
        marker: plotly's name of the marker.
        matplotlib_marker: matplotlib's name of the same marker.
    """

    colour: str
    marker: str
    matplotlib_marker: Literal["o", "s", "D", "^", "v", "P"]


# Okabe and Ito's colours, told apart by colour-blind readers too.
_METHOD_STYLES = {
    "plfp": MethodStyle("#0072b2", "circle", "o"),
    "l1": MethodStyle("#d55e00", "square", "s"),
    "fpgm": MethodStyle("#009e73", "diamond", "D"),
}
_OTHER_STYLES = (
    MethodStyle("#cc79a7", "triangle-up", "^"),
    MethodStyle("#b58900", "triangle-down", "v"),
    MethodStyle("#56b4e9", "cross", "P"),
)


def method_styles(front: Front) -> dict[str, MethodStyle]:
    """Return a style for each method of the front; known methods come first and always have the same style."""
    present = {point.method for point in front.points}
    others = sorted(present - _METHOD_STYLES.keys())
    styles = {method: style for method, style in _METHOD_STYLES.items() if method in present}
    return styles | dict(zip(others, itertools.cycle(_OTHER_STYLES), strict=False))


def has_staircase(front: Front) -> bool:
    """Return whether the front is a staircase in the chart; one of three objectives is not, seen in two of them."""
    return len(front.objectives) == 2


def quality_axis(front: Front) -> str:
    """Return the title of the vertical axis."""
    title = f"{METRICS[front.quality].label} on the validation queries"
    has_interval = any(f"{front.quality}_low" in point.metrics for point in front.points)
    return f"{title} (bars: bootstrap interval)" if has_interval else title


def cost_axis(front: Front) -> str:
    """Return the title of the horizontal axis."""
    if front.cost == "speedup":
        return _SPEEDUP_AXIS
    metric = METRICS[front.cost]
    return f"{metric.label}: {metric.meaning[0].lower()}{metric.meaning[1:].rstrip('.')}"


def shown_value(metrics: Mapping[str, float], key: str) -> float:
    """Return the value of a metric in the unit of its axis; NaN where it is not known."""
    return metrics.get(key, math.nan) * METRICS[key].scale


def device(front: Front) -> str:
    """Return the device that the speed was measured on, as far as the provenance knows."""
    return front.provenance.get("device") or front.provenance.get("cpu") or "unknown device"
