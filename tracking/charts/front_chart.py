"""The interactive chart of a front: quality over cost for every finished trial, its details under the pointer."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

import plotly.graph_objects as go

from tracking.charts.style import (
    DENSE,
    FONTS,
    INK,
    MUTED,
    RULE,
    MethodStyle,
    cost_axis,
    has_staircase,
    method_styles,
    quality_axis,
    shown_value,
)
from tracking.charts.table import interval_reach, show_change, show_with_interval
from tracking.front import Front, FrontPoint
from tracking.record import METRICS

_GROUPS_SHOWN = 24
_GROUPS_A_LINE = 3
_FADED = 0.4
_COSTS_SHOWN = ("latency_ms", "macs", "size_bytes")
_ALWAYS_SHOWN = ("speedup", "mac_ratio", *_COSTS_SHOWN)


def interactive_chart(front: Front) -> go.Figure:
    """Draw the dense network, the front and its staircase, the dominated trials faded, and the test scores."""
    figure = go.Figure()
    styles = method_styles(front)
    if has_staircase(front) and len(front.members()) > 1:
        figure.add_trace(_staircase(front))
    for method, style in styles.items():
        points = [point for point in front.points if point.method == method]
        members = [point for point in points if point.on_front]
        if dominated := [point for point in points if not point.on_front]:
            figure.add_trace(_trials(dominated, front, style, legend=not members))
        if members:
            figure.add_trace(_trials(members, front, style, legend=True))
        if tested := [point for point in members if _test(front) in point.metrics]:
            figure.add_trace(_test_scores(tested, front, style))
    if any(_test(front) in metrics for metrics in (front.dense, *(p.metrics for p in front.members()))):
        figure.add_trace(_test_legend(front))
    if front.quality in front.dense:
        figure.add_trace(_dense(front))
    figure.update_layout(_layout(front))
    return figure


def _test(front: Front) -> str:
    """Return the key of the quality on the test queries."""
    return f"test_{front.quality}"


def _coordinates(points: Sequence[FrontPoint], front: Front) -> dict[str, list[float]]:
    """Return where trials stand in the chart."""
    return {
        "x": [shown_value(point.metrics, front.cost) for point in points],
        "y": [shown_value(point.metrics, front.quality) for point in points],
    }


def _staircase(front: Front) -> go.Scatter:
    return go.Scatter(
        **_coordinates(front.members(), front),
        mode="lines",
        # Up to a member's speedup its own mAP can be had, beyond it only the next one's.
        line={"color": MUTED, "width": 2, "shape": "vh"},
        hoverinfo="skip",
        name="front",
    )


def _trials(points: Sequence[FrontPoint], front: Front, style: MethodStyle, legend: bool) -> go.Scatter:
    on_front = points[0].on_front
    return go.Scatter(
        **_coordinates(points, front),
        error_y=_interval_bars(points, front, style.colour, width=1.6 if on_front else 1),
        mode="markers+text" if on_front else "markers",
        text=[f" {point.number}" for point in points],
        textposition="top right",
        textfont={"size": 11, "color": INK},
        marker={
            "color": style.colour,
            "symbol": style.marker,
            "size": 12 if on_front else 8,
            "line": {"color": "white", "width": 1.2},
        },
        opacity=1 if on_front else _FADED,
        hovertext=[_hover_text(point, front) for point in points],
        hoverinfo="text",
        hoverlabel={"bordercolor": style.colour},
        name=escape(points[0].method),
        legendgroup=escape(points[0].method),
        showlegend=legend,
    )


def _interval_bars(points: Sequence[FrontPoint], front: Front, colour: str, width: float) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [interval_reach(point.metrics, front.quality, "high") for point in points],
        "arrayminus": [interval_reach(point.metrics, front.quality, "low") for point in points],
        "color": f"{colour}88",  # fainter than the markers: many intervals overlap
        "thickness": width,
        "width": 3,
    }


def _test_scores(points: Sequence[FrontPoint], front: Front, style: MethodStyle) -> go.Scatter:
    return go.Scatter(
        x=[shown_value(point.metrics, front.cost) for point in points],
        y=[shown_value(point.metrics, _test(front)) for point in points],
        mode="markers",
        marker={"color": style.colour, "symbol": f"{style.marker}-open", "size": 11, "line": {"width": 1.8}},
        hovertext=[
            f"<b>Trial {point.number}</b> · {escape(point.method)}<br>{_score(point.metrics, _test(front))}"
            for point in points
        ],
        hoverinfo="text",
        hoverlabel={"bordercolor": style.colour},
        legendgroup=escape(points[0].method),
        showlegend=False,
    )


def _test_legend(front: Front) -> go.Scatter:
    """Return one grey, hollow entry of the legend that stands for the test scores of every method."""
    marker = {"color": MUTED, "symbol": "circle-open", "size": 11, "line": {"width": 1.8}}
    return go.Scatter(
        x=[None], y=[None], mode="markers", marker=marker, name=METRICS[_test(front)].label, hoverinfo="skip"
    )


def _dense(front: Front) -> go.Scatter:
    keys = [key for key in (front.quality, _test(front)) if key in front.dense]
    return go.Scatter(
        x=[shown_value(front.dense, front.cost)] * len(keys),
        y=[shown_value(front.dense, key) for key in keys],
        mode="markers",
        marker={"color": DENSE, "symbol": ["star", "star-open"][: len(keys)], "size": 16},
        hovertext=[_dense_text(front, key) for key in keys],
        hoverinfo="text",
        hoverlabel={"bordercolor": DENSE},
        name="dense",
    )


def _dense_text(front: Front, key: str) -> str:
    return "<br>".join(["<b>Dense network</b>", _score(front.dense, key), *_cost_lines(front.dense)])


def _hover_text(point: FrontPoint, front: Front) -> str:
    schedule, metrics = point.schedule, point.metrics
    standing = "on the front" if point.on_front else "dominated"
    decay = "" if schedule.decay is None else f", decay {schedule.decay:g}"
    spread = show_with_interval(metrics, "speedup")
    change = show_change(metrics, front)
    scores = [key for key in (_test(front), *front.objectives[1:]) if key in metrics and key not in _ALWAYS_SHOWN]
    lines = [
        f"<b>Trial {point.number}</b> · {escape(point.method)} · {standing}",
        f"{_score(metrics, front.quality)}" + ("" if change == "–" else f" · {change} points vs dense"),
        *(_score(metrics, key) for key in scores),
        f"speedup {spread}",
        *_cost_lines(metrics),
        f"{schedule.total_epochs} epochs, learning rate {schedule.learning_rate:g}{decay}",
        *_coding_lines(point),
        *_kept_lines(point),
    ]
    return "<br>".join(lines)


def _score(metrics: Mapping[str, float], key: str) -> str:
    return f"{METRICS[key].label} {show_with_interval(metrics, key)}"


def _cost_lines(metrics: Mapping[str, float]) -> list[str]:
    parts = [f"{METRICS[key].show(metrics[key])} {METRICS[key].label}" for key in _COSTS_SHOWN if key in metrics]
    if "mac_ratio" in metrics:
        parts.append(f"MACs ÷ {METRICS['mac_ratio'].show(metrics['mac_ratio'])}")
    return [" · ".join(parts)] if parts else []


def _coding_lines(point: FrontPoint) -> list[str]:
    """Return how weights are coded: "4 to 6 bits (kmeans), 48.0% pruned"."""
    if (coding := point.schedule.quantization) is None:
        return []
    bits = sorted({coding.bits, *coding.group_bits.values()})
    span = f"{bits[0]} to {bits[-1]}" if len(bits) > 1 else f"{bits[0]}"
    return [
        f"{span} bits ({coding.grid}), {METRICS['pruned_weights'].show(point.metrics.get('pruned_weights'))} pruned"
    ]


def _kept_lines(point: FrontPoint) -> list[str]:
    """Return the kept widths, a few groups a line: "layer1.0.conv1 40/64"."""
    kept = [f"{escape(row.group)} {row.achieved_width}/{row.width}" for row in point.ledger]
    shown = kept[:_GROUPS_SHOWN]
    lines = [" · ".join(shown[i : i + _GROUPS_A_LINE]) for i in range(0, len(shown), _GROUPS_A_LINE)]
    if len(kept) > _GROUPS_SHOWN:
        lines.append(f"and {len(kept) - _GROUPS_SHOWN} more groups")
    return ["<br><i>channels kept</i>", *lines] if lines else []


def _layout(front: Front) -> dict[str, Any]:
    axis = {
        "gridcolor": RULE,
        "linecolor": MUTED,
        "zeroline": False,
        "ticks": "outside",
        "tickcolor": RULE,
        "title_standoff": 14,
        "automargin": True,
    }
    return {
        "template": "none",
        "font": {"family": FONTS, "size": 13, "color": INK},
        "margin": {"l": 20, "r": 20, "t": 44, "b": 20},
        "height": 560,
        "xaxis": {**axis, "title": {"text": cost_axis(front)}, "tickprefix": "×" if front.cost == "speedup" else ""},
        "yaxis": {**axis, "title": {"text": quality_axis(front)}, "tickformat": ".0%"},
        "legend": {"orientation": "h", "yanchor": "bottom", "y": 1.02, "x": 0},
        "hovermode": "closest",
        "hoverlabel": {"bgcolor": "white", "font": {"color": INK, "size": 12}, "align": "left"},
    }
