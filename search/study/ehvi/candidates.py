"""Candidates for the next trial: random proposals of the space, and neighbours of good ones."""

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from pruning.schedule import Schedule
from search.study.ehvi.features import Features
from search.study.ehvi.gaussian_process import Floats
from spaces.scripted_sampler import ScriptedSampler, Suggestion
from spaces.space import Space

Point = dict[str, Any]

# How far a neighbour's number lies from where it was, as a share of its range: one of these standard deviations.
_STEPS = (0.05, 0.15, 0.4)
# So many dimensions of a neighbour differ: mostly one, or a few at once.
_CHANGES = (1, 1, 2, 3)


@dataclass(frozen=True)
class Candidate:
    """A proposal, with all that is known of it before it trains.

    Attributes:
        params: the answers of a sampler that come to it.
        schedule: that they come to.
        costs: its counted costs.
        features_F: that the model sees.
    """

    params: Point
    schedule: Schedule
    costs: Mapping[str, float]
    features_F: Floats

    @cached_property
    def shape(self) -> frozenset[tuple[str, float]]:
        """What goes of which group: networks of equal shapes are equally fast."""
        return frozenset((group, ratio) for group, ratio in self.schedule.ratios.items() if ratio)


@dataclass(frozen=True)
class Candidates:
    """All proposals of one space.

    Attributes:
        space: of the sweep.
        costs: the counted costs of a schedule.
    """

    space: Space
    costs: Callable[[Schedule], dict[str, float]]

    @cached_property
    def features(self) -> Features:
        """The features of its proposals."""
        return Features(self.space)

    def of(self, params: Mapping[str, Any]) -> Candidate:
        """Return the proposal of such params; dimensions that are missing are in the middle of their ranges."""
        answers = ScriptedSampler(params)
        return self._candidate(self.space.propose(answers), answers.params)

    def at(self, schedule: Schedule) -> Candidate:
        """Return a schedule, of the space or not, as a candidate without params."""
        return self._candidate(schedule, {})

    def drawn(self, rng: random.Random, count: int) -> list[Candidate]:
        """Return proposals whose dimensions are drawn uniformly."""
        return [self._drawn(rng) for _ in range(count)]

    def neighbours(self, members: Sequence[Candidate], rng: random.Random, count: int) -> list[Candidate]:
        """Return proposals that differ from one of the members, which take turns, in one to three dimensions."""
        # The dense network has no params, and no proposal of a space without dimensions has any.
        movable = [self._answers(each) for each in members if each.params]
        return [self._neighbour(movable[number % len(movable)], rng) for number in range(count if movable else 0)]

    def _drawn(self, rng: random.Random) -> Candidate:
        answers = _RandomAnswers(rng)
        return self._candidate(self.space.propose(answers), answers.params)

    def _answers(self, member: Candidate) -> ScriptedSampler:
        answers = ScriptedSampler(member.params)
        self.space.propose(answers)
        return answers

    def _neighbour(self, member: ScriptedSampler, rng: random.Random) -> Candidate:
        changed = rng.sample(member.suggestions, min(rng.choice(_CHANGES), len(member.suggestions)))
        return self.of(member.params | {each.name: _moved(each, member.params[each.name], rng) for each in changed})

    def _candidate(self, schedule: Schedule, params: Point) -> Candidate:
        costs = self.costs(schedule)
        return Candidate(params, schedule, costs, self.features.of(schedule, costs))


@dataclass
class _RandomAnswers:
    """A `spaces.scripted_sampler.Sampler` that draws every dimension uniformly on its scale."""

    rng: random.Random
    params: Point = field(default_factory=dict)

    def suggest_categorical(self, name: str, choices: Sequence[Any]) -> Any:
        self.params[name] = self.rng.choice(choices)
        return self.params[name]

    def suggest_float(self, name: str, low: float, high: float, *, log: bool = False) -> float:
        value = low * (high / low) ** self.rng.random() if log else low + (high - low) * self.rng.random()
        self.params[name] = min(max(value, low), high)
        return float(self.params[name])

    def suggest_int(self, name: str, low: int, high: int) -> int:
        self.params[name] = self.rng.randint(low, high)
        return int(self.params[name])


def _moved(dimension: Suggestion, value: Any, rng: random.Random) -> Any:
    """Return another value of a dimension: any other choice, or a number not far from `value`."""
    if dimension.kind == "choice":
        return rng.choice([choice for choice in dimension.choices if choice != value])
    assert dimension.low is not None
    assert dimension.high is not None
    step = rng.gauss(0.0, rng.choice(_STEPS))
    if dimension.log:
        return value * (dimension.high / dimension.low) ** step
    moved = value + step * (dimension.high - dimension.low)
    if dimension.kind == "float":
        return moved
    # A whole number moves by at least one.
    return round(moved) if round(moved) != value else value + (1 if step > 0 else -1)
