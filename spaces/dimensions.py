"""Every dimension of a space, listed by asking the space itself under every combination of choices."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pruning.graph.groups import PrunableGroup
from pruning.methods.registry import all_hyperparameters
from spaces.params import RATIO
from spaces.scripted_sampler import Kind, ScriptedSampler, Suggestion
from spaces.space import BITS_OFFSET, OFFSET, Space, offset_name

_Choices = Mapping[str, Any]

_ACTS_ON = {
    "method": "how channels are chosen, and when they go",
    "allocation": "how what goes is shared out among the groups",
    "epochs": "the trial: epochs before its last stage",
    "learning_rate": "the trial: learning rate of the backbone",
    "share": "every layer: share of its weights that goes",
    "threshold": "every layer: magnitude below which its weights go",
    "bits": "every layer: bits of a weight",
    **{name: hyperparameter.proposed.acts_on for name, hyperparameter in all_hyperparameters().items()},
}
_ON_FREE_GROUPS = {
    "level": "share of channels removed",
    "tilt": "how much more goes from those that can spare it, by the sensitivity map",
}


@dataclass(frozen=True)
class Dimension:
    """One dimension.

    Attributes:
        low, high: bounds of a number, both included; None for a choice.
        choices: of a choice; empty for a number.
        log: whether a number is drawn on a logarithmic scale.
        acts_on: what it changes, in words.
        condition: when it is asked for, in words; None for always.
    """

    name: str
    kind: Kind
    low: float | None
    high: float | None
    choices: tuple[Any, ...]
    log: bool
    acts_on: str
    condition: str | None


def dimensions(space: Space) -> list[Dimension]:
    """Return all dimensions, in the order in which they are asked for."""
    # What is asked does not depend on the ranking, which takes a dense network to make.
    ranked = replace(space, ranking={group.id: (0.0,) * group.width for group in space.groups})
    walks = list(_walks(ranked, {}))
    asked = {suggestion.name: suggestion for _, suggestions in walks for suggestion in suggestions}
    return [_dimension(suggestion, walks, space) for suggestion in asked.values()]


def is_conditional(space: Space) -> bool:
    """Return whether some dimension is asked for in some trials only."""
    return any(dimension.condition for dimension in dimensions(space))


def _walks(space: Space, chosen: _Choices) -> Iterator[tuple[_Choices, Sequence[Suggestion]]]:
    """Yield every combination of choices, with the suggestions that are asked for under it."""
    answers = ScriptedSampler(chosen)
    space.propose(answers)
    fork = next((each for each in answers.suggestions if each.kind == "choice" and each.name not in chosen), None)
    if fork is None:
        yield chosen, answers.suggestions
        return
    for choice in fork.choices:
        yield from _walks(space, {**chosen, fork.name: choice})


def _dimension(
    suggestion: Suggestion, walks: Sequence[tuple[_Choices, Sequence[Suggestion]]], space: Space
) -> Dimension:
    ways = [chosen for chosen, suggestions in walks if suggestion in suggestions]
    forks = {each.name: each.choices for _, suggestions in walks for each in suggestions if each.kind == "choice"}
    conditions = [
        f"{name} {_one_of(choices_left)}"
        for name, choices in forks.items()
        if name != suggestion.name
        and (choices_left := [choice for choice in choices if any(way.get(name) == choice for way in ways)])
        and len(choices_left) < len(choices)
    ]
    return Dimension(
        name=suggestion.name,
        kind=suggestion.kind,
        low=suggestion.low,
        high=suggestion.high,
        choices=suggestion.choices,
        log=suggestion.log,
        acts_on=_acts_on(suggestion.name, space),
        condition=" and ".join(conditions) or None,
    )


def _one_of(choices: Sequence[Any]) -> str:
    *others, last = map(str, choices)
    return f"{', '.join(others)} or {last}" if others else last


def _acts_on(name: str, space: Space) -> str:
    if name in _ACTS_ON:
        return _ACTS_ON[name]
    if name in _ON_FREE_GROUPS:
        return f"all {len(space.free_groups)} free groups: {_ON_FREE_GROUPS[name]}"
    group = next((group for group in space.groups if name in _own_names(group)), None)
    if group is None:
        return _of_resolution([group for group in space.free_groups if offset_name(group, "stage") == name])
    if name.startswith(BITS_OFFSET):
        return f"group {group.id}: bits of its weights"
    step = space.preset.round_to if group.width >= space.preset.round_to else 1
    return f"group {group.id}: {group.width} channels, steps of {step}"


def _own_names(group: PrunableGroup) -> tuple[str, ...]:
    return f"{OFFSET}{group.id}", f"{RATIO}{group.id}", f"{BITS_OFFSET}{group.id}"


def _of_resolution(groups: Sequence[PrunableGroup]) -> str:
    widths = sum(group.width for group in groups)
    return f"stage {groups[0].resolution}: {widths} channels in {len(groups)} groups"
