"""Whether a space can meet limits at all, and when a search for what meets them gives up."""

import pytest

from pruning.graph.groups import PrunableGroup
from search.study.constraints import EXCLUSIONS_UNTIL_GIVEN_UP, AllExcludedError, Exclusions, check_reachable
from spaces.preset import load_preset
from spaces.space import Space
from tracking.limits import Limits

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")
SPACE = Space(groups=GROUPS, preset=load_preset("filters"), epochs=1, learning_rate=0.1)


def costs(schedule) -> dict[str, float]:
    kept = 1 - sum(schedule.ratios.values()) / len(schedule.ratios)
    return {"macs": 1e6 * kept**2, "mac_ratio": kept**-2, "compression": kept**-2}


def test_limits_that_some_network_of_the_space_meets_are_reachable():
    check_reachable(SPACE, costs, Limits(max_macs=2e4, min_speedup=100.0))


def test_limits_that_no_network_meets_are_refused_with_the_nearest_miss():
    with pytest.raises(ValueError, match=r"exclude every network of the space; .*max_macs 100: macs is .* outside"):
        check_reachable(SPACE, costs, Limits(max_macs=100.0))


def add(exclusions: Exclusions, count: int, **violations: float) -> None:
    for _ in range(count):
        exclusions.add(violations)


def test_the_last_of_so_many_in_a_row_gives_up_and_names_the_limit_that_excluded_most():
    exclusions = Exclusions()
    add(exclusions, EXCLUSIONS_UNTIL_GIVEN_UP - 2, min_speedup=0.5, max_macs=-0.1)
    add(exclusions, 1, min_speedup=0.042, max_macs=0.3)
    with pytest.raises(AllExcludedError) as given_up:
        add(exclusions, 1, min_speedup=0.7, max_macs=0.3)
    assert str(given_up.value) == (
        "200 proposals in a row lie outside [limits]: min_speedup excluded 200 of them, the nearest missed it by 4.2%; "
        "widen it, or the space"
    )


def test_a_limit_that_is_met_exactly_has_excluded_nothing():
    exclusions = Exclusions()
    add(exclusions, EXCLUSIONS_UNTIL_GIVEN_UP - 1, min_speedup=0.0, max_macs=0.2)
    with pytest.raises(AllExcludedError, match=r"max_macs excluded 200 of them, the nearest missed it by 20\.0%"):
        add(exclusions, 1, min_speedup=0.0, max_macs=0.2)


def test_fewer_are_no_reason_to_give_up():
    add(Exclusions(), EXCLUSIONS_UNTIL_GIVEN_UP - 1, min_speedup=9.0)
