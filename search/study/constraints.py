"""Limits on costs: whether any network of a space meets them, and when a search for one gives up."""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Mapping

from pruning.schedule import Schedule
from spaces.scripted_sampler import ScriptedSampler, Suggestion
from spaces.space import Space
from tracking.limits import Limits

EXCLUSIONS_UNTIL_GIVEN_UP = 200


class AllExcludedError(Exception):
    """No recent proposal lies inside the limits; the message names the limit and by how much it was missed."""


class Exclusions:
    """A count of consecutive proposals outside the limits."""

    def __init__(self) -> None:
        self._count = 0
        self._missed = Counter[str]()
        self._nearest: dict[str, float] = {}

    def add(self, violations: Mapping[str, float]) -> None:
        """Count one more proposal outside the limits.

        Args:
            violations: as `tracking.limits.Limits.violations` returns them.

        Raises:
            AllExcludedError: it is the `EXCLUSIONS_UNTIL_GIVEN_UP`-th in a row.
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
    """Refuse limits that no network of a space meets, judged by the costs that are known before anything is measured.

    Every limit asks for a network that is small enough, so the smallest ones that the space can propose are checked.

    Args:
        space: of the sweep.
        costs: the counted costs of a schedule.
        limits: of the sweep.

    Raises:
        ValueError: names the limit, the cost of the space's smallest network, and by how much that misses.
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
    """Yield, for each method and allocation, the schedules that remove most: one at each end of the tilt's range."""
    for method, allocation in itertools.product(space.preset.methods, space.preset.allocation):
        scripted = ScriptedSampler({"method": method, "allocation": allocation})
        space.propose(scripted)
        numbers = [suggestion for suggestion in scripted.suggestions if suggestion.kind != "choice"]
        ends = {suggestion.name: _smaller_end(suggestion) for suggestion in numbers}
        for tilt in space.preset.tilt:
            yield space.propose(ScriptedSampler({**scripted.params, **ends, "tilt": tilt}))


def _smaller_end(suggestion: Suggestion) -> float | None:
    return suggestion.low if suggestion.name.startswith("bits") else suggestion.high
