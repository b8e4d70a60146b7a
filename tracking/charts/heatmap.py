"""The sensitivity map as an interactive page and as a picture: groups down, ratios across, colour the quality lost."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from tracking.charts.heatmap_page import heatmap_page, shown_ratio
from tracking.charts.rendering import chart_html, picture_png
from tracking.charts.style import FONTS, INK, MUTED, RULE
from tracking.record import METRICS
from tracking.sensitivity import GroupSensitivity, SensitivityMap

# ColorBrewer's OrRd: lightness alone tells its order, so it holds for colour-blind readers and in grey.
_COLOURS = ("#fff7ec", "#fdd49e", "#fc8d59", "#d7301f", "#7f0000")
_DARK_FROM = 0.55  # of the scale: from here on white is read more easily than ink
_LEAST_SPAN = 1.0  # points; a map without losses must not show its noise in full colour


@dataclass(frozen=True)
class Cell:
    """One group at one of the ratios asked for.

    Attributes:
        lost: quality lost, in percentage points, as it was measured; all of it where none was left to measure; None
            where the ratio removes no channel.
        text: is written in the cell.
        hover: lines shown under the pointer.
    """

    lost: float | None
    text: str
    hover: str


def cells_of(sensitivity: SensitivityMap) -> list[list[Cell]]:
    """Return one row a group, one column a ratio asked for. Ratios that came to the same width show the same."""
    ratios = sensitivity.ratios
    return [[_cell(group, ratio, sensitivity) for ratio in ratios] for group in sensitivity.groups]


def heatmap_html(sensitivity: SensitivityMap) -> str:
    """Return a page that holds all it needs, plotly.js included (5 MB), and asks for nothing outside."""
    return heatmap_page(sensitivity, chart_html(interactive_heatmap(sensitivity), "sensitivity"))


def heatmap_png(sensitivity: SensitivityMap) -> bytes:
    """Return `heatmap_figure` as a PNG on white, 1200 pixels wide, as high as the groups need."""
    return picture_png(heatmap_figure(sensitivity))


def interactive_heatmap(sensitivity: SensitivityMap) -> go.Figure:
    """Draw the map with plotly; on a transparent ground, so that the page decides on light or dark."""
    rows = cells_of(sensitivity)
    figure = go.Figure(
        go.Heatmap(
            z=[[cell.lost for cell in row] for row in rows],
            x=[shown_ratio(ratio) for ratio in sensitivity.ratios],
            y=[escape(label) for label in _labels(sensitivity)],
            text=[[cell.text for cell in row] for row in rows],
            texttemplate="%{text}",
            hovertext=[[cell.hover for cell in row] for row in rows],
            hoverinfo="text",
            colorscale=list(_COLOURS),
            zmin=0,
            zmax=_span(rows),
            xgap=2,
            ygap=2,
            colorbar={"title": {"text": "points lost", "side": "right"}, "thickness": 14, "outlinewidth": 0},
        )
    )
    figure.update_layout(_layout(sensitivity))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            if cell.lost is None:  # plotly writes nothing into a cell without a colour
                figure.add_annotation(x=column, y=row, text=cell.text, showarrow=False, font={"color": MUTED})
    return figure


def heatmap_figure(sensitivity: SensitivityMap) -> Figure:
    """Draw the same map with matplotlib; a figure of its own, pyplot's global state is not touched."""
    rows = cells_of(sensitivity)
    figure = Figure(figsize=(8, 1.6 + 0.3 * len(rows)), layout="constrained", facecolor="white")
    axes = figure.add_subplot()
    colours = LinearSegmentedColormap.from_list("lost", _COLOURS).with_extremes(bad=RULE)
    span = _span(rows)
    lost = [[math.nan if cell.lost is None else cell.lost for cell in row] for row in rows]
    image = axes.imshow(lost, cmap=colours, norm=Normalize(0, span), aspect="auto")
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            axes.text(column, row, cell.text, ha="center", va="center", fontsize=9, color=_ink_on(cell, span))
    _dress(axes, sensitivity)
    figure.colorbar(image, ax=axes, label="points lost", shrink=min(1.0, 12 / len(rows))).outline.set_visible(False)
    return figure


def _cell(group: GroupSensitivity, ratio: float, sensitivity: SensitivityMap) -> Cell:
    point = group.point_at(ratio, sensitivity.round_to)
    if point is None:
        return Cell(None, "–", "<br>".join([_name(group), f"no channel goes at {shown_ratio(ratio)}"]))
    metric = METRICS[sensitivity.quality]
    nothing = math.isnan(point.quality)
    lost = 100 * (sensitivity.dense - (0.0 if nothing else point.quality))
    saved = point.macs_saved / sensitivity.dense_macs
    lines = [
        _name(group),
        f"{point.kept} of {group.width} channels kept ({1 - point.kept / group.width:.1%} gone)",
        f"{metric.label} {metric.show(point.quality)}, dense {metric.show(sensitivity.dense)}",
        f"{saved:.1%} of the multiply-adds saved",
    ]
    shown = f"{round(lost, 1) + 0.0:.1f}".replace("-", "−")  # never "−0.0"
    return Cell(lost, "none left" if nothing else shown, "<br>".join(lines))


def _name(group: GroupSensitivity) -> str:
    return f"<b>{escape(group.group)}</b>"


def _labels(sensitivity: SensitivityMap) -> list[str]:
    return [f"{group.group} ({group.width})" for group in sensitivity.groups]


def _span(rows: list[list[Cell]]) -> float:
    """Return the loss at the end of the colour scale, in points."""
    return max([_LEAST_SPAN, *_losses(rows)])


def _losses(rows: list[list[Cell]]) -> Iterator[float]:
    return (cell.lost for row in rows for cell in row if cell.lost is not None)


def _ink_on(cell: Cell, span: float) -> str:
    if cell.lost is None:
        return MUTED
    return "white" if cell.lost > _DARK_FROM * span else INK


def _title(sensitivity: SensitivityMap) -> str:
    quality = METRICS[sensitivity.quality].label
    return f"{sensitivity.network}: points of {quality} lost when one group alone is cut, before any training"


def _layout(sensitivity: SensitivityMap) -> dict[str, Any]:
    axis = {"type": "category", "ticks": "", "showgrid": False, "zeroline": False, "automargin": True}
    return {
        "template": "none",
        "font": {"family": FONTS, "size": 13, "color": INK},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
        "margin": {"l": 20, "r": 20, "t": 60, "b": 20},
        "height": 140 + 28 * len(sensitivity.groups),
        "xaxis": {**axis, "side": "top", "title": {"text": "share of the group's channels asked to go"}},
        "yaxis": {**axis, "autorange": "reversed"},
        "modebar": {"bgcolor": "rgba(0,0,0,0)", "color": MUTED},
        "hoverlabel": {"bgcolor": "white", "font": {"color": INK, "size": 12}, "align": "left"},
    }


def _dress(axes: Axes, sensitivity: SensitivityMap) -> None:
    # A dollar sign would start a formula.
    axes.set_title(_title(sensitivity).replace("$", r"\$"), loc="right", fontsize=10, color=INK)
    axes.set_xticks(range(len(sensitivity.ratios)), [shown_ratio(ratio) for ratio in sensitivity.ratios])
    axes.set_yticks(range(len(sensitivity.groups)), [label.replace("$", r"\$") for label in _labels(sensitivity)])
    axes.tick_params(length=0, labelsize=9, labelcolor=INK)
    axes.set_xlabel("share of the group's channels asked to go", fontsize=9, color=INK)
    axes.spines[:].set_visible(False)
    axes.set_xticks([column + 0.5 for column in range(len(sensitivity.ratios) - 1)], minor=True)
    axes.set_yticks([row + 0.5 for row in range(len(sensitivity.groups) - 1)], minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
