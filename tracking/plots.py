"""The front as an interactive page and as a picture."""

import io

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, PercentFormatter

from tracking.chart import interactive_chart
from tracking.front import Front, FrontPoint
from tracking.looks import DENSE, INK, MAP_AXIS, MUTED, RULE, SPEEDUP_AXIS, Look, has_staircase, method_looks
from tracking.page import front_page
from tracking.table import interval_reach

_CHART_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # Named one by one, because plotly's own choice includes a button that uploads the chart.
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}


def front_html(front: Front) -> str:
    """Return a page that holds all it needs, plotly.js included (5 MB), and asks for nothing outside."""
    chart = interactive_chart(front).to_html(
        full_html=False,
        include_plotlyjs=True,
        div_id="front",
        config=_CHART_CONFIG,
    )
    return front_page(front, chart)


def front_png(front: Front) -> bytes:
    """Return `front_figure` as a PNG of 1350 × 825 pixels."""
    buffer = io.BytesIO()
    front_figure(front).savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()


def front_figure(front: Front) -> Figure:
    """Draw the same chart with matplotlib; a figure of its own, pyplot's global state is not touched."""
    figure = Figure(figsize=(9, 5.5), layout="constrained")
    axes = figure.add_subplot()
    members = front.members()
    if has_staircase(front) and members:
        speedups = [point.metrics["speedup"] for point in members]
        axes.plot(
            speedups,
            [point.metrics["map"] for point in members],
            drawstyle="steps-pre",
            color=MUTED,
            linewidth=1.2,
            zorder=1,
        )
    for method, look in method_looks(front).items():
        _draw_method(axes, [point for point in front.points if point.method == method], look, method)
    _draw_dense(axes, front)
    _dress(axes, front)
    return figure


def _draw_method(axes: Axes, points: list[FrontPoint], look: Look, method: str) -> None:
    dominated = [point for point in points if not point.on_front]
    members = [point for point in points if point.on_front]
    if dominated:
        _draw_points(axes, dominated, look, None if members else method, alpha=0.28, size=5.5)
    if members:
        _draw_points(axes, members, look, method, alpha=1, size=8)
    if tested := [point for point in members if "test_map" in point.metrics]:
        axes.plot(
            [point.metrics["speedup"] for point in tested],
            [point.metrics["test_map"] for point in tested],
            look.matplotlib_marker,
            markersize=7,
            markerfacecolor="none",
            markeredgecolor=look.colour,
            zorder=4,
        )


def _draw_points(
    axes: Axes, points: list[FrontPoint], look: Look, label: str | None, alpha: float, size: float
) -> None:
    maps = [point.metrics["map"] for point in points]
    below, above = ([interval_reach(point.metrics, end) for point in points] for end in ("map_low", "map_high"))
    axes.errorbar(
        [point.metrics["speedup"] for point in points],
        maps,
        yerr=[below, above],
        fmt=look.matplotlib_marker,
        color=look.colour,
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
    speedup = front.dense["speedup"]
    if "map" in front.dense:
        axes.plot(speedup, front.dense["map"], "*", color=DENSE, markersize=14, label="dense", zorder=5)
    if "test_map" in front.dense:
        axes.plot(
            speedup,
            front.dense["test_map"],
            "*",
            color=DENSE,
            markerfacecolor="none",
            markersize=13,
            zorder=5,
        )
    if any("test_map" in point.metrics for point in front.members()):
        axes.plot([], [], "o", color=MUTED, markerfacecolor="none", markersize=7, label="test mAP")


def _dress(axes: Axes, front: Front) -> None:
    # A dollar sign would start a formula.
    title = front.sweep.replace("$", r"\$")
    axes.set_title(f"{title}: {len(front.members())} of {len(front.points)} trials on the front", loc="left", color=INK)
    axes.set_xlabel(SPEEDUP_AXIS)
    axes.set_ylabel(MAP_AXIS)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"×{value:g}"))
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
    axes.grid(color=RULE)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    if axes.get_legend_handles_labels()[1]:
        axes.legend(loc="upper right", frameon=False)
