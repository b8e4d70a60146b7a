"""Figures as parts of pages and files: HTML from plotly, PNG from matplotlib."""

import io

import plotly.graph_objects as go
from matplotlib.figure import Figure

_CHART_CONFIG = {
    "displaylogo": False,
    "responsive": True,
    # Named one by one, because plotly's own choice includes a button that uploads the chart.
    "modeBarButtons": [["toImage", "zoom2d", "pan2d", "resetScale2d"]],
}


def chart_html(figure: go.Figure, name: str) -> str:
    """Return a piece of HTML with the chart and plotly.js (5 MB); `name` is the id of the element that holds it."""
    return figure.to_html(full_html=False, include_plotlyjs=True, div_id=name, config=_CHART_CONFIG)


def picture_png(figure: Figure) -> bytes:
    """Return the picture as a PNG, 150 pixels an inch."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=150)
    return buffer.getvalue()
