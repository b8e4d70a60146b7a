"""The Optuna study of a sweep, on a journal file: the truth about what was proposed and what came of it.

Optuna appends a line for every dimension, attribute and state, and would wait for the disk after each. This journal
waits once, in `sync`, which the searcher calls before it hands a trial out and after it has told one. That is enough
for a machine that crashes: what it loses are the last lines since, and those belong to numbers that no worker ever had
(so no folder bears them, and the next driver gives them to other proposals), or tell of a trial whose record lies on
disk (so the next driver tells it again). No number that was handed out is ever lost, so none can stand for two trials.
"""

import itertools
import json
import os
import warnings
from pathlib import Path
from typing import Any

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

from search.study.samplers import make_sampler
from tracking.format_version import VERSION_KEY, check_version
from tracking.record import METRICS

_VERSION = 1
# The study is created, gets its version, and the names of its objectives.
_LINES_BEFORE_TRIALS = 8


class _DriverHoldsTheLock(JournalFileOpenLock):
    """No lock of the journal's own.

    One driver at a time has the sweep's storage (search.storage.SweepStorage.lock). Optuna's lock is a file that a
    killed driver leaves behind, and the next one would wait for it.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


class Journal(JournalFileBackend):
    """Optuna's lines in a file, which are on disk after `sync`. What a crash left unfinished at its end is cut off.

    Raises:
        ValueError: a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        check_journal(path)
        _drop_unfinished_end(path)
        super().__init__(str(path), lock_obj=_DriverHoldsTheLock(str(path)))
        self._path = path
        self._synced = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append one line a log, all or none of them.

        Raises:
            OSError: the disk is full, or lost.
        """
        lines = "".join(json.dumps(log, separators=(",", ":")) + "\n" for log in logs)
        length = self._path.stat().st_size
        self._synced = False
        try:
            with self._path.open("ab") as file:
                file.write(lines.encode())
        except OSError:
            # The disk took half a line; with the next behind it, it would be one that nobody can read.
            os.truncate(self._path, length)
            raise

    def sync(self) -> None:
        """Wait until every line is on disk."""
        if self._synced:
            return
        with self._path.open("ab") as file:
            os.fsync(file.fileno())
        self._synced = True


def open_study(journal: Journal | Path, objectives: tuple[str, ...], sampler: str, seed: int) -> optuna.Study:
    """The study on a journal, or on the one at that path; made when there is none.

    Objectives are metric keys, each maximised or minimised as `tracking.record.METRICS` says.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Names of objectives are marked as experimental; they are pinned by the lock.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    journal = journal if isinstance(journal, Journal) else Journal(journal)
    study = optuna.create_study(
        study_name="sweep",
        storage=JournalStorage(journal),
        directions=["maximize" if METRICS[key].sign > 0 else "minimize" for key in objectives],
        load_if_exists=True,
    )
    # A sampler started anew with the same seed would draw the same numbers again after a restart.
    trials = len(study.get_trials(deepcopy=False))
    if not trials and VERSION_KEY not in study.user_attrs:
        study.set_user_attr(VERSION_KEY, _VERSION)
    study.sampler = make_sampler(sampler, seed + 1000 * trials)
    if study.metric_names is None:
        study.set_metric_names(list(objectives))
    return study


def check_journal(path: Path) -> None:
    """Refuse a journal of a format version that is not known, before anything of it is read or cut off.

    Args:
        path: of the journal; there need not be one.

    Raises:
        UnknownFormatError: says which version it has.
    """
    if not path.is_file():
        return
    with path.open("rb") as file:
        for line in itertools.islice(file, _LINES_BEFORE_TRIALS):
            attributes = _user_attributes(line)
            if VERSION_KEY in attributes:
                check_version(attributes[VERSION_KEY], path, "a sweep's journal", _VERSION)


def _user_attributes(line: bytes) -> dict[str, Any]:
    """Return the user attributes that a line sets; none of a damaged line, which is dealt with elsewhere."""
    try:
        log = json.loads(line)
    except ValueError:
        return {}
    attributes = log.get("user_attr", {}) if isinstance(log, dict) else {}
    return attributes if isinstance(attributes, dict) else {}


def _drop_unfinished_end(path: Path) -> None:
    """Cut the lines off the end that a killed driver, or a machine that crashed, did not finish."""
    if not path.is_file():
        return
    content = path.read_bytes()
    lines = content.splitlines(keepends=True)
    whole = len(lines)
    while whole and not _is_whole(lines[whole - 1]):
        whole -= 1
    for number, line in enumerate(lines[:whole], start=1):
        if not _is_whole(line):
            raise ValueError(f"line {number} of {path} is damaged: bring it back from a backup, or start a new sweep")
    length = sum(map(len, lines[:whole]))
    if length < len(content):
        os.truncate(path, length)


def _is_whole(line: bytes) -> bool:
    if not line.endswith(b"\n"):
        return False
    try:
        json.loads(line)
    except ValueError:
        return False
    return True
