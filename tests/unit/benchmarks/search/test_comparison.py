"""The benchmark of the search, on toy runs: that its figures are what they are called."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

from optuna.samplers import RandomSampler
from rich.console import Console

from benchmarks.search.comparison import compare, quick
from benchmarks.search.contenders import (
    BASELINE,
    BY_TRIALS,
    DEFAULT,
    DEFAULT_RUNGS,
    GP,
    RANDOM,
    available,
)
from benchmarks.search.figures import Results
from benchmarks.search.kept_runs import KeptRuns
from benchmarks.search.problems import problems
from benchmarks.search.rivals import BareStudy
from benchmarks.search.runs import Run, search, simulated, spread
from search.study.budget import Budget

SHORT = Run(hypervolumes=(0.5, 1.0, 1.5), epochs=(9, 18, 27))


def test_the_quick_figures_are_those_that_are_asked_for():
    toy = {"smooth": problems()["smooth"]}
    figures = quick(toy, Console(file=io.StringIO()), seeds=1, trials=6, asked_at=8)
    assert list(json.loads(json.dumps(figures))) == [
        "trials_to_random64",
        "hypervolume_over_random64",
        "epochs_share",
        "ask_tell_ms_at_1000",
        "share_of_best",
    ]
    assert figures["ask_tell_ms_at_1000"] > 0
    shares = figures["share_of_best"]
    assert list(shares) == ["8", "16", "32", "64"]
    assert 0 < shares["8"] <= shares["16"] <= shares["32"] <= shares["64"] < 1


def test_every_contender_of_ours_runs_the_trials_that_it_is_given():
    blackbox = problems()["knees"](3)
    for name in (BASELINE, DEFAULT, "without ladder", "Optuna TPE"):
        run = search(BY_TRIALS[name], blackbox, Budget(trials=3), seed=3)
        assert (len(run.hypervolumes), run.epochs[-1]) == (3, 27), name


def test_a_sampler_that_is_not_there_is_left_out_with_a_line():
    said = io.StringIO()
    some = {"ours": BY_TRIALS[DEFAULT], "later": replace(BY_TRIALS[DEFAULT], sampler="later")}
    toy = {"smooth": problems()["smooth"]}
    runs = compare(
        toy, 1, KeptRuns(Path("unused")), Console(file=said), by_trials={"later": some["later"]}, by_epochs={}
    )
    assert list(runs) == []
    assert said.getvalue() == "later is left out: there is no sampler 'later'\n"
    assert list(available(some)) == ["ours"]


def test_samplers_are_compared_in_the_same_space_and_with_the_same_first_points():
    blackbox = problems()["knees"](0)
    gp = replace(BY_TRIALS[GP], sampler=RandomSampler)
    firsts = [
        [each.record.schedule for each in simulated(contender, blackbox, Budget(trials=8), 5).ended]
        for contender in (gp, BY_TRIALS[RANDOM])
    ]
    # The searcher takes no more first points than half of the trials.
    assert firsts[0][:4] == firsts[1][:4]


def test_the_baseline_tries_nothing_first_and_ours_does():
    blackbox = problems()["smooth"](0)
    bare, whole = BY_TRIALS[BASELINE], BY_TRIALS[DEFAULT]
    assert (bare.space(blackbox).ladder(), bare.first_points(bare.space(blackbox), blackbox)) == ([], [])
    assert whole.space(blackbox).ladder()
    assert whole.first_points(whole.space(blackbox), blackbox)


def test_a_hypervolume_that_is_never_reached_takes_for_ever():
    assert (SHORT.trials_to(1.0), SHORT.epochs_to(1.0)) == (2, 18)
    assert math.isinf(SHORT.trials_to(1.6))
    assert math.isinf(SHORT.epochs_to(1.6))
    assert [SHORT.after_epochs(epochs) for epochs in (8, 9, 26, 100)] == [0.0, 0.5, 1.0, 1.5]


def test_a_median_over_runs_of_which_most_never_arrive_is_infinite():
    assert math.isinf(spread([3.0, math.inf, math.inf]).median)
    assert spread([3.0, 4.0, math.inf]).median == 4.0


def test_the_headline_is_of_the_problem_where_it_is_worst():
    baseline = Run(hypervolumes=(0.5, 1.0), epochs=(9, 18))
    slow = Run(hypervolumes=(0.5, 0.9, 1.2), epochs=(9, 18, 27))
    runs = [("easy", SHORT), ("hard", slow)]
    results = Results.of(
        (problem, name, seed, baseline if name == BASELINE else run)
        for problem, run in runs
        for name in (BASELINE, DEFAULT, DEFAULT_RUNGS)
        for seed in range(3)
    )
    assert results.headline() == {
        "trials_to_random64": 3.0,
        "hypervolume_over_random64": 1.2,
        "epochs_share": 1.0,
    }


def test_where_only_the_rungs_get_there_all_epochs_of_the_search_without_them_are_counted():
    never, soon = Run(hypervolumes=(0.2, 0.4), epochs=(9, 18)), Run(hypervolumes=(0.3, 1.0), epochs=(3, 6))
    runs = {BASELINE: SHORT, DEFAULT: never, DEFAULT_RUNGS: soon}
    results = Results.of(("hard", name, 0, run) for name, run in runs.items())
    assert results.epochs_share("hard", DEFAULT, DEFAULT_RUNGS, goal=0.5).median == 6 / 18
    assert results.epochs_share("hard", DEFAULT_RUNGS, DEFAULT, goal=0.5).median == math.inf
    assert math.isnan(results.epochs_share("hard", DEFAULT, DEFAULT_RUNGS).median)


def test_a_rival_starts_no_trial_that_could_exceed_its_epochs():
    space = problems()["smooth"](0).space("independent")
    study = BareStudy(space, ("map", "speedup"), Budget(epochs=20), RandomSampler(seed=0))
    assert isinstance(study.suggest("first"), dict)
    assert isinstance(study.suggest("second"), dict)
    assert study.suggest("third") == "FINISHED"
    study.on_trial_complete("first", {"epoch": 1, "map": 0.1, "speedup": 1.0})
    assert isinstance(study.suggest("third"), dict)
