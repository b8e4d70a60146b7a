"""Which metrics a search can be after: one quality first, then one or two costs."""

from collections.abc import Collection, Sequence
from typing import Literal

from pruning.names import close_name
from tracking.record import METRICS

Protocol = Literal["classic", "revisited", "market", "places"]

_ALWAYS = (
    *("map", "speedup", "parameters", "macs"),
    *("mac_ratio", "size_bytes", "compression", "descriptor_size"),
)
_ASYMMETRIC = ("map_asymmetric",)
_INDEXED = ("index_bytes", "search_ms")
_LEVELS = ("", "_easy", "_hard")
_BY_PROTOCOL: dict[Protocol, tuple[str, ...]] = {
    "classic": (),
    "revisited": ("map_easy", "map_hard", *(f"mp_at_{k}{level}" for level in _LEVELS for k in (1, 5, 10))),
    "market": ("map_step", *(f"cmc_at_{k}" for k in (1, 5, 10))),
    "places": tuple(f"recall_at_{n}" for n in (1, 5, 10, 20)),
}


def check_objectives(objectives: Sequence[str]) -> None:
    """Refuse what no search can be after.

    Raises:
        ValueError: an unknown metric, a first that is no quality, others that are no cost, none or more than two of
            these, one named twice, or a metric that only members of the front have.
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
    """The metrics with a better side that every finished trial, and the dense network, has.

    Args:
        protocol: of the queries that the search sees; None for what there may be when they are not known yet.
        asymmetric: whether the pruned network's queries are also ranked against the dense one's database.
        indexed: whether the database is searched through an index that is not exact.
    """
    protocols = _BY_PROTOCOL if protocol is None else (protocol,)
    by_protocol = (key for name in protocols for key in _BY_PROTOCOL[name])
    return frozenset((*_ALWAYS, *by_protocol, *(_ASYMMETRIC if asymmetric else ()), *(_INDEXED if indexed else ())))


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
    """What a metric needs, as far as a sweep file can give it."""
    if key == "latency_ms":
        return ": times of different moments do not compare, their paired ratio does, 'speedup'"
    if key in _ASYMMETRIC:
        return ': it needs evaluation.gallery = "dense"'
    if key in _INDEXED:
        return ': it needs an evaluation.index other than "Flat"'
    for protocol, keys in _BY_PROTOCOL.items():
        if key in keys:
            return f": it needs {protocol} queries as data.select_on"
    return ""
