"""The Optuna study of a sweep, on a journal file: the truth about what was proposed and what came of it."""

import warnings
from pathlib import Path

import optuna
from optuna.samplers import BaseSampler, RandomSampler, TPESampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from tracking.record import METRICS


class _DriverHoldsTheLock(JournalFileOpenLock):
    """No lock of the journal's own.

    One driver at a time has the sweep's storage (search.storage.SweepStorage.lock). Optuna's lock is a file that a
    killed driver leaves behind, and the next one would wait for it.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


def open_study(path: Path, objectives: tuple[str, ...], sampler: str, seed: int) -> optuna.Study:
    """The study on the journal at `path`, made when there is none.

    Objectives are metric keys, each maximised or minimised as `tracking.record.METRICS` says. A line that a killed
    driver did not finish is taken off the journal's end first.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Groups in TPE and names of objectives are marked as experimental; both are pinned by the lock.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    _drop_unfinished_line(path)
    storage = JournalStorage(JournalFileBackend(str(path), lock_obj=_DriverHoldsTheLock(str(path))))
    study = optuna.create_study(
        study_name="sweep",
        storage=storage,
        directions=["maximize" if METRICS[key].sign > 0 else "minimize" for key in objectives],
        load_if_exists=True,
    )
    # A sampler started anew with the same seed would draw the same numbers again after a restart.
    study.sampler = make_sampler(sampler, seed + 1000 * len(study.get_trials(deepcopy=False)))
    if study.metric_names is None:
        study.set_metric_names(list(objectives))
    return study


def make_sampler(name: str, seed: int) -> BaseSampler:
    """A sampler by its name in a sweep file."""
    if name == "random":
        return RandomSampler(seed=seed)
    # Trials run side by side: constant_liar keeps the sampler from proposing near a running one again.
    return TPESampler(multivariate=True, group=True, constant_liar=True, seed=seed)


def _drop_unfinished_line(path: Path) -> None:
    if not path.is_file():
        return
    content = path.read_bytes()
    if content and not content.endswith(b"\n"):
        with path.open("r+b") as file:
            file.truncate(content.rfind(b"\n") + 1)
