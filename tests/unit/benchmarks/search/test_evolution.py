"""The evolutionary search keeps what nothing dominates, and given time it finds more than random draws do."""

import numpy as np
import pytest
from optuna.samplers import RandomSampler
from optuna.study import create_study

from benchmarks.search.evolution import Front, evolve, expected_point
from benchmarks.search.problems import problems
from spaces.scripted_sampler import ScriptedSampler
from tracking.pareto import hypervolume, pareto_front

REFERENCE = (0.6, 1.0)


def test_a_front_keeps_what_is_above_the_reference_and_nothing_dominated():
    front = Front(REFERENCE)
    for point in [(0.5, 3.0), (0.7, 1.0), (0.65, 2.0), (0.64, 1.9), (0.65, 2.0), (0.7, 1.5), (0.66, 2.1)]:
        front.add(ScriptedSampler({"point": point}), point)
    assert sorted(map(tuple, front.points_N2.tolist())) == [(0.66, 2.1), (0.7, 1.5)]
    assert [member.preferred["point"] for member in front.members] == list(map(tuple, front.points_N2.tolist()))


@pytest.mark.parametrize("family", ["smooth", "interactions"])
def test_a_long_evolution_beats_many_random_draws(family):
    blackbox, study = problems()[family](0), create_study(sampler=RandomSampler(seed=0))
    space = blackbox.space()
    drawn = np.array([expected_point(blackbox, space.propose(study.ask())) for _ in range(2000)])
    found = evolve(blackbox, space, REFERENCE, evaluations=5000, seed=0)
    assert hypervolume(found.points_N2, np.array(REFERENCE)) > 1.05 * hypervolume(drawn, np.array(REFERENCE))
    assert pareto_front(found.points_N2).all()


def test_a_member_proposes_the_schedule_that_its_point_is_of():
    blackbox = problems()["knees"](1)
    space = blackbox.space()
    found = evolve(blackbox, space, REFERENCE, evaluations=200, seed=0)
    for member, point in zip(found.members, found.points_N2, strict=True):
        again = expected_point(blackbox, space.propose(ScriptedSampler(member.params)))
        assert again == pytest.approx(tuple(point))


def test_a_reference_that_nothing_passes_is_refused():
    blackbox = problems()["smooth"](0)
    with pytest.raises(ValueError, match=r"above mAP 0\.900"):
        evolve(blackbox, blackbox.space(), (0.9, 1.0), evaluations=1, seed=0)
