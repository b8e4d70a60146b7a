"""Trials through Ray Tune: the one place that builds a Tuner, for sweeps, their tests and benchmarks alike."""

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
    """Run what the searcher proposes until it wants no more.

    Tune's own state is of no use to us: a restart reads the journal, the rungs and the records (docs/architecture.md).
    It goes to a scratch folder, `storage/tune`, that is gone afterwards.

    Args:
        trainable: a `tune.Trainable` class, or one with parameters, whose `reset_config` takes up another trial.
        searcher: says how many run at once, and when it is enough.
        scheduler: which trials stop early; None: none do.
        name: of the sweep.
        storage: its folder.
        resources: of one trial: cpu, gpu.
        callbacks: told what happens.

    Raises:
        Exception: what the searcher, the scheduler or a callback raised, as it was raised.
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
            # A trial keeps its own state where any driver finds it (trainables.folder).
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
    """Empties what Tune keeps of every metric of a trial that has ended: half of its memory at a thousand trials."""

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._forget(trial)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        self._forget(trial)

    @staticmethod
    def _forget(trial: Any) -> None:
        trial.run_metadata.metric_analysis.clear()
        trial.run_metadata.metric_n_steps.clear()


def first_cause(error: BaseException) -> BaseException:
    """Tune wraps whatever is raised on the driver in errors of its own, with the trace as their message."""
    while isinstance(error, TuneError) and (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return error
