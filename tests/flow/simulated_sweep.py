"""The driver of a sweep whose trials only last: everything is real but the training. A process to kill.

python tests/flow/simulated_sweep.py STORAGE TRIALS [FAULTS as JSON]
"""

import io
import json
import sys
from pathlib import Path

from search.driver.environment import prepare_ray

SLOTS, EPOCH_SECONDS, STEP_TIMEOUT_S = 2, 0.15, 8.0
OBJECTIVES = ("map", "speedup")


def main(storage: Path, trials: int, faults: list[dict]) -> None:
    prepare_ray(None)
    import ray
    from ray import tune
    from rich.console import Console

    from search.driver.callbacks import SweepCallback
    from search.driver.progress import SweepProgress
    from search.driver.run_trials import run_trials
    from search.halving.scheduler import SuccessiveHalvingScheduler
    from search.halving.successive_halving import SuccessiveHalving
    from search.study.budget import Budget
    from search.study.search_spec import SearchSpec
    from search.study.searcher import StudySearcher
    from tracking.mlflow_runs.mlflow_client import default_tracking_uri
    from tracking.mlflow_runs.store import MlflowStore
    from trainables.folder import read_records
    from trainables.simulation.closed_form import closed_form
    from trainables.simulation.simulated_ray import Fault, SimulatedRayTrial

    class Noted(SimulatedRayTrial):
        """Notes each epoch that it begins."""

        def _meet_faults(self, epoch: int) -> None:
            with (storage / "epochs.log").open("a") as log:
                log.write(f"{self._number} {epoch}\n")
            super()._meet_faults(epoch)

    storage.mkdir(exist_ok=True)
    problem = closed_form("knees", 0)
    space, budget = problem.space(), Budget(trials=trials)
    rungs = SuccessiveHalving(storage / "rungs.jsonl", epochs=problem.epochs, grace=1, reduction=3, signs=(1, 1))
    searcher = StudySearcher(
        SearchSpec(
            storage=storage,
            space=space,
            objectives=OBJECTIVES,
            budget=budget,
            concurrent=SLOTS,
            sampler="random",
            seed=0,
            max_failures=3,
            costs=problem.costs,
            was_stopped=rungs.stopped,
        )
    )
    records = read_records(storage)
    progress = SweepProgress(
        Console(file=io.StringIO()), records, budget=budget, epochs=problem.epochs, objectives=OBJECTIVES
    )
    store = MlflowStore(default_tracking_uri(storage), "simulated", storage)
    store.sync(records)
    ray.init(address="local", num_cpus=SLOTS, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    run_trials(
        tune.with_parameters(
            Noted,
            blackbox=problem,
            storage=storage,
            epoch_seconds=EPOCH_SECONDS,
            faults=tuple(Fault(**fault) for fault in faults),
            step_timeout_s=STEP_TIMEOUT_S,
        ),
        searcher,
        SuccessiveHalvingScheduler(rungs, OBJECTIVES),
        name="simulated",
        storage=storage,
        resources={"cpu": 1},
        callbacks=[SweepCallback(storage, progress, store)],
    )
    store.close()


if __name__ == "__main__":
    folder, count, *more = sys.argv[1:]
    main(Path(folder), int(count), json.loads(more[0]) if more else [])
