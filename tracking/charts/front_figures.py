"""The front of a sweep as an interactive page and as a picture."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from tracking.charts.front_chart import interactive_chart
from tracking.charts.front_page import front_page
from tracking.charts.rendering import chart_html, picture_png
from tracking.charts.style import (
    DENSE,
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
from tracking.charts.table import interval_reach
from tracking.front import Front, FrontPoint
from tracking.record import METRICS


def front_html(front: Front) -> str:
    """Return a page that holds all it needs, plotly.js included (5 MB), and asks for nothing outside."""
    return front_page(front, chart_html(interactive_chart(front), "front"))


def front_png(front: Front) -> bytes:
    """Return `front_figure` as a PNG of 1350 × 825 pixels."""
    return picture_png(front_figure(front))


def front_figure(front: Front) -> Figure:
    """Draw the same chart with matplotlib; a figure of its own, pyplot's global state is not touched."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    members = front.members()
    if has_staircase(front) and members:
        axes.plot(
            [shown_value(point.metrics, front.cost) for point in members],
            [shown_value(point.metrics, front.quality) for point in members],
            drawstyle="steps-pre",
            color=MUTED,
            linewidth=1.2,
            zorder=1,
        )
    for method, style in method_styles(front).items():
        _draw_method(axes, front, [point for point in front.points if point.method == method], style, method)
    _draw_dense(axes, front)
    _dress(axes, front)
    return figure


def _draw_method(axes: Axes, front: Front, points: list[FrontPoint], style: MethodStyle, method: str) -> None:
    dominated = [point for point in points if not point.on_front]
    members = [point for point in points if point.on_front]
    if dominated:
        _draw_points(axes, front, dominated, style, None if members else method, alpha=0.28, size=5.5)
    if members:
        _draw_points(axes, front, members, style, method, alpha=1, size=8)
    if tested := [point for point in members if f"test_{front.quality}" in point.metrics]:
        axes.plot(
            [shown_value(point.metrics, front.cost) for point in tested],
            [shown_value(point.metrics, f"test_{front.quality}") for point in tested],
            style.matplotlib_marker,
            markersize=7,
            markerfacecolor="none",
            markeredgecolor=style.colour,
            zorder=4,
        )


def _draw_points(
    axes: Axes, front: Front, points: list[FrontPoint], style: MethodStyle, label: str | None, alpha: float, size: float
) -> None:
    reaches = ([interval_reach(point.metrics, front.quality, end) for point in points] for end in ("low", "high"))
    axes.errorbar(
        [shown_value(point.metrics, front.cost) for point in points],
        [shown_value(point.metrics, front.quality) for point in points],
        yerr=list(reaches),
        fmt=style.matplotlib_marker,
        color=style.colour,
        alpha=alpha,
        markersize=size,
        markeredgecolor="white",
        markeredgewidth=0.8,
        elinewidth=1,
        capsize=2,
        label=label,
        zorder=3 if alpha == 1 else 2,
    )


def _draw_dense(axes: Axes, front: Front) -> None:
    cost, test = shown_value(front.dense, front.cost), f"test_{front.quality}"
    if front.quality in front.dense:
        axes.plot(cost, front.dense[front.quality], "*", color=DENSE, markersize=14, label="dense", zorder=5)
    if test in front.dense:
        axes.plot(
            cost,
            front.dense[test],
            "*",
            color=DENSE,
            markerfacecolor="none",
            markersize=13,
            zorder=5,
        )
    if any(test in point.metrics for point in front.members()):
        axes.plot([], [], "o", color=MUTED, markerfacecolor="none", markersize=7, label=METRICS[test].label)


def _dress(axes: Axes, front: Front) -> None:
    # A dollar sign would start a formula.
    title = front.sweep.replace("$", r"\$")
    axes.set_title(f"{title}: {len(front.members())} of {len(front.points)} trials on the front", loc="left", color=INK)
    axes.set_xlabel(cost_axis(front))
    axes.set_ylabel(quality_axis(front))
    if front.cost == "speedup":
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.grid(color=RULE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right", frameon=False)
