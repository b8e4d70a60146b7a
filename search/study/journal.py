"""The Optuna study of a sweep, on a journal file: the truth about what was proposed and what came of it.

Optuna appends a line for every dimension, attribute and state, and would wait for the disk after each. This journal
waits once, in `sync`, which the searcher calls before it hands a trial out and after it has told the study of one. That
is enough if the machine crashes: it loses only the lines since then, and those belong either to numbers that no worker
ever had (no trial folder has such a number, and the next driver gives it to another proposal), or to a trial whose
record is on disk (the next driver tells the study again). No number that was handed out is ever lost, so no number can
stand for two trials.
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

from tracking.format_version import VERSION_KEY, check_version
from tracking.record import METRICS

_VERSION = 1
# The study is created, gets its version, and the names of its objectives.
_LINES_BEFORE_TRIALS = 8


class _DriverHoldsTheLock(JournalFileOpenLock):
    """A lock that does nothing, in place of Optuna's.

    Only one driver at a time has the sweep's storage (search.storage.SweepStorage.lock). Optuna's lock is a file that a
    killed driver leaves behind, and the next driver would wait for it.
    """

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return None


class Journal(JournalFileBackend):
    """A file of Optuna's log lines that are on disk after `sync`.

    Lines that a crash left unfinished at the end of the file are cut off when it is opened.

    Args:
        path: of the file; created if there is none.

    Raises:
        UnknownFormatError: the journal has a format version that is not known.
        ValueError: a line before the last is damaged.
    """

    def __init__(self, path: Path) -> None:
        check_journal(path)
        _drop_unfinished_end(path)
        super().__init__(str(path), lock_obj=_DriverHoldsTheLock(str(path)))
        self._path = path
        self._synced = True

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Append one line for each log, all or none of them.

        Args:
            logs: as Optuna makes them.

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
            # The disk took half a line; the next one appended to it would make both unreadable.
            os.truncate(self._path, length)
            raise

    def sync(self) -> None:
        """Wait until every line is on disk."""
        if self._synced:
            return
        with self._path.open("ab") as file:
            os.fsync(file.fileno())
        self._synced = True


def open_study(journal: Journal | Path, objectives: tuple[str, ...]) -> optuna.Study:
    """Return the study of a journal; create it if there is none.

    Args:
        journal: of the sweep, or its path.
        objectives: metric keys, each maximised or minimised as `tracking.record.METRICS` says.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    # Optuna marks names of objectives as experimental; its version is pinned by the lock.
    warnings.filterwarnings("ignore", category=optuna.exceptions.ExperimentalWarning)
    journal = journal if isinstance(journal, Journal) else Journal(journal)
    study = optuna.create_study(
        study_name="sweep",
        storage=JournalStorage(journal),
        directions=["maximize" if METRICS[key].sign > 0 else "minimize" for key in objectives],
        load_if_exists=True,
    )
    if not study.get_trials(deepcopy=False) and VERSION_KEY not in study.user_attrs:
        study.set_user_attr(VERSION_KEY, _VERSION)
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
    """Cut off lines at the end that a killed driver or a crashed machine did not finish."""
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
