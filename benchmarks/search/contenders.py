"""Ways to search, each by a name: ours as a sweep runs it, ours without one of its parts, and others' bare.

All work over the same black box, in the same virtual time on the same slots, and are scored alike.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

from optuna.exceptions import ExperimentalWarning
from optuna.samplers import BaseSampler, GPSampler, NSGAIISampler, TPESampler

from benchmarks.search.problems import dense_metrics, sensitivity_of
from benchmarks.search.rivals import BareStudy, Moasha, has_moasha
from pruning.schedule import Schedule
from search.build import mapped_points
from search.halving.successive_halving import SuccessiveHalving
from search.simulation.virtual_time import Simulation, simulate
from search.study.budget import Budget
from search.study.initial_points import spread_out
from search.study.samplers import DEFAULT_SAMPLER, SAMPLER_NAMES
from search.study.search_spec import SearchSpec, stops_no_trial
from search.study.searcher import StudySearcher
from spaces.space import Space
from tracking.record import METRICS
from tracking.sensitivity import SensitivitySettings
from trainables.simulation.simulated import Blackbox

OBJECTIVES = ("map", "speedup")
REFERENCE = (0.0, 1.0)  # as of a sweep's front: no quality, the dense network's own speed
SLOTS = 2
GRACE, REDUCTION = 1, 3
_MEMORY = Path("/dev/shm")


@dataclass(frozen=True)
class Ours:
    """Our searcher, whole or without one of its parts.

    meaning: in words, for the table.
    allocation: of the space.
    sampler: of `search.study.samplers.SAMPLER_NAMES`.
    tilt: whether the space has a tilt.
    mapped: whether it has anything from the sensitivity map: tilt, bounds, first points.
    ladder, greedy: whether the space's ladder, and the points that the map proposes, are tried first.
    rungs: whether trials are stopped early.
    """

    meaning: str
    allocation: str = "group"
    sampler: str = DEFAULT_SAMPLER
    tilt: bool = True
    mapped: bool = True
    ladder: bool = True
    greedy: bool = True
    rungs: bool = False

    def run(self, blackbox: Blackbox, budget: Budget, seed: int, storage: Path) -> Simulation:
        """One sweep."""
        space, rungs = self.space(blackbox), self._rungs(blackbox, storage)
        searcher = StudySearcher(
            SearchSpec(
                storage=storage,
                space=space,
                objectives=OBJECTIVES,
                budget=budget,
                concurrent=SLOTS,
                sampler=self.sampler,
                seed=seed,
                max_failures=0,
                costs=Counted(blackbox).metrics,
                first_points=tuple(self.first_points(space, blackbox)),
                was_stopped=rungs.stopped if rungs else stops_no_trial,
                dense=dense_metrics(blackbox),
            )
        )
        return simulate(searcher, rungs, blackbox, slots=SLOTS, storage=storage, objectives=OBJECTIVES)

    def space(self, blackbox: Blackbox) -> Space:
        """What it searches."""
        space = blackbox.space(self.allocation)
        if not self.mapped:
            space = replace(space, sensitivity={}, highest={})
        if not self.tilt:
            space = replace(space, preset=space.preset.model_copy(update={"tilt": (0.0, 0.0)}))
        return (
            space if self.ladder else _WithoutLadder(**{each.name: getattr(space, each.name) for each in fields(space)})
        )

    def first_points(self, space: Space, blackbox: Blackbox) -> list[dict[str, Any]]:
        """What the sensitivity map proposes to try first, as it does in a sweep."""
        return _mapped_points(space, blackbox) if self.greedy and self.mapped else []

    def _rungs(self, blackbox: Blackbox, storage: Path) -> SuccessiveHalving | None:
        if not self.rungs:
            return None
        signs = [METRICS[key].sign for key in OBJECTIVES]
        return SuccessiveHalving(
            storage / "rungs.jsonl", epochs=blackbox.epochs, grace=GRACE, reduction=REDUCTION, signs=signs
        )


@dataclass(frozen=True)
class OptunaBare:
    """One of Optuna's samplers, asked and told without our searcher.

    meaning: in words, for the table.
    sampler: makes it from a keyword `seed`.
    allocation: of the space.
    first: whether the same points are tried first as in a sweep.
    """

    meaning: str
    sampler: Callable[..., BaseSampler]
    allocation: str = "independent"
    first: bool = False

    def run(self, blackbox: Blackbox, budget: Budget, seed: int, storage: Path) -> Simulation:
        """One sweep."""
        space, first = blackbox.space(self.allocation), list[dict[str, Any]]()
        if self.first:
            tried = (*_mapped_points(space, blackbox), *space.ladder())
            first = spread_out(tried, space, Counted(blackbox).metrics)
        with warnings.catch_warnings():
            # Some samplers are marked as experimental; the lock pins them.
            warnings.simplefilter("ignore", ExperimentalWarning)
            sampler = self.sampler(seed=seed)
        study = BareStudy(space, OBJECTIVES, budget, sampler, first)
        # It is asked for no more than Ray's two calls.
        return simulate(cast(StudySearcher, study), None, blackbox, slots=SLOTS, storage=storage)


@dataclass(frozen=True)
class SyneTune:
    """Syne Tune's MOASHA over one free ratio a group, with our grace and reduction."""

    meaning: str

    def run(self, blackbox: Blackbox, budget: Budget, seed: int, storage: Path) -> Simulation:
        """One sweep."""
        space = blackbox.space("independent")
        moasha = Moasha(space, OBJECTIVES, budget, storage, grace=GRACE, reduction=REDUCTION, seed=seed)
        both = cast(StudySearcher, moasha), cast(SuccessiveHalving, moasha)
        return simulate(*both, blackbox, slots=SLOTS, storage=storage)


Contender = Ours | OptunaBare | SyneTune


class _WithoutLadder(Space):
    """A space that suggests nothing to begin with."""

    def ladder(self) -> list[dict[str, Any]]:
        return []


class Counted:
    """What of a black box's costs is counted: all but the speed, which no searcher knows beforehand."""

    def __init__(self, blackbox: Blackbox) -> None:
        self._blackbox = blackbox

    def metrics(self, schedule: Schedule) -> dict[str, float]:
        """As `pruning.predicted_cost.CostModel.metrics`."""
        return {key: value for key, value in self._blackbox.costs(schedule).items() if key != "speedup"}


def _mapped_points(space: Space, blackbox: Blackbox) -> list[dict[str, Any]]:
    return mapped_points(space, sensitivity_of(blackbox), Counted(blackbox).metrics, SensitivitySettings().targets)


DEFAULT, BASELINE = "ours", "random"
RANDOM, GP = "random, our space", "Optuna GP, our space"
DEFAULT_RUNGS, BASELINE_RUNGS, MOASHA = "ours + rungs", "random + rungs", "Syne Tune MOASHA"
MOASHA_EPOCHS = "Syne Tune MOASHA, by epochs"
_BARE = Ours(
    "one free ratio a group, drawn at random; nothing tried first",
    allocation="independent",
    sampler="random",
    ladder=False,
    greedy=False,
)
_WHOLE = Ours(
    f"as a sweep runs it: {DEFAULT_SAMPLER} over level, tilt and offsets; its first points from ladder and map"
)
_COMPARED = ("ehvi", "tpe", "tpe-group", "nsga2")
"""Samplers that a sweep may name, beside the default."""
BY_TRIALS: dict[str, Contender] = {
    BASELINE: _BARE,
    DEFAULT: _WHOLE,
    "without first points": replace(_WHOLE, meaning="the ladder alone is tried first", greedy=False),
    "without ladder": replace(_WHOLE, meaning="the map's points alone are tried first", ladder=False),
    "without tilt": replace(_WHOLE, meaning="level and offsets; the map's points as near as these come", tilt=False),
    "without map": replace(_WHOLE, meaning="no sensitivity at all: no tilt, bounds, or points of it", mapped=False),
    "nothing first": replace(_WHOLE, meaning="neither ladder nor points of the map", ladder=False, greedy=False),
    **{
        name: replace(_WHOLE, meaning="as a sweep runs it with that sampler", sampler=name)
        for name in _COMPARED
        if name != DEFAULT_SAMPLER
    },
    RANDOM: replace(_WHOLE, meaning="the same, sampled at random", sampler="random"),
    GP: OptunaBare(
        "the same space and first points, Optuna's Gaussian process with its defaults",
        partial(GPSampler, warn_independent_sampling=False),
        allocation="group",
        first=True,
    ),
    "independent TPE + ladder": replace(
        _WHOLE,
        meaning="one free ratio a group, our TPE, the ladder first",
        allocation="independent",
        sampler="tpe",
        greedy=False,
    ),
    "random, no map": replace(_BARE, meaning="random without the map's bounds", mapped=False),
    "Optuna NSGA-II": OptunaBare("one free ratio a group, Optuna's defaults", NSGAIISampler),
    "Optuna TPE": OptunaBare("one free ratio a group, Optuna's defaults", TPESampler),
    MOASHA: SyneTune("one free ratio a group at random, stopped early by its rungs"),
}
"""Compared at equal trials."""

BY_EPOCHS: dict[str, Contender] = {
    DEFAULT_RUNGS: replace(_WHOLE, meaning="the default, trials stopped early", rungs=True),
    BASELINE_RUNGS: replace(_BARE, meaning="random, trials stopped early", rungs=True),
    MOASHA_EPOCHS: SyneTune("Syne Tune's MOASHA"),
}
"""Compared at equal epochs."""


SAMPLER_ROWS = (DEFAULT, *_COMPARED, RANDOM, GP)
"""Contenders that differ in nothing but the sampler, where they are there."""


def available(contenders: Mapping[str, Contender]) -> dict[str, Contender]:
    """Those that can run here."""
    return {name: each for name, each in contenders.items() if why_left_out(each) is None}


def why_left_out(contender: Contender) -> str | None:
    """Why one cannot run here, in words; None where it can."""
    if isinstance(contender, SyneTune) and not has_moasha():
        return "Syne Tune is not installed"
    if isinstance(contender, Ours) and contender.sampler not in SAMPLER_NAMES:
        return f"there is no sampler {contender.sampler!r}"
    return None


def scratch() -> TemporaryDirectory[str]:
    """A folder for one simulated sweep, in memory where the machine has such: its disk is not what is measured."""
    return TemporaryDirectory(dir=_MEMORY if _MEMORY.is_dir() else None)
