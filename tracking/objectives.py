"""The objectives of a search: one quality first, then one or two costs."""

from collections.abc import Collection, Sequence
from typing import Literal, get_args

from pruning.names import close_name
from tracking.record import METRICS, Reporter

Protocol = Literal["classic", "revisited", "market", "places"]

_NEEDS: dict[Reporter, str] = {
    "dense gallery": 'evaluation.gallery = "dense"',
    "index": 'an evaluation.index other than "Flat"',
    **{protocol: f"{protocol} queries as data.select_on" for protocol in get_args(Protocol)},
}


def check_objectives(objectives: Sequence[str]) -> None:
    """Refuse metrics that cannot be the objectives of a search.

    Args:
        objectives: metric keys.

    Raises:
        ValueError: a metric is unknown, the first is no quality, another is no cost, there are no costs or more than
            two, one is named twice, or only members of the front have the metric.
    """
    for key in objectives:
        if key not in METRICS:
            near = close_name(key, METRICS)
            raise ValueError(f"unknown objective {key!r}" + (f": did you mean {near!r}?" if near else ""))
        if key.startswith("test_"):
            raise ValueError(f"{key!r} cannot be an objective: the search must not see it, {key[5:]!r} can")
    first, *others = objectives or ("",)
    fits = (
        first in METRICS
        and METRICS[first].is_quality
        and all(METRICS[key].sign and not METRICS[key].is_quality for key in others)
        and 1 <= len(set(others)) == len(others) <= 2
    )
    if not fits:
        raise ValueError(
            f'objectives are {list(objectives)}: a quality first ("map" …), then one or two costs ("speedup", '
            '"macs" …), each once'
        )


def reported_metrics(protocol: Protocol | None, *, asymmetric: bool = False, indexed: bool = False) -> frozenset[str]:
    """Return the metrics with a better side that the dense network and every finished trial of a sweep have.

    Args:
        protocol: of the queries that the search sees; None while they are not known: the metrics of all protocols.
        asymmetric: whether the pruned network's queries are also ranked against the dense one's database.
        indexed: whether the database is searched through an index that is not exact.
    """
    protocols = get_args(Protocol) if protocol is None else (protocol,)
    reporters = {
        "every trial",
        *protocols,
        *(("dense gallery",) if asymmetric else ()),
        *(("index",) if indexed else ()),
    }
    return frozenset(key for key, metric in METRICS.items() if metric.reported_by in reporters)


def check_reported(objectives: Sequence[str], reported: Collection[str]) -> None:
    """Refuse an objective that no trial of the sweep will report.

    Args:
        objectives: metric keys.
        reported: of `reported_metrics`.

    Raises:
        ValueError: names the objective, what it needs, and what can be had.
    """
    for key in objectives:
        if key not in reported:
            raise ValueError(f"no trial reports the objective {key!r}{_need(key)}; known here are {sorted(reported)}")


def _need(key: str) -> str:
    """Return what the sweep file would have to say for trials to report a metric; "" where nothing helps."""
    if key == "latency_ms":
        return ": times of different moments do not compare, their paired ratio does, 'speedup'"
    reporter = METRICS[key].reported_by if key in METRICS else None
    return f": it needs {_NEEDS[reporter]}" if reporter in _NEEDS else ""
