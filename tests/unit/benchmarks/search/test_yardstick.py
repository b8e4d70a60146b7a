"""Shares of the best known hypervolume, on runs made by hand."""

import pytest

from benchmarks.search.best_known import BestFront, BestKnown
from benchmarks.search.contenders import BASELINE, DEFAULT, RANDOM
from benchmarks.search.figures import Results
from benchmarks.search.problems import problems
from benchmarks.search.runs import Run
from benchmarks.search.share_tables import aims_of_shares, share_section
from benchmarks.search.yardstick import Shares

SMOOTH = problems()["smooth"]


def run_over(*points) -> Run:
    return Run(hypervolumes=(0.0,) * len(points), epochs=tuple(range(len(points))), expected=points)


def shares_of(runs, points=((0.7, 2.0),), seeds=1) -> Shares:
    from benchmarks.search.best_known import _probe

    fronts = {
        seed: BestFront(reference=(0.6, 1.0), points=points, probe=_probe(SMOOTH(seed)), evaluations=1)
        for seed in range(seeds)
    }
    results = Results.of(("smooth", name, seed, run) for name, run in runs.items() for seed in range(seeds))
    return Shares.of(results, {"smooth": SMOOTH}, BestKnown(provenance={}, fronts={"smooth": fronts}))


def test_a_share_is_of_the_evolved_front_and_of_all_that_anyone_found():
    shares = shares_of({DEFAULT: run_over((0.65, 2.0), (0.7, 2.0))})
    assert shares.after["smooth"][DEFAULT][0] == (0.5, 1.0)
    more = {DEFAULT: run_over((0.65, 2.0), (0.7, 2.0)), BASELINE: run_over((0.7, 3.0))}
    shares = shares_of(more)
    assert shares.after["smooth"][DEFAULT][0] == (0.25, 0.5)
    assert shares.after["smooth"][BASELINE][0] == (1.0,)


def test_nothing_below_the_reference_counts_and_a_stopped_trial_is_a_trial():
    shares = shares_of({DEFAULT: run_over((0.59, 9.0), (0.75, 1.0), None, (0.7, 2.0))})
    assert shares.after["smooth"][DEFAULT][0] == (0.0, 0.0, 0.0, 1.0)


def test_a_run_that_ended_early_keeps_its_last_share():
    shares = shares_of({DEFAULT: run_over((0.65, 2.0))})
    assert shares.worst() == {"8": 0.5, "16": 0.5, "32": 0.5, "64": 0.5}


def test_how_far_the_default_is_ahead_is_told_against_the_best_other_sampler():
    shares = shares_of({DEFAULT: run_over((0.7, 2.0)), RANDOM: run_over((0.65, 2.0)), "nsga2": run_over((0.62, 2.0))})
    assert shares.lead("smooth", 8).median == pytest.approx(0.5)
    assert shares.lead("smooth", 8, RANDOM).median == pytest.approx(-0.5)


def test_what_a_few_points_can_have_is_a_share_too():
    shares = shares_of({DEFAULT: run_over((0.65, 2.0))}, points=((0.65, 2.0), (0.7, 1.5)))
    assert shares.ceiling("smooth", 64).median == pytest.approx(1)


def test_the_tables_leave_out_who_did_not_run():
    shares = shares_of({DEFAULT: run_over((0.65, 2.0)), RANDOM: run_over((0.65, 2.0))})
    text = "\n".join(share_section(shares))
    assert "| ours | 0.50 | 0.50 | 0.50 | 0.50 |" in text
    assert RANDOM in text
    assert "ehvi" not in text
    assert aims_of_shares(shares)[0][1:] == ("0.50, 0.50, 0.50, 0.50", "≥ 0.88, 0.95, 0.98, 0.99")
