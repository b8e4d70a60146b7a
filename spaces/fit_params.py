"""Level, tilt and offsets that come nearest to given widths.

Letters: G groups, or resolutions where their groups share an offset.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

from pruning.graph.groups import PrunableGroup
from spaces.grid import ratios_of
from spaces.preset import Allocation
from spaces.space import HIGHEST_RATIO, Space, offset_name

Floats = NDArray[np.float64]

# Of the ratios that come to one width: how far from their ends is aimed, as a share of all.
_MARGIN = 0.01


@dataclass(frozen=True)
class _Aim:
    """Which ratios before alignment, from `low` to `high`, come to what is wanted; and what the tilt is multiplied by.

    Attributes:
        middle: the ratio that is wanted.
    """

    low: float
    high: float
    middle: float
    sensitivity: float


def fit(space: Space, ratios: Mapping[str, float], allocation: Allocation) -> dict[str, float]:
    """Fit the params `level`, `tilt` and offsets of a "uniform", "stage" or "group" allocation.

    Level and tilt are the least-squares fit to the ranges of ratios that come to the wanted widths; offsets are what
    is left, clipped to their reach. Where those do not reach, level and tilt are fitted anew to the ranges widened by
    the reach: so widths that the space can propose are always found.

    Args:
        space: whose bounds hold.
        ratios: of every free group, on its grid.
        allocation: one of those three.
    """
    aims = _spec(space, ratios, allocation)
    reach = 0.0 if allocation == "uniform" else space.preset.offset
    tilts = space.preset.tilt if any(aim.sensitivity for aim in aims.values()) else (0.0, 0.0)
    bounds = Bounds(*np.array([space.preset.level, tilts]).T)
    low_G, high_G, sensitivity_G = (
        np.array([getattr(aim, name) for aim in aims.values()]) for name in ("low", "high", "sensitivity")
    )
    start = np.array([np.clip(np.mean([aim.middle for aim in aims.values()]), *space.preset.level), tilts[0]])
    level_and_tilt = _least_squares(low_G, high_G, sensitivity_G, bounds, start)
    if np.abs(_missed(level_and_tilt, low_G, high_G, sensitivity_G)).max() > reach:
        level_and_tilt = _least_squares(low_G - reach, high_G + reach, sensitivity_G, bounds, level_and_tilt)
    offsets_G = -np.clip(_missed(level_and_tilt, low_G, high_G, sensitivity_G), -reach, reach)
    level, tilt = level_and_tilt.tolist()
    return {"level": level, "tilt": tilt, **dict(zip(aims, offsets_G.tolist(), strict=True))}


def _spec(space: Space, ratios: Mapping[str, float], allocation: Allocation) -> dict[str, _Aim]:
    """Return name of each offset (of a group where there are no offsets) → the ratios that it is to reach."""
    sensitivity = space.sensitivities(allocation)
    aims: dict[str, _Aim] = {}
    for group in space.free_groups:
        aim = _aim(space, group, ratios[group.id], sensitivity[group.id])
        name = offset_name(group, allocation) or group.id
        aims[name] = _both(aims[name], aim) if name in aims else aim
    return aims


def _aim(space: Space, group: PrunableGroup, ratio: float, sensitivity: float) -> _Aim:
    kept = round(group.width * (1 - ratio))
    low, high = ratios_of(group.width, kept, space.preset.round_to)
    margin = _MARGIN * (high - low)
    reaches_down, reaches_up = ratio == 0, ratio >= space.on_grid(group, HIGHEST_RATIO)
    return _Aim(
        low=-np.inf if reaches_down else low + margin,
        high=np.inf if reaches_up else high - margin,
        middle=ratio,
        sensitivity=sensitivity,
    )


def _both(one: _Aim, other: _Aim) -> _Aim:
    """Return the ratios that suit both; where none do, the middle between them."""
    low, high = max(one.low, other.low), min(one.high, other.high)
    middle = (one.middle + other.middle) / 2
    return _Aim(low, high, middle, one.sensitivity) if low <= high else _Aim(middle, middle, middle, one.sensitivity)


def _missed(level_and_tilt: Floats, low_G: Floats, high_G: Floats, sensitivity_G: Floats) -> Floats:
    """Return how far above its range (below: negative) each ratio lies without an offset."""
    ratios_G = level_and_tilt[0] + level_and_tilt[1] * sensitivity_G
    return ratios_G - np.clip(ratios_G, low_G, high_G)


def _least_squares(low_G: Floats, high_G: Floats, sensitivity_G: Floats, bounds: Bounds, start: Floats) -> Floats:
    def loss(level_and_tilt: Floats) -> tuple[float, Floats]:
        missed_G = _missed(level_and_tilt, low_G, high_G, sensitivity_G)
        return float(missed_G @ missed_G), 2 * np.array([missed_G.sum(), missed_G @ sensitivity_G])

    fitted = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"ftol": 1e-16, "gtol": 1e-12})
    return np.clip(fitted.x, bounds.lb, bounds.ub)
