"""A sweep of trivial trials with rungs, run as a process of its own so that a test can kill it.

python halving_driver.py STORAGE: every trial's epochs are appended to STORAGE/trained/<number>, one line each.
"""

import sys
import time
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.tune.search import Searcher

from search.driver.run_trials import run_trials
from search.halving.scheduler import SuccessiveHalvingScheduler
from search.halving.successive_halving import SuccessiveHalving

EPOCHS = 4
# Trials 1 and 5 are dominated at once, 3 at the second rung (see `report`); the others are the best so far, or fastest.
REPORTS = ((0.50, 2.0), (0.40, 2.0), (0.60, 2.0), (0.65, 2.0), (0.70, 2.0), (0.20, 2.0), (0.80, 2.0), (0.60, 4.0))


def build_halving(storage: Path) -> SuccessiveHalving:
    return SuccessiveHalving(storage / "rungs.jsonl", epochs=EPOCHS, grace=1, reduction=2, signs=(1, 1))


def report(number: int, epoch: int) -> dict[str, float]:
    quality, speedup = REPORTS[number]
    fallen = 0.3 if number == 3 and epoch > 1 else 0.0
    return {"epoch": epoch, "map": quality - fallen, "speedup": speedup}


def trained(storage: Path, number: int) -> list[str]:
    path = storage / "trained" / str(number)
    return path.read_text().split() if path.is_file() else []


class Trivial(tune.Trainable):
    """Goes on where its lines end."""

    def setup(self, config: dict[str, Any], storage: Path) -> None:  # type: ignore[override]
        self.storage = storage
        self.reset_config(config)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.number = new_config["number"]
        return True

    def step(self) -> dict[str, Any]:
        time.sleep(0.1)
        epoch = len(trained(self.storage, self.number)) + 1
        with (self.storage / "trained" / str(self.number)).open("a") as file:
            file.write(f"{epoch}\n")
        return {**report(self.number, epoch), "done": epoch == EPOCHS}


class Numbers(Searcher):
    """Hands out what has neither finished nor been stopped, one at a time."""

    def __init__(self, storage: Path) -> None:
        super().__init__()
        self.storage, self.running = storage, ""

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        if self.running:
            return None
        rungs = build_halving(self.storage)
        for number in range(len(REPORTS)):
            if len(trained(self.storage, number)) < EPOCHS and not rungs.stopped(number):
                self.running = trial_id
                return {"number": number}
        return Searcher.FINISHED

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.running = ""

    def save(self, checkpoint_path: str) -> None:
        pass

    def restore(self, checkpoint_path: str) -> None:
        pass


def main(storage: Path) -> None:
    (storage / "trained").mkdir(exist_ok=True)
    ray.init(address="local", num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    run_trials(
        tune.with_parameters(Trivial, storage=storage),
        Numbers(storage),
        SuccessiveHalvingScheduler(build_halving(storage), ("map", "speedup")),
        name="halving",
        storage=storage,
        resources={"cpu": 1},
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
