"""The best known fronts: what is committed suits today's problems, and the file is written once, piece by piece."""

import io
from itertools import combinations

import numpy as np
import pytest
from rich.console import Console

from benchmarks.search.best_known import (
    BestFront,
    BestKnown,
    read_best,
    reference,
    search_best,
    write_best,
)
from benchmarks.search.comparison import QUICK_SEEDS
from benchmarks.search.problems import RECORDED, problems
from tracking.pareto import hypervolume


def front(points, above=(0.5, 1.0)) -> BestFront:
    return BestFront(reference=above, points=points, probe=(0.0, 0.0), evaluations=1)


@pytest.mark.parametrize("problem", problems())
def test_what_is_committed_is_of_the_problems_as_they_are(problem):
    best, make = read_best(), problems()[problem]
    assert best.fronts[problem].keys() >= ({0} if problem == RECORDED else set(range(QUICK_SEEDS)))
    for seed in best.fronts[problem]:
        blackbox = make(seed)
        found = best.front(problem, seed, blackbox)
        assert found.reference == pytest.approx(reference(blackbox))
        assert found.hypervolume_with(np.empty(0)) > 0.1
    assert best.provenance["git_commit"]


def test_the_reference_is_four_fifths_of_the_dense_quality_at_the_dense_speed():
    assert reference(problems()["smooth"](0)) == pytest.approx((0.6, 1.0))


def test_the_most_that_a_few_points_can_have_is_that_of_the_best_choice():
    rng = np.random.default_rng(0)
    heights, widths = np.sort(rng.uniform(0.5, 1, 9)), np.sort(rng.uniform(1, 3, 9))[::-1]
    points = tuple(zip(heights.tolist(), widths.tolist(), strict=True))
    for count in (1, 2, 3, 9, 20):
        chosen = combinations(points, min(count, 9))
        brute = max(hypervolume(np.array(each), np.array((0.5, 1.0))) for each in chosen)
        assert front(points).most(count) == pytest.approx(brute)


def test_what_others_found_is_added_and_what_they_did_worse_is_not():
    one = front(((0.6, 2.0),))
    assert one.hypervolume_with(np.empty(0)) == pytest.approx(0.1)
    assert one.hypervolume_with(np.array([[0.55, 1.5]])) == pytest.approx(0.1)
    assert one.hypervolume_with(np.array([[0.7, 1.5]])) == pytest.approx(0.15)


def test_a_longer_search_finds_more_and_the_same_search_the_same():
    blackbox = problems()["knees"](0)
    short, again, longer = (search_best(blackbox, evaluations) for evaluations in (50, 50, 500))
    assert short == again
    assert longer.hypervolume_with(np.empty(0)) > short.hypervolume_with(np.empty(0))


def test_a_front_of_another_problem_is_refused_with_the_command_that_mends_it():
    make = problems()["smooth"]
    best = BestKnown(provenance={}, fronts={"smooth": {0: search_best(make(0), 5)}})
    best.front("smooth", 0, make(0))
    with pytest.raises(ValueError, match=r"'smooth' has changed .* --anew"):
        best.front("smooth", 0, make(1))
    with pytest.raises(ValueError, match=r"no front of 'smooth' with seed 3: run `python -m"):
        best.front("smooth", 3, make(3))


def test_what_is_there_is_not_searched_again_unless_more_is_asked_for(tmp_path):
    path, said = tmp_path / "best.json", io.StringIO()
    toy = {name: problems()[name] for name in ("smooth", RECORDED)}

    def lines(seeds: int, evaluations: int, **choices) -> int:
        before = len(said.getvalue().splitlines())
        write_best(toy, seeds, evaluations, path, Console(file=said), **choices)
        return len(said.getvalue().splitlines()) - before

    assert lines(1, 5) == 2
    assert lines(1, 5) == 0
    assert lines(2, 5) == 1  # the table is one problem, whatever the seed
    assert lines(1, 10) == 2
    assert lines(1, 5, anew=True) == 2
    assert set(read_best(path).fronts) == set(toy)
