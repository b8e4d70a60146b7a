"""The page of metrics, from `tracking.record.METRICS`."""

from typing import get_args

from docs.generate.markdown import table
from tracking.objectives import Protocol, reported_metrics
from tracking.record import METRICS, Metric

_INTRODUCTION = """# Metrics

Keys of the metrics in a trial's record (`trials/<number>/record.json`), in `front.json`, in `front.parquet` and in
MLflow. Scores are fractions. A metric that is *higher* or *lower* has a better side; one that is *neither* describes
another. This page is generated from `tracking/record.py`.
"""
_OBJECTIVES = """
## What can be an objective

The first entry of `[search] objectives` is a quality: a fraction of which more is better. The others, one or two, are
costs. Every finished trial reports these, whatever queries it is scored on:
"""
_BY_PROTOCOL = """
In addition, by the protocol of `data.select_on`:
"""
_BY_EVALUATION = """
In addition, by `[evaluation]`: `gallery = "dense"` reports {asymmetric}; an `index` other than `"Flat"` reports
{indexed}.
"""


def metrics_page() -> str:
    """Return the page as Markdown."""
    rows = [_row(key, metric) for key, metric in METRICS.items()]
    always = _always()
    protocols = [[f"`{name}`", _keys(reported_metrics(name) - always)] for name in get_args(Protocol)]
    added = {
        "asymmetric": _keys(reported_metrics("classic", asymmetric=True) - always),
        "indexed": _keys(reported_metrics("classic", indexed=True) - always),
    }
    parts = [
        _INTRODUCTION,
        table(["key", "shown as", "unit", "better", "meaning"], rows),
        _OBJECTIVES,
        _keys(always) + ".\n",
        _BY_PROTOCOL,
        table(["protocol", "metrics"], protocols),
        _BY_EVALUATION.format(**added),
    ]
    return "\n".join(parts)


def _always() -> frozenset[str]:
    return reported_metrics("classic")


def _row(key: str, metric: Metric) -> list[str]:
    return [f"`{key}`", metric.label, metric.unit, metric.better, metric.meaning]


def _keys(keys: frozenset[str]) -> str:
    return ", ".join(f"`{key}`" for key in METRICS if key in keys) or "–"
