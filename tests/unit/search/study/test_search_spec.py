"""A specification of a search refuses what no search could do, before any study is opened."""

from pathlib import Path

import pytest

from pruning.graph.groups import PrunableGroup
from search.study.budget import Budget, StagnationSettings
from search.study.search_spec import SearchSpec
from spaces.preset import load_preset
from spaces.space import Space

GROUPS = tuple(PrunableGroup(n, members=(n,), norms=(), norm_starts=(), width=64, locked=False) for n in "ab")
SPACE = Space(groups=GROUPS, preset=load_preset("filters"), epochs=4, learning_rate=0.1)

STOPPING = Budget(trials=9, stop=StagnationSettings(growth=0.1, trials=2))


def spec(**changes) -> SearchSpec:
    settings = {
        "storage": Path("nowhere"),
        "space": SPACE,
        "costs": lambda schedule: {"mac_ratio": 1.0, "compression": 1.0},
        "objectives": ("map", "speedup"),
        "budget": Budget(trials=20),
        "concurrent": 2,
        "sampler": "tpe",
        "seed": 0,
        "max_failures": 0,
    }
    return SearchSpec(**(settings | changes))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"sampler": "tea"}, "unknown sampler 'tea'"),
        ({"sampler": "gp"}, "needs the same dimensions in every trial"),
        ({"budget": Budget(epochs=3)}, "less than one trial's, 4"),
        (
            {"budget": Budget(trials=9, stop=StagnationSettings(growth=0.1, trials=2)), "objectives": ("map", "macs")},
            "macs",
        ),
    ],
)
def test_what_no_search_could_do_is_refused(changes, said):
    with pytest.raises(ValueError, match=said):
        spec(**changes)


def test_initial_points_are_the_given_ones_and_the_ladder_at_most_half_of_the_trials():
    point = SPACE.point({"method": "l1", "level": 0.6})
    assert point in spec(first_points=(point,)).initial_points()
    assert len(spec(budget=Budget(trials=10)).initial_points()) == 5
    assert len(spec(budget=Budget(trials=2)).initial_points()) == 4
    assert len(spec(budget=Budget(hours=1.0)).initial_points()) == len(SPACE.ladder())


def test_a_sampler_that_learns_begins_with_the_given_points_and_not_with_a_known_network():
    points = tuple(SPACE.point({"method": "l1", "level": level}) for level in (0.3, 0.5, 0.7))
    known = spec(sampler="ehvi", first_points=points, dense={"map": 0.8})
    assert sorted(point["level"] for point in known.initial_points()) == [0.3, 0.5, 0.7]
    unknown = spec(sampler="ehvi", first_points=points)
    assert sorted(point["level"] for point in unknown.initial_points()) == [0.0, 0.3, 0.5, 0.7]
    assert len(spec(sampler="ehvi", dense={"map": 0.8}).initial_points()) == len(SPACE.ladder()) - 1


def test_the_initial_points_of_a_grid_are_all_of_it():
    assert len(spec(sampler="grid", budget=Budget(trials=2)).initial_points()) == len(SPACE.grid(10))
