"""What a person sees while a sweep runs: a line for every trial that ended, and one that sums up."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from tracking.pareto import pareto_front
from tracking.record import METRICS, TrialRecord


class SweepProgress:
    """Counts trials and epochs, and shows trials done, running and failed, the best quality, front size and time left.

    In a terminal the summary is a bar that stays at the bottom; elsewhere (a job's log) it ends every line.

    Args:
        records: trials that had ended before this start of the sweep.
        trials: the budget.
        epochs: of each trial.
        objectives: metric keys whose front is counted, the quality first.
    """

    def __init__(
        self,
        console: Console,
        records: list[TrialRecord],
        *,
        trials: int,
        epochs: int,
        objectives: tuple[str, ...],
    ) -> None:
        self._console, self._objectives, self._epochs = console, objectives, epochs
        self._trials = trials
        self._records = {record.number: record for record in records}
        self._epochs_of: dict[int, int] = {}  # of running trials
        self._epochs_done = 0
        self._started = time.monotonic()
        self._bar: tuple[Progress, TaskID] | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar for as long as this lasts; nothing outside a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(self.summary(), total=self._trials * self._epochs)
            self._bar = progress, task
            self._refresh()
            yield
        self._bar = None

    def started(self, number: int) -> None:
        """A trial runs."""
        self._epochs_of.setdefault(number, 0)
        self._refresh()

    def epoch(self, number: int, epoch: int) -> None:
        """A trial has done its `epoch`-th epoch (from 1)."""
        self._epochs_done += 1
        self._epochs_of[number] = epoch
        self._refresh()

    def ended(self, record: TrialRecord) -> None:
        """A trial has ended and left its record."""
        self._epochs_of.pop(record.number, None)
        self._records[record.number] = record
        self._console.print(self._line(record), markup=False, highlight=False, soft_wrap=True)
        self._refresh()

    def summary(self) -> str:
        """Trials, best quality, front and time left, in one line."""
        failed = sum(record.status == "failed" for record in self._records.values())
        finished = [record for record in self._records.values() if record.status == "finished"]
        quality = METRICS[self._objectives[0]]
        best = max((record.metrics[self._objectives[0]] for record in finished), default=None)
        return (
            f"{self._counted}/{self._trials} trials, {len(self._epochs_of)} running, {failed} failed | "
            f"best {quality.label} {quality.show(best)} | front {self._front_size(finished)} | {self._time_left()} left"
        )

    @property
    def _counted(self) -> int:
        return sum(record.status != "failed" for record in self._records.values())

    def _line(self, record: TrialRecord) -> str:
        name = f"trial {record.number:>3} {record.schedule.method if record.schedule else '?':<5}"
        if record.status == "failed":
            line = f"{name} failed: {record.message}"
        else:
            keys = dict.fromkeys((*self._objectives, "mac_ratio"))
            shown = [f"{METRICS[key].label} {METRICS[key].show(record.metrics.get(key))}" for key in keys]
            line = f"{name} {'  '.join(shown)}"
        return line if self._bar else f"{line}  [{self.summary()}]"

    def _front_size(self, finished: list[TrialRecord]) -> int:
        points = [[METRICS[key].sign * record.metrics[key] for key in self._objectives] for record in finished]
        return int(pareto_front(np.array(points).reshape(len(points), len(self._objectives))).sum())

    def _time_left(self) -> str:
        if not self._epochs_done:
            return "?:??:??"
        per_epoch = (time.monotonic() - self._started) / self._epochs_done
        left = (self._trials - self._counted) * self._epochs - sum(self._epochs_of.values())
        return str(timedelta(seconds=round(per_epoch * max(left, 0))))

    def _refresh(self) -> None:
        if self._bar:
            progress, task = self._bar
            done = self._counted * self._epochs + sum(self._epochs_of.values())
            progress.update(task, completed=done, description=self.summary())
