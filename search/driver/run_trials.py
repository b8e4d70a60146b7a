"""Trials run through Ray Tune: the only place that builds a Tuner, for sweeps, tests and benchmarks."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.error import TuneError
from ray.tune.schedulers import TrialScheduler
from ray.tune.search import Searcher


def run_trials(
    trainable: Any,
    searcher: Searcher,
    scheduler: TrialScheduler | None,
    *,
    name: str,
    storage: Path,
    resources: Mapping[str, float],
    callbacks: Sequence[tune.Callback] = (),
) -> None:
    """Run the trials that the searcher proposes until it proposes no more.

    Tune's own state is not needed: a restart reads the journal, the rungs and the records (docs/architecture.md). It
    goes to a scratch folder, `storage/tune`, that is removed afterwards.

    Args:
        trainable: a `tune.Trainable` class, or one with parameters, whose `reset_config` takes up another trial.
        searcher: decides how many trials run at once, and when the search is over.
        scheduler: decides which trials stop early; None lets all finish.
        name: of the sweep.
        storage: its folder.
        resources: of one trial, by the keys cpu and gpu.
        callbacks: called by Tune.

    Raises:
        Exception: the very error that the searcher, the scheduler or a callback raised.
    """
    scratch = storage / "tune"
    shutil.rmtree(scratch, ignore_errors=True)
    tuner = tune.Tuner(
        tune.with_resources(trainable, dict(resources)),
        tune_config=tune.TuneConfig(search_alg=searcher, scheduler=scheduler, num_samples=-1, reuse_actors=True),
        run_config=tune.RunConfig(
            name=name,
            storage_path=str(scratch),
            verbose=0,
            callbacks=[*callbacks, _Forgetting()],
            failure_config=tune.FailureConfig(max_failures=2),
            # A trial keeps its own state in its folder, where any driver finds it (trainables.folder).
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
        ),
    )
    try:
        tuner.fit()
    except TuneError as error:
        raise first_cause(error) from None
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


class _Forgetting(tune.Callback):
    """A callback that empties Tune's metric history of ended trials: half of its memory at a thousand trials."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._forget(trial)

    @staticmethod
    def _forget(trial: Any) -> None:
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()


def first_cause(error: BaseException) -> BaseException:
    """Return the error that was raised on the driver: Tune wraps it in its own, with the trace as message."""
    while isinstance(error, TuneError) and (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
