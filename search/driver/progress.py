"""The progress display of a sweep: a line for every trial that ended, and a summary."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta

import numpy as np
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from search.study.budget import Budget
from tracking.pareto import pareto_front
from tracking.record import METRICS, TrialRecord

# Statuses that count towards a budget of trials.
COUNTED = ("finished", "stopped")


class SweepProgress:
    """Progress of a sweep: trials done, running and failed, the best quality, the front's size, and the time left.

    In a terminal the summary is a bar that stays at the bottom; elsewhere (a job's log) it ends every line.

    Args:
        console: where it is shown.
        records: trials that had ended before this start of the sweep.
        budget: how much the sweep may spend.
        epochs: of the longest trial.
        objectives: metric keys whose front is counted, the quality first.
        hours: returns how long the sweep's drivers have run so far; needed where the budget is in hours.
    """

    def __init__(
        self,
        console: Console,
        records: list[TrialRecord],
        *,
        budget: Budget,
        epochs: int,
        objectives: tuple[str, ...],
        hours: Callable[[], float] = lambda: 0.0,
    ) -> None:
        self._console, self._objectives, self._epochs = console, objectives, epochs
        self._budget, self._hours = budget, hours
        self._records = {record.number: record for record in records}
        self._epochs_of: dict[int, int] = {}  # of running trials
        self._epochs_done = 0
        self._started = time.monotonic()
        self._bar: tuple[Progress, TaskID] | None = None

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Show the bar while the context lasts; nothing outside a terminal."""
        if not self._console.is_terminal:
            yield
            return
        columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
        with Progress(*columns, console=self._console) as progress:
            task = progress.add_task(self.summary(), total=1.0)
            self._bar = progress, task
            self._refresh()
            yield
        self._bar = None

    def started(self, number: int) -> None:
        """Note that a trial runs."""
        self._epochs_of.setdefault(number, 0)
        self._refresh()

    def epoch(self, number: int, epoch: int) -> None:
        """Note that a trial has done its `epoch`-th epoch, counted from 1."""
        self._epochs_done += 1
        self._epochs_of[number] = epoch
        self._refresh()

    def ended(self, record: TrialRecord) -> None:
        """Note that a trial has ended, and print a line about it."""
        self._epochs_of.pop(record.number, None)
        self._records[record.number] = record
        self._console.print(self._line(record), markup=False, highlight=False, soft_wrap=True)
        self._refresh()

    def summary(self) -> str:
        """Return trials, best quality, front and time left in one line."""
        failed = sum(record.status == "failed" for record in self._records.values())
        finished = [record for record in self._records.values() if record.status == "finished"]
        quality = METRICS[self._objectives[0]]
        best = max((record.metrics[self._objectives[0]] for record in finished), default=None)
        return (
            f"{self._spent()}, {len(self._epochs_of)} running, {failed} failed | "
            f"best {quality.label} {quality.show(best)} | front {self._front_size(finished)} | {self._time_left()} left"
        )

    @property
    def _counted(self) -> int:
        return sum(record.status in COUNTED for record in self._records.values())

    @property
    def _trained(self) -> int:
        """Epochs that all trials have trained, running ones included."""
        return sum(len(record.curve) for record in self._records.values()) + sum(self._epochs_of.values())

    def _spent(self) -> str:
        """Return in words how much of the budget is used."""
        budget, stopped = self._budget, sum(record.status == "stopped" for record in self._records.values())
        parts = [f"{self._counted}{f'/{budget.trials}' if budget.trials else ''} trials"]
        parts += [f"{stopped} of them stopped early"] if stopped else []
        parts += [f"{self._trained}/{budget.epochs} epochs"] if budget.epochs else []
        parts += [f"{self._hours():.1f}/{budget.hours:g} h"] if budget.hours else []
        return ", ".join(parts)

    def _line(self, record: TrialRecord) -> str:
        name = f"trial {record.number:>3} {record.schedule.method if record.schedule else '?':<5}"
        if record.status != "finished":
            line = f"{name} {record.status}: {record.message}"
        else:
            keys = dict.fromkeys((*self._objectives, "mac_ratio"))
            shown = [f"{METRICS[key].label} {METRICS[key].show(record.metrics.get(key))}" for key in keys]
            line = f"{name} {'  '.join(shown)}"
        return line if self._bar else f"{line}  [{self.summary()}]"

    def _front_size(self, finished: list[TrialRecord]) -> int:
        points = [[METRICS[key].sign * record.metrics[key] for key in self._objectives] for record in finished]
        return int(pareto_front(np.array(points).reshape(len(points), len(self._objectives))).sum())

    def _time_left(self) -> str:
        left = self._epochs_left()
        if left and not self._epochs_done:
            return "?:??:??"
        seconds = left * (time.monotonic() - self._started) / max(1, self._epochs_done)
        if self._budget.hours is not None:
            seconds = min(seconds, max(0.0, self._budget.hours - self._hours()) * 3600)
        return str(timedelta(seconds=round(seconds)))

    def _epochs_left(self) -> float:
        """Return the epochs until the budget is used up, assuming that trials end as early as they did so far."""
        counted = [record for record in self._records.values() if record.status in COUNTED and record.curve]
        mean = sum(len(record.curve) for record in counted) / len(counted) if counted else self._epochs
        bounds = []
        if self._budget.trials is not None:
            bounds.append((self._budget.trials - self._counted) * mean - sum(self._epochs_of.values()))
        if self._budget.epochs is not None:
            bounds.append(self._budget.epochs - self._trained)
        return max(0.0, min(bounds)) if bounds else math.inf

    def _share(self) -> float:
        """Return the share of the work that is done, for the bar."""
        left = self._epochs_left()
        if math.isinf(left):
            return self._hours() / (self._budget.hours or 1.0)
        return self._trained / (self._trained + left) if self._trained else 0.0

    def _refresh(self) -> None:
        if self._bar:
            progress, task = self._bar
            progress.update(task, completed=min(1.0, self._share()), description=self.summary())
