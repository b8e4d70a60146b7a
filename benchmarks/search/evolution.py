"""A long evolutionary search on a problem without its noise: what a front could be, at any number of trials.

The simple evolutionary multi-objective optimiser (Laumanns, Thiele and Zitzler, "Running time analysis of
multiobjective evolutionary algorithms on pseudo-Boolean problems", 2004): all that no other dominates is kept, one of
them is changed a little, and what dominates it takes its place. Quality and speed are those of the formulas, so nothing
is lucky. Differs from the paper: dimensions are numbers and choices, one child in three has two parents, and parents
are members at equal distances along the front, of which there are few: of 40,000 evaluations that saves three quarters.

Letters: N members of the front.
"""

from collections.abc import Mapping, Sequence
from itertools import compress
from typing import Any

import numpy as np

from pruning.schedule import Schedule
from spaces.scripted_sampler import ScriptedSampler, Suggestion
from spaces.space import Space
from trainables.simulation.simulated import Blackbox

Point = tuple[float, float]
"""mAP without noise, speedup."""

_TWO_PARENTS = 1 / 3
_CHANGED = 2  # dimensions of a child that change, in the mean
_STEPS = (0.01, 0.3)  # standard deviation of a change, as a share of the range: log-uniform, so both near and far
_PARENTS, _EVERY = 40, 50  # chosen anew after so many children
_RUNGS = np.linspace(0.05, 0.9, 18)


class Front:
    """Proposals that no other dominates, above a reference.

    Args:
        reference: mAP and speedup; what is not above both is left out.
    """

    def __init__(self, reference: Point) -> None:
        self._reference = reference
        self.points_N2 = np.empty((0, 2))
        self.members: list[ScriptedSampler] = []

    def add(self, proposal: ScriptedSampler, point: Point) -> None:
        """Take a proposal in, and drop what it dominates, unless it is dominated or equal to one that is there."""
        if point[0] <= self._reference[0] or point[1] <= self._reference[1]:
            return
        if (self.points_N2 >= point).all(axis=1).any():
            return
        stays_N = np.logical_not((self.points_N2 <= point).all(axis=1))
        self.points_N2 = np.vstack([self.points_N2[stays_N], point])
        self.members = [*compress(self.members, stays_N.tolist()), proposal]

    def spaced(self, count: int) -> list[ScriptedSampler]:
        """Return about so many members, at equal distances along the front."""
        order_N = np.argsort(self.points_N2[:, 0])
        steps_N2 = np.abs(np.diff(self.points_N2[order_N], axis=0, prepend=self.points_N2[order_N[:1]]))
        along_N = (steps_N2 / np.maximum(steps_N2.sum(axis=0), 1e-12)).sum(axis=1).cumsum()
        places = np.searchsorted(along_N, np.linspace(0, along_N[-1], count)).clip(0, len(order_N) - 1)
        return [self.members[order_N[place]] for place in np.unique(places)]


def evolve(
    blackbox: Blackbox,
    space: Space,
    reference: Point,
    *,
    evaluations: int,
    seed: int,
    start: Sequence[Mapping[str, Any]] = (),
) -> Front:
    """Return the front that is left after so many evaluations.

    Args:
        blackbox: the problem.
        space: what is varied.
        reference: mAP and speedup that a point must exceed.
        evaluations: how many children.
        seed: of all that is drawn.
        start: params to begin with, beside a ladder of equal ratios with each method.

    Raises:
        ValueError: no point of the start lies above the reference.
    """
    rng, front = np.random.default_rng(seed), Front(reference)
    ladder = [{"method": method, "level": level} for level in _RUNGS for method in space.preset.methods]
    for params in [*start, *(space.point(each) for each in ladder)]:
        _add(front, blackbox, space, params)
    if not front.members:
        raise ValueError(f"no network of the ladder lies above mAP {reference[0]:.3f} and speedup {reference[1]:g}")
    for child in range(evaluations):
        if child % _EVERY == 0:
            parents = front.spaced(_PARENTS)
        _add(front, blackbox, space, _child(parents, rng))
    return front


def expected_point(blackbox: Blackbox, schedule: Schedule) -> Point:
    """Return what a schedule gives without noise: mAP, speedup."""
    return blackbox.expected_map(schedule), blackbox.costs(schedule)["speedup"]


def _add(front: Front, blackbox: Blackbox, space: Space, params: Mapping[str, Any]) -> None:
    proposal = ScriptedSampler(params)
    front.add(proposal, expected_point(blackbox, space.propose(proposal)))


def _child(parents: Sequence[ScriptedSampler], rng: np.random.Generator) -> dict[str, Any]:
    parent = parents[int(rng.integers(len(parents)))]
    params = dict(parent.params)
    if rng.random() < _TWO_PARENTS:
        other = parents[int(rng.integers(len(parents)))].params
        params |= {name: value for name, value in other.items() if rng.random() < 0.5}
    changes = rng.random(len(parent.suggestions)) < _CHANGED / len(parent.suggestions)
    step = float(np.exp(rng.uniform(*np.log(_STEPS))))
    for suggestion in compress(parent.suggestions, changes):
        params[suggestion.name] = _changed(suggestion, params[suggestion.name], step, rng)
    return params


def _changed(suggestion: Suggestion, value: Any, step: float, rng: np.random.Generator) -> Any:
    if suggestion.kind == "choice":
        return suggestion.choices[rng.integers(len(suggestion.choices))]
    assert suggestion.low is not None
    assert suggestion.high is not None
    moved = value + step * (suggestion.high - suggestion.low) * rng.normal()
    return round(moved) if suggestion.kind == "int" else moved  # the space moves it into the bounds
