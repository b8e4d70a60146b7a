"""Proposals outside the limits: when to give up, and whether any network of a space lies inside."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pruning.schedule import Schedule
from spaces.scripted_sampler import ScriptedSampler, Suggestion
from spaces.space import Space
from tracking.limits import Limits

EXCLUSIONS_UNTIL_GIVEN_UP = 200


class AllExcludedError(Exception):
    """Nothing that was proposed lies inside the limits; the message names the limit and by how much it was missed."""


class Exclusions:
    """Counts proposals outside the limits, in a row."""

    def __init__(self) -> None:
        self._count = 0
        self._missed = Counter[str]()
        self._nearest: dict[str, float] = {}

    def add(self, violations: Mapping[str, float]) -> None:
        """One more.

        Args:
            violations: of `tracking.limits.Limits.violations`.

        Raises:
            AllExcludedError: it is one too many.
        """
        self._count += 1
        for limit, violation in violations.items():
            if violation > 0:
                self._missed[limit] += 1
                self._nearest[limit] = min(violation, self._nearest.get(limit, violation))
        if self._count >= EXCLUSIONS_UNTIL_GIVEN_UP and self._missed:
            limit, times = self._missed.most_common(1)[0]
            raise AllExcludedError(
                f"{self._count} proposals in a row lie outside [limits]: {limit} excluded {times} of them, the nearest "
                f"missed it by {self._nearest[limit]:.1%}; widen it, or the space"
            )


def check_reachable(space: Space, costs: Callable[[Schedule], dict[str, float]], limits: Limits) -> None:
    """Refuse limits that no network of a space meets, as far as costs are known before anything is measured.

    Every limit asks for a network that is small enough, so the smallest ones that the space can propose are looked at.

    Raises:
        ValueError: says which limit, what the space's smallest network has, and by how much that misses.
    """
    smallest = [costs(schedule) for schedule in _smallest(space)]
    if any(limits.explain(metrics) is None for metrics in smallest):
        return
    nearest = min(smallest, key=lambda metrics: max(limits.violations(metrics).values()))
    raise ValueError(
        "[limits] exclude every network of the space; of its smallest ones the nearest misses "
        f"{limits.explain(nearest)}"
    )


def _smallest(space: Space) -> Iterator[Schedule]:
    """With every method and allocation the schedules that remove most, at either end of the tilt."""
    for method, allocation in itertools.product(space.preset.methods, space.preset.allocation):
        asked = ScriptedSampler({"method": method, "allocation": allocation})
        space.propose(asked)
        numbers = [suggestion for suggestion in asked.suggestions if suggestion.kind != "choice"]
        ends = {suggestion.name: _smaller_end(suggestion) for suggestion in numbers}
        for tilt in space.preset.tilt:
            yield space.propose(ScriptedSampler({**asked.params, **ends, "tilt": tilt}))


def _smaller_end(suggestion: Suggestion) -> float | None:
    return suggestion.low if suggestion.name.startswith("bits") else suggestion.high
