"""Contenders on problems: all of them for the document, or the two whose figures matter most."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from benchmarks.search.best_known import read_best
from benchmarks.search.contenders import (
    BASELINE,
    BY_EPOCHS,
    BY_TRIALS,
    DEFAULT,
    DEFAULT_RUNGS,
    Contender,
    available,
    why_left_out,
)
from benchmarks.search.figures import Results
from benchmarks.search.kept_runs import KeptRuns
from benchmarks.search.overhead import ask_tell_ms
from benchmarks.search.problems import Problem
from benchmarks.search.runs import search, simulated
from benchmarks.search.yardstick import Shares
from search.simulation.virtual_time import Simulation
from search.study.budget import Budget
from trainables.simulation.simulated import Blackbox

TRIALS, SEEDS, QUICK_SEEDS = 64, 10, 3
ASKED_AT = 1000


def compare(
    found: Mapping[str, Problem],
    seeds: int,
    runs: KeptRuns,
    console: Console,
    *,
    by_trials: Mapping[str, Contender] = BY_TRIALS,
    by_epochs: Mapping[str, Contender] = BY_EPOCHS,
    trials: int = TRIALS,
    epochs_share: float = 1.0,
) -> Iterator[tuple[str, str, int, Any]]:
    """Every contender on every problem with every seed: (problem, contender, seed, `Run`), as they are done.

    Args:
        found: the problems.
        seeds: how many.
        runs: those that are kept.
        console: is told of each.
        by_trials: contenders that are given `trials`.
        by_epochs: those that are given the epochs of as many whole trials, or `epochs_share` of them.
        trials: see `by_trials`.
        epochs_share: see `by_epochs`.
    """
    for name, contender in {**by_trials, **by_epochs}.items():
        if (why := why_left_out(contender)) is not None:
            console.print(f"{name} is left out: {why}", highlight=False)
    for seed in range(seeds):
        for problem, of_seed in found.items():
            blackbox = of_seed(seed)
            budget = Budget(epochs=int(epochs_share * trials * blackbox.epochs))
            work = [(name, contender, Budget(trials=trials)) for name, contender in available(by_trials).items()]
            work += [(name, contender, budget) for name, contender in available(by_epochs).items()]
            for name, contender, given in work:
                make = partial(search, contender, blackbox, given, seed)
                run = runs.get(problem, name, seed, contender, given, make)
                console.print(
                    f"{problem} {seed} {name}: {run.last:.3f} after {len(run.epochs)} trials", highlight=False
                )
                yield problem, name, seed, run


def one_sweep_of_each(blackbox: Blackbox) -> tuple[Simulation, Simulation]:
    """The default without and with rungs, over equally many epochs."""
    budget = Budget(epochs=TRIALS * blackbox.epochs)
    whole, stopped = BY_TRIALS[DEFAULT], BY_EPOCHS[DEFAULT_RUNGS]
    return simulated(whole, blackbox, budget, 0), simulated(stopped, blackbox, budget, 0)


def quick(
    found: Mapping[str, Problem],
    console: Console,
    *,
    seeds: int = QUICK_SEEDS,
    trials: int = TRIALS,
    asked_at: int = ASKED_AT,
) -> dict[str, float | dict[str, float] | None]:
    """The five figures that matter most, each of the problem where it is worst; None for what was never reached.

    trials_to_random64, hypervolume_over_random64: of the default. epochs_share: epochs to random's hypervolume with
    rungs over those without, of the default. ask_tell_ms_at_1000: of one ask and one tell. share_of_best: of the best
    known hypervolume, after so many trials, of the default.
    """
    with TemporaryDirectory() as folder:
        compared = compare(
            found,
            seeds,
            KeptRuns(Path(folder)),
            console,
            by_trials={name: BY_TRIALS[name] for name in (BASELINE, DEFAULT)},
            by_epochs={DEFAULT_RUNGS: BY_EPOCHS[DEFAULT_RUNGS]},
            trials=trials,
            epochs_share=0.5,
        )
        results = Results.of(compared)
    return {
        **results.headline(),
        "ask_tell_ms_at_1000": round(sum(ask_tell_ms(asked_at)), 1),
        "share_of_best": Shares.of(results, found, read_best()).worst(),
    }
