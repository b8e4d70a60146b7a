"""A sweep in virtual time: the real searcher, scheduler and records, without Ray and without training."""

import heapq
import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from pruning.schedule import Schedule
from search.halving.successive_halving import SuccessiveHalving
from search.study.searcher import StudySearcher
from spaces.params import params_of
from tracking.limits import Limits
from tracking.pareto import GrowingFront
from tracking.provenance import provenance
from tracking.record import METRICS, EpochPoint, TrialRecord
from trainables.folder import TrialFolder
from trainables.simulation.simulated import Blackbox, simulated_metrics

_UNLIMITED = Limits()


@dataclass(frozen=True)
class Ended:
    """A trial that ended.

    Attributes:
        time_s: virtual time since the sweep began.
        epochs: trained by all trials until then, running ones included.
        running: how many trials ran when it ended, itself included.
        record: of the trial.
    """

    time_s: float
    epochs: int
    running: int
    record: TrialRecord


@dataclass(frozen=True)
class Simulation:
    """The trials of a simulated sweep.

    Attributes:
        ended: all of them, in the order in which they ended.
    """

    ended: tuple[Ended, ...]

    @property
    def finished(self) -> tuple[Ended, ...]:
        """The trials that finished."""
        return tuple(each for each in self.ended if each.record.status == "finished")

    @property
    def epochs(self) -> int:
        """Epochs trained by all trials."""
        return self.ended[-1].epochs if self.ended else 0

    def hypervolumes(self, objectives: Sequence[str], reference: Sequence[float]) -> list[float]:
        """Return the hypervolume of the front after each finished trial.

        Args:
            objectives: metric keys, quality first.
            reference: the reference point, in the objectives' own units.
        """
        signs_M = np.array([METRICS[key].sign for key in objectives], dtype=np.float64)
        front = GrowingFront(signs_M * reference)
        return [front.add(signs_M * [each.record.metrics[key] for key in objectives]) for each in self.finished]


@dataclass
class _Running:
    """A trial that runs, whose whole curve is known; `epoch` epochs of it are over."""

    id: str
    number: int
    schedule: Schedule
    costs: dict[str, float]
    curve: tuple[EpochPoint, ...]
    epoch: int = 0

    @property
    def seen(self) -> tuple[EpochPoint, ...]:
        return self.curve[: self.epoch]


def simulate(
    searcher: StudySearcher,
    rungs: SuccessiveHalving | None,
    blackbox: Blackbox,
    *,
    slots: int,
    storage: Path,
    objectives: tuple[str, ...] = ("map", "speedup"),
    limits: Limits = _UNLIMITED,
) -> Simulation:
    """Run a sweep to the end of its budget.

    Epochs last as long as the black box says, everything else takes no time. `storage` then holds what a real sweep
    leaves: the searcher's journal, a record for each trial, the decisions at the rungs.

    Args:
        searcher: over `storage`, for as many concurrent trials as there are slots.
        rungs: decides which trials go on; None lets all of them finish.
        blackbox: gives the curves and costs of the trials.
        slots: how many trials run at once.
        storage: the sweep's folder.
        objectives: those of the searcher, which the rungs compare.
        limits: of the sweep; a trial checks the limit on its measured speed before it trains.

    Raises:
        RuntimeError: the searcher proposes no trial though none runs and the search is not over.
    """
    return _Sweep(searcher, rungs, blackbox, slots, storage, objectives, limits).run()


@dataclass
class _Sweep:
    searcher: StudySearcher
    rungs: SuccessiveHalving | None
    blackbox: Blackbox
    slots: int
    storage: Path
    objectives: tuple[str, ...]
    limits: Limits
    made_by: dict[str, str] = field(default_factory=lambda: provenance(device="simulated"))
    now_s: float = 0.0
    epochs: int = 0
    ended: list[Ended] = field(default_factory=list)
    running: list[tuple[float, int, _Running]] = field(default_factory=list)  # a heap by the end of their epoch
    order: Iterator[int] = field(default_factory=itertools.count)  # of equal times, the earlier begun comes first

    def run(self) -> Simulation:
        self._fill()
        while self.running:
            self.now_s, _, trial = heapq.heappop(self.running)
            trial.epoch += 1
            self.epochs += 1
            if trial.epoch == len(trial.curve):
                self._end(trial, "finished")
            elif not self._goes_on(trial):
                self._end(trial, "stopped")
            else:
                self._next_epoch(trial)
            self._fill()
        return Simulation(tuple(self.ended))

    def _fill(self) -> None:
        """Ask for trials until all slots are taken, or the searcher gives none."""
        while len(self.running) < self.slots:
            name = f"simulated-{next(self.order)}"
            config = self.searcher.suggest(name)
            if config is None and not self.running:
                raise RuntimeError(f"the searcher waits after {len(self.ended)} trials, though none runs")
            if not isinstance(config, dict):
                return
            schedule = Schedule.model_validate_json(config["schedule"])
            costs = self.blackbox.costs(schedule)
            trial = _Running(name, config["number"], schedule, costs, self.blackbox.curve(schedule))
            if (why := self.limits.explain(costs)) is not None:
                self._end(trial, "excluded", why)
            else:
                self._next_epoch(trial)

    def _next_epoch(self, trial: _Running) -> None:
        ends_s = self.now_s + trial.curve[trial.epoch].seconds
        heapq.heappush(self.running, (ends_s, next(self.order), trial))

    def _goes_on(self, trial: _Running) -> bool:
        if self.rungs is None:
            return True
        metrics = simulated_metrics(trial.seen, trial.costs)
        return self.rungs.decide(trial.number, trial.epoch, [metrics[key] for key in self.objectives])

    def _end(self, trial: _Running, status: Literal["finished", "stopped", "excluded"], message: str = "") -> None:
        """Write the files that a worker writes, tell the searcher, and note the record that is on disk then."""
        folder = TrialFolder(self.storage, trial.number)
        folder.acquire(trial.id)
        metrics = simulated_metrics(trial.seen, trial.costs)
        if status == "stopped":
            folder.save_checkpoint({"epoch": trial.epoch}, trial.seen)  # its record is the searcher's to write
        else:
            folder.finish(self._record(trial, status, message, metrics))
        self.searcher.on_trial_complete(trial.id, {"epoch": trial.epoch, "done": True, "status": status, **metrics})
        record = folder.record()
        assert record is not None
        self.ended.append(Ended(self.now_s, self.epochs, len(self.running) + 1, record))

    def _record(
        self, trial: _Running, status: Literal["finished", "excluded"], message: str, metrics: dict[str, float]
    ) -> TrialRecord:
        return TrialRecord(
            number=trial.number,
            status=status,
            message=message,
            schedule=trial.schedule,
            params=params_of(trial.schedule),
            curve=trial.seen,
            metrics=metrics,
            provenance=self.made_by,
        )
