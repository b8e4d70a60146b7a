"""Optuna's samplers by the names that a sweep file gives them."""

import warnings
from collections.abc import Callable

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import (
    BaseSampler,
    GPSampler,
    NSGAIIISampler,
    NSGAIISampler,
    RandomSampler,
    TPESampler,
)

from search.study.ehvi.goal import Goal
from spaces.dimensions import dimensions
from spaces.space import Space

EHVI = "ehvi"
DEFAULT_SAMPLER = EHVI
GRID_STEPS = 10
# Optuna's 50 would spend a usual sweep's whole budget on one random generation.
POPULATION = 16


def _tpe(seed: int) -> BaseSampler:
    # Trials run side by side: constant_liar keeps the sampler from proposing near a running one again.
    return TPESampler(multivariate=True, constant_liar=True, seed=seed)


def _tpe_group(seed: int) -> BaseSampler:
    return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def _nsga2(seed: int) -> BaseSampler:
    return NSGAIISampler(population_size=POPULATION, seed=seed)


def _nsga3(seed: int) -> BaseSampler:
    return NSGAIIISampler(population_size=POPULATION, seed=seed)


def _gp(seed: int) -> BaseSampler:
    return GPSampler(seed=seed, warn_independent_sampling=False)


def _random(seed: int) -> BaseSampler:
    return RandomSampler(seed=seed)


SAMPLERS: dict[str, Callable[[int], BaseSampler]] = {
    "tpe": _tpe,
    "tpe-group": _tpe_group,
    "nsga2": _nsga2,
    "nsga3": _nsga3,
    "gp": _gp,
    "random": _random,
    # `Space.grid` is enqueued, so nothing is ever drawn.
    "grid": _random,
}
"""tpe: one joint density over the dimensions that all trials have, and one for each of the others. tpe-group: a joint
density for each set of dimensions that occur together. nsga2, nsga3: evolution. gp: Gaussian processes, seconds for
each proposal. random: uniform. grid: the points of `Space.grid`, in an order that spreads over the costs."""


SAMPLER_NAMES = (EHVI, *SAMPLERS)
"""ehvi: expected hypervolume improvement under a model of the quality, at known costs (`search.study.ehvi`); and
those of `SAMPLERS`."""


def make_sampler(name: str, seed: int, goal: Goal, trials: int = 0) -> BaseSampler:
    """Return a sampler by its name.

    Args:
        name: one of `SAMPLER_NAMES`.
        seed: of the sweep.
        goal: of the search.
        trials: that the study has already. A sampler of Optuna's with the same seed would draw the same numbers again.

    Raises:
        ValueError: names the known ones.
    """
    check_name(name)
    if name == EHVI:
        # start-up: a sweep file is read without SciPy and the model.
        from search.study.ehvi.sampler import EhviSampler

        return EhviSampler(goal, seed)
    with warnings.catch_warnings():
        # Some are marked as experimental; the lock pins them.
        warnings.simplefilter("ignore", ExperimentalWarning)
        return SAMPLERS[name](seed + 1000 * trials)


def check_name(name: str) -> None:
    """Refuse a name that no sampler has.

    Raises:
        ValueError: names the known ones.
    """
    if name not in SAMPLER_NAMES:
        raise ValueError(f"unknown sampler {name!r}; known are {', '.join(SAMPLER_NAMES)}")


def check_sampler(name: str, space: Space) -> None:
    """Refuse a sampler that does not suit a space.

    A Gaussian process models only the dimensions that all trials have, and silently draws the others at random.

    Args:
        name: of the sampler.
        space: of the sweep.

    Raises:
        ValueError: an unknown name, or "gp" where not every trial has the same dimensions.
    """
    check_name(name)
    if name != "gp":
        return
    sometimes = sorted(dimension.name for dimension in dimensions(space) if dimension.condition)
    if sometimes:
        shown = ", ".join(sometimes[:3]) + (" …" if len(sometimes) > 3 else "")
        raise ValueError(
            f"sampler 'gp' needs the same dimensions in every trial, and {shown} depend on the trial's method or "
            "allocation: name one method and one allocation in [space], or take sampler 'tpe-group'"
        )
