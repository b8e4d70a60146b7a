"""What the search itself costs: asking and telling, the driver's time and memory, idle slots, and many slots.

Measured by `benchmarks.search` in a process of its own, in ten minutes, best alone on the machine. Kept in
`runs/search/overhead.json`; remove the file to measure again.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
from ray import tune

from benchmarks.search.contenders import OBJECTIVES, REFERENCE, Counted, scratch
from search.driver.cluster import connected
from search.driver.environment import prepare_ray
from search.driver.run_trials import run_trials
from search.simulation.virtual_time import Simulation, simulate
from search.study.budget import Budget
from search.study.samplers import DEFAULT_SAMPLER
from search.study.search_spec import SearchSpec
from search.study.searcher import StudySearcher
from tracking.files import write_atomically
from tracking.pareto import hypervolume
from trainables.simulation.closed_form import closed_form
from trainables.simulation.simulated import Blackbox
from trainables.simulation.simulated_ray import SimulatedRayTrial

FAMILY, SEED = "smooth", 0
TIMED = 20  # calls, the last ones
ASKED_AT = 1000
DRIVEN = 1000  # trials through Ray
WINDOW = 50  # trials over which the driver's time is taken
GIVEN_TRIALS, GIVEN_SECONDS, SLOTS = 24, 10.0, 2
MANY_TRIALS, MANY_SLOTS = 2000, 64
KEPT = "overhead.json"


def main() -> None:
    """Measure all, and keep it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=Path, default=Path("runs/search"), help="where results are kept")
    runs = parser.parse_args().runs
    ask_ms, tell_ms = ask_tell_ms(ASKED_AT)
    found = {"ask_ms": ask_ms, "tell_ms": tell_ms, **many_slots()}
    with connected(None):
        found |= given_durations() | driver_costs()
    runs.mkdir(parents=True, exist_ok=True)
    write_atomically(runs / KEPT, json.dumps(found, indent=1))


def overheads(runs: Path) -> dict[str, float]:
    """What `main` has kept, measured now in a process of its own where nothing is kept."""
    path = runs / KEPT
    if not path.is_file():
        prepare_ray(None)  # too late for this process, in time for the other
        subprocess.run([sys.executable, "-m", "benchmarks.search.overhead", "--runs", str(runs)], check=True)
    found: dict[str, float] = json.loads(path.read_text())
    return found


@dataclass
class Timed:
    """A searcher whose calls are timed: those that gave a trial, and those that took one."""

    searcher: StudySearcher
    asked_s: list[float] = field(default_factory=list)
    told_s: list[float] = field(default_factory=list)

    def suggest(self, trial_id: str) -> Any:
        """As the searcher's."""
        begin = time.perf_counter()
        config = self.searcher.suggest(trial_id)
        if isinstance(config, dict):
            self.asked_s.append(time.perf_counter() - begin)
        return config

    def on_trial_complete(self, trial_id: str, result: dict[str, Any]) -> None:
        """As the searcher's."""
        begin = time.perf_counter()
        self.searcher.on_trial_complete(trial_id, result)
        self.told_s.append(time.perf_counter() - begin)


def ask_tell_ms(at: int) -> tuple[float, float]:
    """Milliseconds of one ask and of one tell at trial `at`: medians of the last few calls, on a journal on disk.

    Twelve groups, two slots. All but the last trials were proposed at random, as in a sweep that goes on with another
    sampler: what an ask costs depends on how many trials there are.
    """
    blackbox = closed_form(FAMILY, SEED)
    with TemporaryDirectory() as folder:
        for sampler, trials in (("random", max(1, at - TIMED)), (DEFAULT_SAMPLER, at)):
            searcher = searcher_over(blackbox, Path(folder), Budget(trials=trials), sampler=sampler, slots=SLOTS)
            timed = Timed(searcher)
            simulate(cast(StudySearcher, timed), None, blackbox, slots=SLOTS, storage=Path(folder))
    # The first ask of the second sitting opens the journal.
    return 1000 * statistics.median(timed.asked_s[1:]), 1000 * statistics.median(timed.told_s)


def many_slots() -> dict[str, float]:
    """Thousands of simulated trials on many slots: how long they take to simulate, and whether the front is right."""
    blackbox, begin = closed_form(FAMILY, SEED), time.perf_counter()
    with scratch() as folder:
        searcher = searcher_over(blackbox, Path(folder), Budget(trials=MANY_TRIALS), slots=MANY_SLOTS)
        simulation = simulate(searcher, None, blackbox, slots=MANY_SLOTS, storage=Path(folder))
    return {
        "many_seconds": time.perf_counter() - begin,
        "many_finished": len(simulation.finished),
        "many_front_is_right": float(_front_is_right(simulation)),
    }


def given_durations() -> dict[str, float]:
    """Trials that only sleep, through Ray on two slots: wall time over the ideal schedule's.

    From the first trial's start to the last one's end; and with the start and the end of Tune itself.
    """
    blackbox, clock = closed_form(FAMILY, SEED), Clock()
    begin = time.time()
    _drive(blackbox, GIVEN_TRIALS, clock, epoch_seconds=GIVEN_SECONDS / blackbox.epochs)
    whole, ideal = time.time() - begin, GIVEN_TRIALS / SLOTS * GIVEN_SECONDS
    return {"over_ideal": (clock.ended_s[-1] - clock.started_s) / ideal, "whole_over_ideal": whole / ideal}


def driver_costs() -> dict[str, float]:
    """Trials of no duration through Ray: the driver's CPU time a trial, of all and at the end; how its memory grew."""
    clock = Clock()
    _drive(closed_form(FAMILY, SEED), DRIVEN, clock)
    return {
        "driver_ms_of_all": 1000 * (clock.cpu_s[-1] - clock.cpu_s[0]) / (DRIVEN - 1),
        "driver_ms": 1000 * (clock.cpu_s[-1] - clock.cpu_s[-1 - WINDOW]) / WINDOW,
        "driver_ms_at_100": 1000 * (clock.cpu_s[99] - clock.cpu_s[99 - WINDOW]) / WINDOW,
        "rss_growth_mib": clock.rss_mib[-1] - clock.rss_mib[99],
    }


class Clock(tune.Callback):
    """Notes, at the end of each trial, the time, and the driver's CPU time and memory."""

    def __init__(self) -> None:
        self.started_s = 0.0
        self.ended_s: list[float] = []
        self.cpu_s: list[float] = []
        self.rss_mib: list[float] = []

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """The first one is noted."""
        self.started_s = self.started_s or time.time()

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Every one is noted."""
        self.ended_s.append(time.time())
        self.cpu_s.append(time.process_time())
        self.rss_mib.append(_resident_mib())


def searcher_over(
    blackbox: Blackbox, storage: Path, budget: Budget, *, sampler: str = DEFAULT_SAMPLER, slots: int
) -> StudySearcher:
    """The searcher of a sweep over a black box."""
    return StudySearcher(
        SearchSpec(
            storage=storage,
            space=blackbox.space(),
            objectives=OBJECTIVES,
            budget=budget,
            concurrent=slots,
            sampler=sampler,
            seed=SEED,
            max_failures=0,
            costs=Counted(blackbox).metrics,
        )
    )


def _drive(blackbox: Blackbox, trials: int, clock: Clock, epoch_seconds: float = 0.0) -> None:
    with TemporaryDirectory() as folder:
        storage = Path(folder)
        trainable = tune.with_parameters(
            SimulatedRayTrial, blackbox=blackbox, storage=storage, epoch_seconds=epoch_seconds
        )
        searcher = searcher_over(blackbox, storage, Budget(trials=trials), slots=SLOTS)
        run_trials(trainable, searcher, None, name="overhead", storage=storage, resources={"cpu": 1}, callbacks=[clock])


def _front_is_right(simulation: Simulation) -> bool:
    """Whether the hypervolume, kept up trial by trial, is that of the points that no other beats, found one by one."""
    points_N2 = np.array([[each.record.metrics[key] for key in OBJECTIVES] for each in simulation.finished])
    beaten_N = [bool(((points_N2 >= point).all(axis=1) & (points_N2 > point).any(axis=1)).any()) for point in points_N2]
    brute = hypervolume(points_N2[~np.array(beaten_N)], np.array(REFERENCE))
    return bool(np.isclose(simulation.hypervolumes(OBJECTIVES, REFERENCE)[-1], brute))


def _resident_mib() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


if __name__ == "__main__":
    main()
