"""The point that hypervolumes are measured from: what a person who ships a network would still accept."""

import math
from collections.abc import Mapping, Sequence

from tracking.record import METRICS

Given = Mapping[str, float | str]
"""Metric key → a value, or a signed number in quotes that is added to the dense network's: "-0.10"."""

KEPT_QUALITY = 0.8
"""Share of the dense network's quality that is kept at the default reference: no more than 0.2 of it is lost."""

DENSE_RATIOS = {"speedup": 1.0, "mac_ratio": 1.0, "compression": 1.0}
"""The dense network's own, by definition."""


def reference_point(
    objectives: Sequence[str], dense: Mapping[str, float], given: Given | None = None
) -> tuple[float, ...]:
    """Return the reference, one number an objective, in that metric's own unit.

    By default it is `KEPT_QUALITY` of the dense network's quality, or 0 where that was not scored, and the dense
    network's own costs.

    Args:
        objectives: metric keys, the quality first.
        dense: the dense network's metrics; its speedup, mac_ratio and compression are 1.
        given: what a sweep file says, for any of the objectives.

    Raises:
        ValueError: the dense network lacks a cost, or is worse than the reference.
    """
    dense = {**DENSE_RATIOS, **dense}
    return tuple(_coordinate(key, dense, (given or {}).get(key)) for key in objectives)


def check_given(given: Given, objectives: Sequence[str]) -> None:
    """Refuse what can be no reference, whatever the dense network's metrics are.

    Args:
        given: what a sweep file says.
        objectives: metric keys of the same file.

    Raises:
        ValueError: a key is no objective, a value is no number, a quality is outside [0, 1), or the reference excludes
            every dense network.
    """
    for key, value in given.items():
        if key not in objectives:
            raise ValueError(f"reference.{key}: {key!r} is no objective of this sweep; {list(objectives)} are")
        number = _number(key, value)
        if METRICS[key].is_quality and not isinstance(value, str) and not 0 <= number < 1:
            raise ValueError(f"reference.{key} is {value}: a fraction in [0, 1) is right, as 0.5")
        if isinstance(value, str) and METRICS[key].sign * number > 0:
            raise ValueError(f"reference.{key} is {value!r}: {_excluded(key)}")
        if key in DENSE_RATIOS and not isinstance(value, str):
            _coordinate(key, DENSE_RATIOS, value)


def _coordinate(key: str, dense: Mapping[str, float], given: float | str | None) -> float:
    absolute = given is not None and not isinstance(given, str)
    if key not in dense and METRICS[key].is_quality and not isinstance(given, str):
        return _number(key, given or 0.0)
    if key not in dense:
        raise ValueError(f"the dense network has no {key!r}, only {sorted(dense)}; measure it first")
    if given is None:
        return KEPT_QUALITY * dense[key] if METRICS[key].is_quality else dense[key]
    number = _number(key, given)
    value = number if absolute else dense[key] + number
    if METRICS[key].sign * (dense[key] - value) < 0:
        raise ValueError(f"reference.{key} is {given}, and the dense network has {dense[key]:.4g}: {_excluded(key)}")
    return value


def _number(key: str, value: float | str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not math.isfinite(number) or (isinstance(value, str) and value.strip()[:1] not in ("+", "-")):
        raise ValueError(
            f"reference.{key} is {value!r}: a number is right, or a signed one in quotes that is added to the dense "
            'network\'s, as "-0.10"'
        )
    return number


def _excluded(key: str) -> str:
    side = "at most" if METRICS[key].sign > 0 else "at least"
    wish = "" if METRICS[key].is_quality else "; what trials must reach is said in [limits]"
    return f"that excludes the dense network; {side} its own {key} is right{wish}"
